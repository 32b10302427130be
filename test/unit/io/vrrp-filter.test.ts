import fc from 'fast-check';
import t from 'tap';
import { MAX_INSTRUCTIONS, programBytes } from '../../../src/io/sockets/bpf.js';
import { ReadingPace } from '../../../src/io/sockets/reading-pace.js';
import { type FilterRoute, vrrpDivision, vrrpFilter } from '../../../src/io/vrrp/filter.js';
import { conflictFilter } from '../../../src/io/vrrp/source-watch.js';
import type { ExpectedRouter } from '../../../src/runtime/ports.js';
import { knownAddressBytes } from '../../../src/util/ip-address.js';
import { arpProbe, arpSender } from '../../../src/vrrp/arp-probe.js';
import { gratuitousArp } from '../../../src/vrrp/gratuitous-arp.js';
import { type Advertisement, decodeAdvertisement, encodeAdvertisement } from '../../../src/vrrp/packet.js';
import { type Packet, run } from './bpf-machine.js';

const V4: FilterRoute = {
  family: 'ipv4',
  source: '192.0.2.11',
  group: '224.0.0.18',
  peers: [],
  minTtl: 255,
};
const V6: FilterRoute = { ...V4, family: 'ipv6', source: 'fe80::11', group: 'ff02::12' };
const UNICAST: FilterRoute = { ...V4, group: undefined, peers: ['192.0.2.12', '198.51.100.7'], minTtl: 250 };

const UDP_HEADER = 8;

const router = (virtualRouterId: number, ...addresses: string[]): ExpectedRouter => ({
  version: 3,
  virtualRouterId,
  addresses,
  advertisementIntervalMs: 100,
});
const ROUTERS4 = [router(51, '192.0.2.253'), router(52, '192.0.2.252', '198.51.100.1', '203.0.113.9')];
const ROUTERS2 = [{ ...router(61, '192.0.2.253', '192.0.2.252'), version: 2 as const }];
const ROUTERS6 = [router(51, 'fe80::253', '2001:db8::253'), router(53, 'fe80::252')];

interface Sent {
  readonly source?: string;
  readonly ttl?: number;
  readonly destination?: string;
  readonly checksum?: 'rfc5798' | 'rfc9568';
}

/** As it lies in a raw socket's queue. */
function packetOf(route: FilterRoute, payload: Uint8Array, sent: Sent = {}): Packet {
  const { source = route.family === 'ipv4' ? '192.0.2.12' : 'fe80::12', ttl = 255 } = sent;
  const { destination = route.group ?? route.source } = sent;
  const ipv4 = route.family === 'ipv4';
  const header = new Uint8Array(ipv4 ? 20 : 40);
  header[0] = ipv4 ? 0x45 : 0x60;
  header[ipv4 ? 8 : 7] = ttl;
  header.set(knownAddressBytes(source), ipv4 ? 12 : 8);
  header.set(knownAddressBytes(destination), ipv4 ? 16 : 24);
  return { bytes: Buffer.concat([header, payload]), dataAt: ipv4 ? 0 : header.length };
}

function say(route: FilterRoute, of: ExpectedRouter, change: Partial<Advertisement> = {}, sent: Sent = {}) {
  const { source = route.family === 'ipv4' ? '192.0.2.12' : 'fe80::12', checksum = 'rfc5798' } = sent;
  const advertisement: Advertisement = {
    family: route.family,
    priority: 150,
    ...of,
    advertisementIntervalMs: of.version === 2 ? 1000 : 100,
    ...change,
  };
  return encodeAdvertisement(advertisement, { checksum, source, destination: route.group ?? route.source });
}

/** Which socket gets a packet: never both, never none. */
function earOf(route: FilterRoute, routers: readonly ExpectedRouter[], packet: Packet): string {
  const taken = run(vrrpFilter('expected', 'whole', route, routers), packet) > 0;
  const rest = run(vrrpFilter('others', 'whole', route, routers), packet) > 0;
  if (taken === rest) throw new Error(taken ? 'both hear it' : 'nobody hears it');
  return taken ? 'expected' : 'others';
}

