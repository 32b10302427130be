/** Requirements of RFC 9568 on packets as they leave; docs/RFC9568.md has the table. Frames are read with AF_PACKET. */
import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { ETH_P_ALL, PacketSocket } from '../../../src/io/sockets/packet-socket.js';
import { vrrpTransportOpener } from '../../../src/io/vrrp/transport.js';
import type { VrrpTransport } from '../../../src/runtime/ports.js';
import { addressText } from '../../../src/util/ip-address.js';
import { encodeAdvertisement } from '../../../src/vrrp/packet.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

type Family = 'ipv4' | 'ipv6';

interface Seen {
  readonly protocol: number;
  readonly ttl: number;
  readonly source: string | undefined;
  readonly destination: string | undefined;
}

function parse(frame: Uint8Array): Seen | undefined {
  const etherType = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  const packet = frame.subarray(14);
  if (etherType === 0x0800) {
    return {
      protocol: packet[9] ?? 0,
      ttl: packet[8] ?? 0,
      source: addressText(packet.subarray(12, 16)),
      destination: addressText(packet.subarray(16, 20)),
    };
  }
  if (etherType !== 0x86dd) return undefined;
  return {
    protocol: packet[6] ?? 0,
    ttl: packet[7] ?? 0,
    source: addressText(packet.subarray(8, 24)),
    destination: addressText(packet.subarray(24, 40)),
  };
}

function open(t: Test, family: Family): VrrpTransport {
  const transport = vrrpTransportOpener(() => ['10.9.0.253', 'fe80::253'])(
    { interface: 'va', family, transport: { kind: 'multicast' }, virtualMacInterface: undefined },
    () => {},
    (error) => t.fail(error.message),
  );
  t.teardown(() => transport.close());
  return transport;
}

/** What arrives at the other end of the cable when one advertisement is sent. */
async function onTheWire(t: Test, family: Family): Promise<Seen> {
  const seen: Seen[] = [];
  const socket = new PacketSocket({ type: 'frame' });
  t.teardown(() => socket.close());
  socket.on('message', (frame, info) => {
    // Not what this end sends itself, and not what the kernel says on its own.
    if (info.packetType === 4) return;
    const packet = parse(frame);
    if (packet !== undefined && packet.protocol === 112) seen.push(packet);
  });
  socket.bind('vb', ETH_P_ALL);
  const transport = open(t, family);
  const [destination = ''] = transport.destinations;
  const payload = encodeAdvertisement(
    {
      version: 3,
      family,
      virtualRouterId: 51,
      priority: 150,
      advertisementIntervalMs: 1000,
      addresses: [family === 'ipv4' ? '10.9.0.253' : 'fe80::253'],
    },
    { checksum: 'rfc9568', source: transport.source, destination },
  );
  transport.send([{ payload, destination }]);
  await eventually('the packet arrives', () => seen.length > 0);
  t.equal(seen.length, 1);
  return seen[0] ?? { protocol: 0, ttl: 0, source: undefined, destination: undefined };
}

async function body(): Promise<void> {
  ip('link add va type veth peer name vb');
  ip('link set va addrgenmode none up');
  ip('link set vb addrgenmode none up');
  // The virtual address first: the primary address is not merely the first one.
  ip('address add 10.9.0.1/24 dev va');
  ip('address add 10.9.0.253/24 dev va');
  ip('address add fe80::253/64 dev va nodad');
  ip('address add fe80::1/64 dev va nodad');
  for (const [id, family] of [
    ['RFC9568-5.1.1.3-1', 'ipv4'],
    ['RFC9568-5.1.2.3-1', 'ipv6'],
  ] as const) {
    await t.test(`${id} positive: ${family} packets leave with 255`, async (t) => {
      t.equal((await onTheWire(t, family)).ttl, 255);
    });
    await t.test(`${id} negative: whatever the host's default is`, async (t) => {
      writeFileSync('/proc/sys/net/ipv4/ip_default_ttl', '7');
      writeFileSync('/proc/sys/net/ipv6/conf/va/hop_limit', '7');
      t.equal((await onTheWire(t, family)).ttl, 255);
    });
  }
  await t.test(
    'RFC9568-7.2-3 positive: from the primary IPv4 address, or the link-local IPv6 address',
    async (t) => {
      t.equal((await onTheWire(t, 'ipv4')).source, '10.9.0.1');
      t.equal((await onTheWire(t, 'ipv6')).source, 'fe80::1');
    },
  );
  await t.test(
    'RFC9568-7.2-3 negative: never from a virtual address; without another one not at all',
    async (t) => {
      ip('address del 10.9.0.1/24 dev va');
      ip('address replace 10.9.0.253/24 dev va');
      t.teardown(() => ip('address add 10.9.0.1/24 dev va'));
      t.throws(() => open(t, 'ipv4'), { code: 'ERR_NO_INTERFACE_ADDRESS' });
    },
  );
  await t.test('RFC9568-7.2-4 positive: protocol 112 to the VRRP group', async (t) => {
    t.match(await onTheWire(t, 'ipv4'), { protocol: 112, destination: '224.0.0.18' });
    t.match(await onTheWire(t, 'ipv6'), { protocol: 112, destination: 'ff02::12' });
  });
  await t.test('RFC9568-7.2-4 negative: to nobody else', async (t) => {
    for (const family of ['ipv4', 'ipv6'] as const) t.equal(open(t, family).destinations.length, 1);
  });
}

await runInNamespace(import.meta.url, body);
