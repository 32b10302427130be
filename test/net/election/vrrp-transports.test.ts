/** Every way onto the wire between two hosts, with tcpdump as the judge of the bytes. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import type { VrrpTransportKind } from '../../../src/config/model.js';
import { primaryAddress } from '../../../src/io/host/interface-address.js';
import { native } from '../../../src/io/sockets/native.js';
import { PacketSocket } from '../../../src/io/sockets/packet-socket.js';
import { RawSocket } from '../../../src/io/sockets/raw-socket.js';
import { vrrpTransportOpener } from '../../../src/io/vrrp/transport.js';
import type { ReceivedVrrp, VrrpChannel, VrrpTransport } from '../../../src/runtime/ports.js';
import { knownAddressBytes } from '../../../src/util/ip-address.js';
import { gratuitousArp } from '../../../src/vrrp/gratuitous-arp.js';
import {
  ETHERTYPE_IPV6,
  unsolicitedNeighbourAdvertisement,
} from '../../../src/vrrp/neighbour-advertisement.js';
import { type Advertisement, decodeAdvertisement, encodeAdvertisement } from '../../../src/vrrp/packet.js';
import { eventually, ip, runInNamespace } from '../namespace.js';
import { type Heard, OtherHost, Peer } from './vrrp-peer.js';

const PORT = 1112;
const ADVERTISEMENT: Advertisement = {
  version: 3,
  family: 'ipv4',
  virtualRouterId: 51,
  priority: 150,
  advertisementIntervalMs: 1000,
  addresses: ['10.9.0.253', '10.9.0.252'],
};
const IPV6: Advertisement = { ...ADVERTISEMENT, family: 'ipv6', addresses: ['fe80::253', 'fd00:9::253'] };

const MULTICAST: VrrpTransportKind = { kind: 'multicast' };

let other: OtherHost;

function there(command: string): void {
  const [program = '', ...argv] = other.argv(command);
  execFileSync(program, argv);
}

/** `va` here and `vb` on the other host: 10.9.0.1 and .2, fd00:9::1 and ::2, fe80::1 and ::2. */
async function layCable(): Promise<void> {
  other = await OtherHost.start();
  ip('link add va type veth peer name vb');
  ip(`link set vb netns ${other.pid}`);
  for (const command of addressing('va', 1)) ip(command);
  for (const command of addressing('vb', 2)) there(`ip ${command}`);
}

function addressing(name: string, end: number): string[] {
  return [
    `link set ${name} addrgenmode none`,
    `address add 10.9.0.${end}/24 dev ${name}`,
    `address add fe80::${end}/64 dev ${name} nodad`,
    `address add fd00:9::${end}/64 dev ${name} nodad`,
    `link set ${name} up`,
  ];
}

function channel(name: string, family: 'ipv4' | 'ipv6', transport: VrrpTransportKind): VrrpChannel {
  return { interface: name, family, transport, virtualMacInterface: undefined };
}

const unicast = (local: string, peers: string[], minTtl = 255): VrrpTransportKind => ({
  kind: 'unicast',
  local,
  peers,
  minTtl,
});

const udp = (local: string | undefined, peers: string[]): VrrpTransportKind => ({
  kind: 'udp',
  port: PORT,
  local,
  peers,
});

interface Here {
  readonly transport: VrrpTransport;
  readonly heard: ReceivedVrrp[];
}

function openHere(t: Test, settings: VrrpChannel, avoid: string[] = []): Here {
  const heard: ReceivedVrrp[] = [];
  const transport = vrrpTransportOpener(() => avoid)(
    settings,
    (message) => heard.push(message),
    (error) => t.fail(error.message),
  );
  t.teardown(() => transport.close());
  return { transport, heard };
}

async function openThere(t: Test, settings: VrrpChannel): Promise<Peer> {
  const peer = await Peer.open(other, settings);
  t.teardown(() => peer.close());
  return peer;
}

async function hears(peer: Peer, count: number): Promise<readonly Heard[]> {
  await eventually(`the peer hears ${count} packets`, () => peer.heard.length >= count);
  return peer.heard;
}