/** The same within UDP, where a filter sees its header and a division the payload: both have to say the same. */
function udpEarOf(route: FilterRoute, routers: readonly ExpectedRouter[], payload: Uint8Array): string {
  const { bytes } = packetOf(route, Buffer.concat([new Uint8Array(UDP_HEADER), payload]));
  const dataAt = route.family === 'ipv4' ? 20 : 40;
  const takenBy = (ear: 'expected' | 'others') =>
    run(vrrpFilter(ear, 'whole', route, routers, 'udp'), { bytes, dataAt }) > 0;
  if (takenBy('expected') === takenBy('others')) throw new Error('both hear it, or nobody does');
  const divided = run(vrrpDivision('whole', route, routers), { bytes, dataAt: dataAt + UDP_HEADER });
  if (divided !== (takenBy('expected') ? 0 : 1)) throw new Error(`the division says ${divided}`);
  return divided === 0 ? 'expected' : 'others';
}

void t.test('what the channel expects passes, in every version and with either checksum', (t) => {
  for (const [route, routers] of [
    [V4, ROUTERS4],
    [V4, ROUTERS2],
    [V6, ROUTERS6],
    [UNICAST, ROUTERS4],
  ] as const) {
    for (const of of routers) {
      for (const checksum of ['rfc5798', 'rfc9568'] as const) {
        for (const priority of [0, 1, 100, 255]) {
          const payload = say(route, of, { priority }, { checksum });
          t.equal(earOf(route, routers, packetOf(route, payload, { checksum })), 'expected');
          t.equal(udpEarOf(route, routers, payload), 'expected', 'within UDP');
        }
      }
    }
  }
  t.end();
});

void t.test('everything else is heard by the other socket', (t) => {
  const first = ROUTERS4[0] ?? router(0);
  const good = say(V4, first);
  const ear = (payload: Uint8Array, sent: Sent = {}, route = V4) =>
    earOf(route, ROUTERS4, packetOf(route, payload, sent));
  t.equal(ear(good), 'expected');
  t.equal(ear(say(V4, router(99, '192.0.2.253'))), 'others', 'another virtual router');
  t.equal(ear(say(V4, router(51, '192.0.2.200'))), 'others', 'another cluster');
  t.equal(ear(say(V4, { ...first, version: 2 }, { advertisementIntervalMs: 1000 })), 'others', 'version 2');
  t.equal(ear(good, { ttl: 254 }), 'others', 'over a router');
  t.equal(ear(good, { destination: '192.0.2.11' }), 'others', 'by unicast');
  t.equal(ear(good, { source: V4.source }), 'others', 'from our own address');
  t.equal(ear(Uint8Array.from([...good, 0, 0])), 'expected', 'padded: the message is whole');
  const wrong = Uint8Array.from(good);
  wrong[7] = (wrong[7] ?? 0) ^ 1;
  t.equal(ear(wrong), 'others', 'a wrong checksum');
  t.equal(ear(good.subarray(0, 10)), 'others', 'cut off');
  t.equal(ear(new Uint8Array()), 'others', 'empty');
  const options = packetOf(V4, good);
  options.bytes[0] = 0x46;
  t.equal(earOf(V4, ROUTERS4, options), 'others', 'IP options');
  t.equal(ear(good, { source: '192.0.2.12', ttl: 250 }, UNICAST), 'others', 'a checksum for the group');
  const toPeer = say(UNICAST, first, {}, { source: '198.51.100.7' });
  t.equal(ear(toPeer, { source: '198.51.100.7', ttl: 250 }, UNICAST), 'expected', 'a peer behind routers');
  t.equal(ear(toPeer, { source: '198.51.100.7', ttl: 249 }, UNICAST), 'others');
  t.equal(ear(toPeer, { source: '198.51.100.8' }, UNICAST), 'others', 'no peer');
  t.end();
});

