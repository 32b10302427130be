/** What the guardian takes: its limits stand once in C and once in TypeScript, and no file that is taken goes beyond them. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { encodeOrders, ORDERS_LIMITS } from '../../../src/io/vrrp/guardian-orders.js';
import { guardianOrders } from '../../../src/runtime/guardian/guardian-orders.js';
import { encodeAdvertisement } from '../../../src/vrrp/packet.js';

const HEADER = readFileSync(new URL('../../../../native/orders.h', import.meta.url), 'utf8');

void t.test('C and TypeScript have the same limits', async (t) => {
  const said = [...HEADER.matchAll(/^\t(MAX_\w+) = (?:(\d+)|1 << (\d+)),/gm)].map(
    ([, name, plain, shift]) => [name, shift === undefined ? Number(plain) : 1 << Number(shift)] as const,
  );
  t.strictSame(Object.fromEntries(said), ORDERS_LIMITS);
});

interface Size {
  readonly instances: number;
  readonly addresses: number;
  readonly routes?: number;
  readonly directors?: number;
  readonly transport?: string;
}

function biggest({ instances, addresses, routes = 0, directors = 2, transport = 'multicast' }: Size): string {
  const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);
  return JSON.stringify({
    version: 1,
    directors: Object.fromEntries(
      numbers(directors).map((n) => [`lb${n}`, { address: `2001:db8:ffff::${n + 1}` }]),
    ),
    vrrp: {
      instances: numbers(instances).map((n) => ({
        name: `i${n}`,
        interface: `interface-${n >> 7}`,
        virtual_router_id: (n & 127) + 1,
        transport,
        virtual_mac: transport === 'multicast',
        addresses: numbers(addresses).map((at) =>
          at === 0 ? `fe80::${n}:1/64` : `2001:db8:${n}::${at + 1}/64`,
        ),
        routes: numbers(routes).map((at) => ({
          to: `2001:db8:${n}:${at + 1}::/64`,
          via: 'fe80::9',
          source: `2001:db8:${n}::2`,
          metric: 4_000_000_000,
          mtu: 9000,
        })),
      })),
    },
  });
}

function orders(text: string): number | readonly string[] {
  const result = parseConfig(text, { name: 'lb0' });
  if (!result.ok) return result.faults.map(({ message }) => message);
  const masters = result.config.instances.map((config) => {
    const source = config.transport.kind === 'multicast' ? 'fe80::5' : '2001:db8:ffff::1';
    const peers = config.transport.kind === 'multicast' ? ['ff02::12'] : config.transport.peers;
    const packets = peers.map((destination) => ({
      destination,
      payload: encodeAdvertisement(
        {
          version: 3,
          family: 'ipv6',
          virtualRouterId: config.virtualRouterId,
          priority: 0,
          advertisementIntervalMs: 1000,
          addresses: config.advertised,
        },
        { checksum: config.checksum, source, destination },
      ),
    }));
    return { config, source, packets };
  });
  return encodeOrders(guardianOrders(masters), () => 7).length;
}

void t.test('whatever file is taken, the guardian takes its orders', async (t) => {
  const sizes: readonly Size[] = [
    { instances: 256, addresses: 16 },
    { instances: 45, addresses: 90 },
    { instances: 256, addresses: 2, routes: 14 },
    { instances: 1, addresses: 2, routes: 4094 },
    { instances: 256, addresses: 16, transport: 'unicast' },
    { instances: 256, addresses: 16, transport: 'udp', directors: 7 },
    { instances: 30, addresses: 30, transport: 'unicast', directors: 16 },
  ];
  for (const size of sizes) {
    const length = orders(biggest(size));
    t.ok(
      typeof length === 'number' && length <= ORDERS_LIMITS.MAX_BODY,
      `${JSON.stringify(size)}: ${JSON.stringify(length)}`,
    );
  }
});

void t.test('one that would go beyond them is refused', async (t) => {
  const faults = orders(biggest({ instances: 256, addresses: 16, transport: 'unicast', directors: 16 }));
  t.match(faults, [
    /^have farewells of \d+ bytes for all the other directors, and the guardian takes 500000/,
  ]);
});