function encode({ transport }: Here, advertisement: Advertisement): Uint8Array {
  const { source, destinations } = transport;
  const [destination = ''] = destinations;
  return encodeAdvertisement(advertisement, { checksum: 'rfc5798', source, destination });
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** What passes `va`, in tcpdump's own words, one entry a packet. */
async function watch(t: Test, filter: string, device = 'va'): Promise<(wanted: RegExp) => Promise<string>> {
  // In immediate mode its ring has room for eight packets of the default length, and drops what a burst has beyond them.
  const ring = ['--immediate-mode', '-s', '512'];
  const argv = ['-Z', 'root', '-i', device, '-e', '-vvv', '-n', '-l', ...ring, filter];
  const tcpdump = spawn('tcpdump', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(async () => {
    tcpdump.kill();
    await once(tcpdump, 'close');
  });
  let text = '';
  let ready = '';
  tcpdump.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  tcpdump.stderr.on('data', (chunk: Buffer) => (ready += chunk.toString()));
  await eventually('tcpdump listens', () => ready.includes(`listening on ${device}`));
  return async (wanted) => {
    const packet = () => text.split(/\n(?=\S)/).find((entry) => wanted.test(entry));
    await eventually(`tcpdump sees ${wanted.source} in:\n${text}`, () => packet() !== undefined);
    return packet() ?? '';
  };
}

function macOf(name: string): string {
  return native()
    .interfaceInfo(name)
    .hardwareAddress.toString('hex')
    .replaceAll(/(..)(?!$)/g, '$1:');
}

/** Both speak once; the bytes arrive as they were sent, and are good. */
async function converse(
  t: Test,
  here: Here,
  peer: Peer,
  advertisement: Advertisement,
  expected: {
    source: string;
    destination: string;
    peerSource: string;
    answeredTo: string;
    ttl: number | undefined;
    reflects?: boolean;
  },
): Promise<void> {
  const { source, destination, peerSource, answeredTo, ttl, reflects = false } = expected;
  t.equal(here.transport.source, source);
  t.same(here.transport.destinations, [destination]);
  const sent = encode(here, advertisement);
  here.transport.send([{ payload: sent, destination }]);
  const [first] = await hears(peer, 1);
  const envelope = ttl === undefined ? { source, destination } : { source, destination, ttl };
  t.match(first, { ...envelope, payload: hex(sent) }, 'the kernel changes no byte');
  t.equal(first?.rejected, undefined);
  const decoded = decodeAdvertisement(Buffer.from(first?.payload ?? '', 'hex'), {
    ttl: undefined,
    ...envelope,
  });
  t.same(decoded, { ok: true, advertisement });

  const answer = encodeAdvertisement(advertisement, {
    checksum: 'rfc5798',
    source: peerSource,
    destination: answeredTo,
  });
  peer.send(answer);
  // Under IPv6 what a bridge reflects is for the election to judge: another host may have our address (decision 0020).
  const others = () => here.heard.filter((one) => !(reflects && one.source === source));
  await eventually('the answer arrives', () => others().length > 0);
  const [back] = others();
  t.match(back, { source: peerSource, destination: answeredTo, rejected: undefined });
  t.equal(back?.ttl, ttl);
  t.equal(hex(back?.payload ?? new Uint8Array()), hex(answer));
  t.ok(back !== undefined && decodeAdvertisement(back.payload, back).ok);
  here.transport.drain();
  t.equal(others().length, 1, 'no own packet');
}

function multicastTests(): void {
  void t.test('raw multicast, IPv4: versions 3 and 2', async (t) => {
    const seen = await watch(t, 'ip proto 112');
    const here = openHere(t, channel('va', 'ipv4', MULTICAST));
    const peer = await openThere(t, channel('vb', 'ipv4', MULTICAST));
    await converse(t, here, peer, ADVERTISEMENT, {
      source: '10.9.0.1',
      destination: '224.0.0.18',
      peerSource: '10.9.0.2',
      answeredTo: '224.0.0.18',
      ttl: 255,
    });
    const packet = await seen(/10\.9\.0\.1 > .*VRRPv3/);
    t.match(packet, `${macOf('va')} > 01:00:5e:00:00:12, ethertype IPv4`);
    t.match(packet, /tos 0xc0, ttl 255, .*proto VRRP \(112\)/);
    t.match(packet, 'vrid 51, prio 150, intvl 100cs, length 16, addrs(2): 10.9.0.253,10.9.0.252');
    t.notMatch(packet, /bad|trunc/);
    here.transport.send([
      { payload: encode(here, { ...ADVERTISEMENT, version: 2 }), destination: '224.0.0.18' },
    ]);
    const older = await seen(/VRRPv2/);
    t.match(older, 'vrid 51, prio 150, authtype none, intvl 1s, length 24, addrs(2): 10.9.0.253,10.9.0.252');
    t.notMatch(older, /bad|trunc/);
    const wrong = encode(here, { ...ADVERTISEMENT, version: 2, priority: 7 });
    wrong[6] = (wrong[6] ?? 0) ^ 1;
    here.transport.send([{ payload: wrong, destination: '224.0.0.18' }]);
    t.match(
      await seen(/prio 7,/),
      'bad vrrp cksum',
      'tcpdump tells a wrong checksum: its silence means something',
    );
  });

  void t.test('raw multicast, IPv6: from the link-local address, with hop limit 255', async (t) => {
    const seen = await watch(t, 'ip6 proto 112');
    ip('address add fe80::253/64 dev va nodad');
    t.teardown(() => ip('address del fe80::253/64 dev va'));
    const here = openHere(t, channel('va', 'ipv6', MULTICAST), ['fe80::253']);
    const peer = await openThere(t, channel('vb', 'ipv6', MULTICAST));
    await converse(t, here, peer, IPV6, {
      source: 'fe80::1',
      destination: 'ff02::12',
      peerSource: 'fe80::2',
      answeredTo: 'ff02::12',
      ttl: 255,
    });
    const packet = await seen(/fe80::1 > ff02::12/);
    t.match(packet, `${macOf('va')} > 33:33:00:00:00:12, ethertype IPv6`);
    t.match(packet, /class 0xc0, .*hlim 255, next-header VRRP \(112\) payload length: 40/);
    t.match(packet, 'vrid 51, prio 150, intvl 100cs, length 40, addrs(2): fe80::253,fd00:9::253');
    t.notMatch(packet, /bad|trunc/);
  });

  void t.test('a virtual MAC address: sent by its device, heard on the parent, not by oneself', async (t) => {
    // The kernels this runs on may have no macvlan: a second cable, bridged on the other host, stands in for it.
    ip('link add vm type veth peer name vn');
    ip(`link set vn netns ${other.pid}`);
    ip('link set vm addrgenmode none address 00:00:5e:00:01:33 up');
    there('ip link add br0 type bridge');
    for (const name of ['vb', 'vn']) there(`ip link set ${name} master br0 up`);
    there('ip link set br0 addrgenmode none up');
    there('ip address add 10.9.0.3/24 dev br0');
    there('ip address add fe80::3/64 dev br0 nodad');
    t.teardown(() => {
      there('ip link del br0');
      ip('link del vm');
    });
    const seen = await watch(t, 'proto 112 or ip6 proto 112', 'vm');
    const reflected = await watch(t, 'ether src 00:00:5e:00:01:33', 'va');
    for (const [family, source, peerSource, group, advertisement] of [
      ['ipv4', '10.9.0.1', '10.9.0.3', '224.0.0.18', ADVERTISEMENT],
      ['ipv6', 'fe80::1', 'fe80::3', 'ff02::12', IPV6],
    ] as const) {
      const here = openHere(t, { ...channel('va', family, MULTICAST), virtualMacInterface: 'vm' });
      const peer = await openThere(t, channel('br0', family, MULTICAST));
      const reflects = family === 'ipv6';
      const expected = { source, destination: group, peerSource, answeredTo: group, ttl: 255, reflects };
      await converse(t, here, peer, advertisement, expected);
      const wanted = new RegExp(`${source} > ${group}: VRRPv3`);
      t.match(await seen(wanted), '00:00:5e:00:01:33 > ');
      await reflected(wanted);
      here.transport.drain();
      const own = here.heard.filter((one) => one.source === source).length;
      t.equal(own, reflects ? 1 : 0, 'what the bridge reflects: the kernel passes it over under IPv4 alone');
    }
  });
}

function unicastTests(): void {
  void t.test('raw unicast: IPv4, IPv6, link-local', async (t) => {
    const seen = await watch(t, 'ip proto 112 or ip6 proto 112');
    for (const [family, source, peerSource, advertisement] of [
      ['ipv4', '10.9.0.1', '10.9.0.2', ADVERTISEMENT],
      ['ipv6', 'fd00:9::1', 'fd00:9::2', IPV6],
      ['ipv6', 'fe80::1', 'fe80::2', IPV6],
    ] as const) {
      const here = openHere(t, channel('va', family, unicast(source, [peerSource])));
      const peer = await openThere(t, channel('vb', family, unicast(peerSource, [source])));
      const expected = { source, destination: peerSource, peerSource, answeredTo: source, ttl: 255 };
      await converse(t, here, peer, advertisement, expected);
      const packet = await seen(new RegExp(`${source} > ${peerSource}: VRRPv3`));
      t.match(packet, /(ttl|hlim) 255/);
      t.notMatch(packet, /bad|trunc/);
    }
  });

  void t.test('raw unicast: strangers and a TTL too low are told apart', async (t) => {
    const strict = openHere(t, channel('va', 'ipv4', unicast('10.9.0.1', ['10.9.0.9', '10.9.0.2'])));
    const far = openHere(t, channel('va', 'ipv4', unicast('10.9.0.1', ['10.9.0.2'], 253)));
    const group = openHere(t, channel('va', 'ipv4', MULTICAST));
    t.same(strict.transport.destinations, ['10.9.0.9', '10.9.0.2']);
    there('ip address add 10.9.0.4/24 dev vb');
    const peer = await openThere(t, channel('vb', 'ipv4', unicast('10.9.0.2', ['10.9.0.1'])));
    const stranger = await openThere(t, channel('vb', 'ipv4', unicast('10.9.0.4', ['10.9.0.1'])));
    const good = encodeAdvertisement(ADVERTISEMENT, {
      checksum: 'rfc9568',
      source: '10.9.0.2',
      destination: '10.9.0.1',
    });
    peer.send(good);
    await eventually('the good one', () => strict.heard.length === 1 && group.heard.length === 1);
    t.equal(group.heard[0]?.rejected, 'bad-destination', 'a multicast channel does not take unicast');
    stranger.send(good);
    await eventually('the stranger', () => strict.heard.length === 2);
    t.match(strict.heard[1], { rejected: 'unknown-peer', source: '10.9.0.4' });
    const raw = new RawSocket({ type: 'raw4', protocol: 112 });
    t.teardown(() => raw.close());
    // Turned round: this host is the one with the low TTL, and the peer's verdict is looked at.
    raw.bindToDevice('va');
    const mine = encodeAdvertisement(ADVERTISEMENT, {
      checksum: 'rfc9568',
      source: '10.9.0.1',
      destination: '10.9.0.2',
    });
    for (const ttl of [253, 255]) {
      raw.setTTL(ttl);
      raw.send(mine, '10.9.0.2');
    }
    const [low, high] = await hears(peer, 2);
    const verdict = (heard: Heard | undefined, minTtl: number | undefined) => {
      const message = Buffer.from(heard?.payload ?? '', 'hex');
      const { source = '', destination = '', ttl } = heard ?? {};
      const result = decodeAdvertisement(message, { source, destination, ttl, minTtl });
      return result.ok ? 'accepted' : result.reason;
    };
    t.equal(verdict(low, low?.minTtl), 'bad-ttl');
    t.equal(verdict(low, far.heard[0]?.minTtl), 'accepted', 'a channel that allows two hops');
    t.equal(verdict(high, high?.minTtl), 'accepted');
  });
}

function udpTests(): void {
  void t.test('UDP to peers and to the group, IPv4 and IPv6', async (t) => {
    const seen = await watch(t, `udp port ${PORT}`);
    for (const [family, source, peerSource, group, advertisement] of [
      ['ipv4', '10.9.0.1', '10.9.0.2', undefined, ADVERTISEMENT],
      ['ipv6', 'fd00:9::1', 'fd00:9::2', undefined, IPV6],
      ['ipv6', 'fe80::1', 'fe80::2', undefined, IPV6],
      ['ipv4', '10.9.0.1', '10.9.0.2', '224.0.0.18', ADVERTISEMENT],
      ['ipv6', 'fe80::1', 'fe80::2', 'ff02::12', IPV6],
    ] as const) {
      await t.test(`${source} > ${group ?? peerSource}`, async (t) => {
        const ends = [udp(source, [peerSource]), udp(peerSource, [source])] as const;
        const [ours, theirs] =
          group === undefined ? ends : ([udp(undefined, []), udp(undefined, [])] as const);
        const here = openHere(t, channel('va', family, ours));
        const peer = await openThere(t, channel('vb', family, theirs));
        const destination = group ?? peerSource;
        const answeredTo = group ?? source;
        const ttl = group === undefined ? undefined : 255;
        const expected = { source, destination, peerSource, answeredTo, ttl };
        await converse(t, here, peer, advertisement, expected);
        const packet = await seen(new RegExp(`${source}.${PORT} > ${destination}.${PORT}:`));
        t.match(packet, /(ttl|hlim) 255/);
      });
    }
  });

  void t.test('UDP: draining takes what lies in the queue, and strangers are told', async (t) => {
    const here = openHere(t, channel('va', 'ipv4', udp('10.9.0.1', ['10.9.0.2'])));
    there('ip address replace 10.9.0.4/24 dev vb');
    const peer = await openThere(t, channel('vb', 'ipv4', udp('10.9.0.2', ['10.9.0.1'])));
    const stranger = await openThere(t, channel('vb', 'ipv4', udp('10.9.0.4', ['10.9.0.1'])));
    const arrived = await watch(t, `udp port ${PORT}`);
    const many = 100;
    for (let i = 0; i < many; i++) peer.send(Uint8Array.of(i));
    stranger.send(Uint8Array.of(255));
    await arrived(/10\.9\.0\.4\.1112 > /);
    await eventually('all of the first round', () => here.heard.length === many + 1);
    t.equal(here.heard.filter(({ rejected }) => rejected === 'unknown-peer').length, 1);
    here.heard.length = 0;
    // Own sends to one's own host are queued at once, in the same turn, whatever the peer does.
    ip('address add 127.0.0.2/8 dev lo');
    const loop = openHere(t, { ...channel('lo', 'ipv4', udp('127.0.0.1', ['127.0.0.2'])) });
    const feeder = vrrpTransportOpener(() => [])(
      channel('lo', 'ipv4', udp('127.0.0.2', ['127.0.0.1'])),
      () => {},
      (error) => t.fail(error.message),
    );
    t.teardown(() => feeder.close());
    for (let i = 0; i < many; i++) feeder.send([{ payload: Uint8Array.of(i), destination: '127.0.0.1' }]);
    t.equal(loop.heard.length, 0, 'nothing is read before its turn');
    loop.transport.drain();
    t.same(
      loop.heard.map(({ payload }) => payload[0]),
      Array.from({ length: many }, (_, i) => i),
      'all of it, in order',
    );
  });

  void t.test('UDP multicast: what comes in on another interface is not heard', async (t) => {
    ip('link add vc type veth peer name vd');
    ip(`link set vd netns ${other.pid}`);
    ip('link set vc addrgenmode none up');
    there('ip link set vd addrgenmode none up');
    ip('address add 10.8.0.1/24 dev vc');
    there('ip address add 10.8.0.2/24 dev vd');
    ip('address add fe80::1/64 dev vc nodad');
    there('ip address add fe80::2/64 dev vd nodad');
    t.teardown(() => ip('link del vc'));
    for (const family of ['ipv4', 'ipv6'] as const) {
      const first = openHere(t, channel('va', family, udp(undefined, [])));
      const second = openHere(t, channel('vc', family, udp(undefined, [])));
      const peer = await openThere(t, channel('vd', family, udp(undefined, [])));
      peer.send(Uint8Array.of(1));
      await eventually('its own interface hears it', () => second.heard.length === 1);
      first.transport.drain();
      t.same(first.heard, []);
    }
  });
}

function refusals(): void {
  void t.test('an address that is not there, or not yet, is a clear error', async (t) => {
    const open = (settings: VrrpChannel, avoid: string[] = []) =>
      vrrpTransportOpener(() => avoid)(
        settings,
        () => {},
        () => {},
      );
    const none = { code: 'ERR_NO_INTERFACE_ADDRESS' };
    t.throws(() => open(channel('va', 'ipv4', MULTICAST), ['10.9.0.1']), none);
    t.throws(() => open(channel('va', 'ipv6', MULTICAST), ['fe80::1']), none);
    t.throws(() => open(channel('va', 'ipv4', unicast('10.9.0.77', ['10.9.0.2']))), none);
    t.throws(() => open(channel('va', 'ipv6', udp('fd00:9::77', ['fd00:9::2']))), none);
    t.throws(() => open(channel('nope0', 'ipv4', MULTICAST)), none);
    const first = open(channel('va', 'ipv4', udp('10.9.0.1', ['10.9.0.2'])));
    t.teardown(() => first.close());
    t.throws(
      () => open(channel('va', 'ipv4', udp('10.9.0.1', ['10.9.0.3']))),
      { code: 'EADDRINUSE', syscall: 'bind' },
      'UDP tells at once too',
    );

    t.equal(primaryAddress('va', 'ipv6', []), 'fe80::1');
    ip('link add ve type veth peer name vg');
    t.teardown(() => ip('link del ve'));
    ip('link set ve addrgenmode none up');
    ip('link set vg up');
    execFileSync('sysctl', ['-qw', 'net.ipv6.conf.ve.accept_dad=1', 'net.ipv6.conf.ve.dad_transmits=100']);
    ip('address add fe80::77/64 dev ve');
    t.throws(() => primaryAddress('ve', 'ipv6', []), { ...none, message: /fe80::77 .* is tentative/ });
    t.throws(() => open(channel('ve', 'ipv6', unicast('fe80::77', ['fe80::2']))), {
      ...none,
      message: /tentative/,
    });
    ip('address add fe80::78/64 dev ve nodad');
    t.equal(primaryAddress('ve', 'ipv6', []), 'fe80::78');
    t.throws(() => primaryAddress('ve', 'ipv4', []), { ...none, message: /no IPv4 address of its own$/ });
  });
}

function announcements(): void {
  void t.test('gratuitous ARP and Neighbour Advertisement as tcpdump reads them', async (t) => {
    const seen = await watch(t, 'arp or icmp6');
    const socket = new PacketSocket({ type: 'frame' });
    t.teardown(() => socket.close());
    const { hardwareAddress } = native().interfaceInfo('va');
    socket.send(gratuitousArp(hardwareAddress, knownAddressBytes('10.9.0.253')), 'va', 0x0806);
    t.match(await seen(/who-has 10\.9\.0\.253 /), `${macOf('va')} > ff:ff:ff:ff:ff:ff`);
    for (const address of ['fe80::253', '2001:db8::253']) {
      const frame = unsolicitedNeighbourAdvertisement(hardwareAddress, knownAddressBytes(address));
      socket.send(frame, 'va', ETHERTYPE_IPV6);
      const packet = await seen(new RegExp(`tgt is ${address},`));
      t.match(packet, `${macOf('va')} > 33:33:00:00:00:01, ethertype IPv6 (0x86dd), length 86`);
      t.match(packet, /class 0xc0, hlim 255, next-header ICMPv6 \(58\) payload length: 32/);
      t.match(packet, `${address} > ff02::1: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32`);
      t.match(packet, 'Flags [router, override]');
      t.match(packet, `destination link-address option (2), length 8 (1): ${macOf('va')}`);
    }
  });

  void t.test('the neighbour takes the new link-layer address from it', async (t) => {
    there('ip address replace fd00:9::2/64 dev vb nodad');
    there('ip -6 neigh replace fd00:9::253 lladdr 02:00:00:00:00:99 nud stale dev vb');
    const socket = new PacketSocket({ type: 'frame' });
    t.teardown(() => socket.close());
    const { hardwareAddress } = native().interfaceInfo('va');
    const frame = unsolicitedNeighbourAdvertisement(hardwareAddress, knownAddressBytes('fd00:9::253'));
    socket.send(frame, 'va', ETHERTYPE_IPV6);
    const [program = '', ...argv] = other.argv('ip -6 neigh show fd00:9::253 dev vb');
    await eventually('the cache has it', () =>
      execFileSync(program, argv, { encoding: 'utf8' }).includes(macOf('va')),
    );
    t.match(execFileSync(program, argv, { encoding: 'utf8' }), 'router', 'as a router');
  });
}

await runInNamespace(import.meta.url, async () => {
  await layCable();
  t.teardown(() => other.stop());
  multicastTests();
  unicastTests();
  udpTests();
  refusals();
  announcements();
});