void t.test('no garbage passes that the codec would not take', (t) => {
  const cases = [
    [V4, ROUTERS4],
    [V4, ROUTERS2],
    [V6, ROUTERS6],
  ] as const;
  fc.assert(
    fc.property(
      fc.constantFrom(...cases),
      fc.nat(),
      fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 3 }),
      fc.nat(70),
      fc.integer({ min: 1, max: 4095 }),
      ([route, routers], which, changes, length, units) => {
        const of = routers[which % routers.length] ?? router(0);
        const intervalMs = of.version === 2 ? 1000 * (1 + (units % 255)) : 10 * units;
        const whole = say(route, of, { advertisementIntervalMs: intervalMs });
        const payload = Uint8Array.from(whole.subarray(0, length));
        for (const [at, value] of changes) if (at < payload.length) payload[at] = value;
        const source = route.family === 'ipv4' ? '192.0.2.12' : 'fe80::12';
        const decoded = decodeAdvertisement(payload, { source, destination: route.group ?? '', ttl: 255 });
        const isOurs =
          decoded.ok &&
          routers.some(
            (one) =>
              one.virtualRouterId === decoded.advertisement.virtualRouterId &&
              one.version === decoded.advertisement.version &&
              one.addresses.join() === decoded.advertisement.addresses.join(),
          );
        // What nobody says (RFC 3768 section 5.3.10) is ignored by the codec, and heard by the slower way.
        const authenticationData = of.version === 2 ? payload.subarray(whole.length - 8) : [];
        const wanted = isOurs && authenticationData.every((byte) => byte === 0) ? 'expected' : 'others';
        return (
          earOf(route, routers, packetOf(route, payload)) === wanted &&
          udpEarOf(route, routers, payload) === wanted
        );
      },
    ),
    { numRuns: 3000 },
  );
  t.end();
});

void t.test('255 virtual routers of both kinds are told apart by their heads', (t) => {
  const many = Array.from({ length: 255 }, (_, i) => router(i + 1, `10.0.${i}.1`, `10.0.${i}.2`));
  const program = vrrpFilter('expected', 'head', V4, many);
  t.ok(program.length <= MAX_INSTRUCTIONS);
  t.equal(programBytes(program).length, program.length * 8);
  for (const of of many) t.ok(run(program, packetOf(V4, say(V4, of))) > 0);
  t.equal(run(program, packetOf(V4, say(V4, router(7, '10.0.6.1')))), 0, 'another count of addresses');
  t.end();
});

void t.test('another MAC address that claims our address is a conflict, and nothing of our own is', (t) => {
  const own = Buffer.from('020000000001', 'hex');
  const address = knownAddressBytes('192.0.2.11');
  const heard = (frame: Uint8Array) => run(conflictFilter(own, address), { bytes: frame, dataAt: 0 }) > 0;
  const from = (mac: string, claimed = '192.0.2.11') =>
    gratuitousArp(Buffer.from(mac, 'hex'), knownAddressBytes(claimed));
  t.ok(heard(from('020000000002')));
  t.ok(heard(from('030000000001')));
  t.notOk(heard(from('020000000001')), 'reflected');
  t.notOk(heard(from('020000000002', '192.0.2.12')), 'another address');
  t.notOk(heard(from('00005e000133')), 'a virtual router of ours');
  t.notOk(heard(arpProbe(Buffer.from('020000000002', 'hex'), address)), 'somebody asks');
  t.notOk(heard(new Uint8Array(20)), 'cut off');
  t.equal(arpSender(from('02000000000a')), '02:00:00:00:00:0a');
  t.equal(arpSender(new Uint8Array(20)), undefined);
  t.end();
});

void t.test('a socket is read at its pace', (t) => {
  let now = 0;
  const pace = new ReadingPace({ nowMs: () => now, perSecond: 1000, burst: 256, restMs: 50 });
  let read = 0;
  for (now = 0; now < 10_000; now += 1) {
    while (!pace.isSpent()) {
      pace.spend(64);
      read += 64;
    }
  }
  t.ok(read <= 10_000 + 256 + 64 && read >= 9_900, `${read} in ten seconds`);
  t.end();
});
