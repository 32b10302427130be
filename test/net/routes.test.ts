import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import type { VirtualRoute } from '../../src/config/model.js';
import { openAddresses } from '../../src/io/addresses.js';
import { openLinkMonitor, watchLinks } from '../../src/io/links.js';
import { openRoutes } from '../../src/io/routes.js';
import { eventually, ip, runInNamespace } from './namespace.js';

interface Route {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly protocol: string;
  readonly scope?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
}

function route(destination: string, prefixLength: number, more: Partial<VirtualRoute> = {}): VirtualRoute {
  return {
    destination,
    prefixLength,
    via: undefined,
    interface: 'v0',
    source: undefined,
    metric: undefined,
    ...more,
  };
}

/** Of protocol 112, as ip(8) says, as `DST via GATEWAY dev DEV src SOURCE metric METRIC scope SCOPE`. */
function ours(family: '-4' | '-6' = '-4'): string[] {
  const routes = JSON.parse(ip(`-N -j ${family} route show proto 112`)) as Route[];
  return routes.map((one) =>
    [
      one.dst,
      one.gateway && `via ${one.gateway}`,
      `dev ${one.dev}`,
      one.prefsrc && `src ${one.prefsrc}`,
      one.metric && `metric ${one.metric}`,
      one.scope && `scope ${one.scope}`,
    ]
      .filter(Boolean)
      .join(' '),
  );
}

await runInNamespace(import.meta.url, async () => {
  ip('link add v0 type veth peer name v1');
  ip('link set v0 up');
  ip('link set v1 up');
  ip('addr add 10.1.1.5/24 dev v0');
  ip('addr add 10.1.1.7/24 dev v0');
  ip('addr add fd01::5/64 dev v0 nodad');
  ip('addr add fd01::7/64 dev v0 nodad');
  const routes = openRoutes();

  await t.test('IPv4: default, network, link, source and metric', async (t) => {
    const list = [
      route('0.0.0.0', 0, { via: '10.1.1.254' }),
      route('10.50.0.0', 16, { via: '10.1.1.253', source: '10.1.1.7', metric: 50 }),
      route('10.60.0.0', 24),
    ];
    const expected = [
      'default via 10.1.1.254 dev v0',
      '10.50.0.0/16 via 10.1.1.253 dev v0 src 10.1.1.7 metric 50',
      '10.60.0.0/24 dev v0 scope 253',
    ];
    await routes.add(list);
    t.same(ours(), expected);
    await routes.add(list);
    t.same(ours(), expected, 'adding again changes nothing');
    await routes.add([route('10.60.0.0', 24, { via: '10.1.1.1' })]);
    t.same(ours()[2], '10.60.0.0/24 via 10.1.1.1 dev v0', 'ours is replaced');
    await routes.remove([...list.slice(0, 2), route('10.60.0.0', 24, { via: '10.1.1.1' })]);
    t.same(ours(), []);
    await t.resolves(routes.remove(list), 'again, nothing to do');
  });

  await t.test('IPv6: default, network, link, source and metric', async (t) => {
    const list = [
      route('::', 0, { via: 'fe80::1' }),
      route('fd50::', 48, { via: 'fd01::254', source: 'fd01::7', metric: 50 }),
      route('fd60::', 64),
    ];
    await routes.add(list);
    await routes.add(list);
    t.same(ours('-6').sort(), [
      'default via fe80::1 dev v0 metric 1024',
      'fd50::/48 via fd01::254 dev v0 src fd01::7 metric 50',
      'fd60::/64 dev v0 metric 1024',
    ]);
    await routes.remove(list);
    t.same(ours('-6'), []);
    await t.resolves(routes.remove(list));
  });

  for (const [family, foreign, wanted] of [
    ['-4', 'default via 10.1.1.1 dev v0', route('0.0.0.0', 0, { via: '10.1.1.254' })],
    ['-6', 'default via fd01::1 dev v0', route('::', 0, { via: 'fd01::254' })],
  ] as const) {
    await t.test(`${family}: a route of someone else is neither replaced nor removed`, async (t) => {
      const theirs = () => ip(`${family} route show default`).trim();
      ip(`${family} route add ${foreign}`);
      const before = theirs();
      await t.rejects(routes.add([wanted]), {
        code: 'ERR_ROUTE',
        failures: [{ error: { code: 'ERR_FOREIGN_ROUTE' } }],
      });
      t.equal(theirs(), before);
      await routes.remove([wanted, { ...wanted, via: family === '-4' ? '10.1.1.1' : 'fd01::1' }]);
      t.equal(theirs(), before);
      await routes.add([{ ...wanted, metric: 5 }]);
      await routes.remove([{ ...wanted, metric: 5 }]);
      t.equal(theirs(), before);
      ip(`${family} route del ${foreign}`);
    });
  }

  await t.test('one failure names its route, the others are done', async (t) => {
    await t.rejects(
      routes.add([
        route('10.70.0.0', 16, { via: '10.99.0.1' }),
        route('10.71.0.0', 16, { interface: 'absent' }),
        route('10.72.0.0', 16),
      ]),
      {
        code: 'ERR_ROUTE',
        message:
          /^cannot add the route 10\.71\.0\.0\/16 dev absent: there is no interface 'absent'; 10\.70\.0\.0\/16 via 10\.99\.0\.1 dev v0: ENETUNREACH/,
      },
    );
    t.same(ours(), ['10.72.0.0/16 dev v0 scope 253']);
    await routes.remove([route('10.72.0.0', 16), route('10.71.0.0', 16, { interface: 'absent' })]);
    t.same(ours(), []);
    await t.rejects(routes.add([route('10.0.0.0', 8, { via: 'fd01::1' })]), RangeError);
  });

  await t.test('routes that go away are told, however they go', async (t) => {
    const gone: string[] = [];
    const monitor = await openLinkMonitor(
      () => undefined,
      () => undefined,
      ({ destination, prefixLength, interface: name }) => gone.push(`${destination}/${prefixLength} ${name}`),
    );
    const told = async (what: string, expected: readonly string[]): Promise<void> => {
      await eventually(what, () => gone.length >= expected.length);
      t.same(gone.splice(0).sort(), expected, what);
    };
    const list = [
      route('10.50.0.0', 16, { via: '10.1.1.253', source: '10.1.1.7' }),
      route('10.60.0.0', 24, { metric: 7 }),
      route('fd50::', 48, { via: 'fd01::254' }),
    ];
    await routes.add(list);
    ip('route add 10.80.0.0/16 dev v0');
    ip('route del 10.80.0.0/16 dev v0');
    ip('route del 10.60.0.0/24');
    await told('removed by hand', ['10.60.0.0/24 v0']);
    ip('-6 route del fd50::/48');
    await told('IPv6 too', ['fd50::/48 v0']);
    ip('addr del 10.1.1.7/24 dev v0');
    await told('gone with its source, of which old kernels say nothing', ['10.50.0.0/16 v0']);
    await routes.add([route('10.60.0.0', 24)]);
    ip('link set v0 down');
    await told('gone with its link, of which the kernel says nothing', ['10.60.0.0/24 v0']);
    ip('link set v0 up');

    ip('link add w0 type veth peer name w1');
    ip('link set w0 up');
    await eventually('w0 is known', () => monitor.index('w0') !== undefined);
    await routes.add([route('10.61.0.0', 24, { interface: 'w0' })]);
    ip('link del w0');
    await told('gone with its interface', ['10.61.0.0/24 w0']);
    monitor.close();
  });

  await t.test('routes that were there at the start are known', async () => {
    await routes.add([route('10.62.0.0', 24)]);
    const gone: string[] = [];
    const monitor = await openLinkMonitor(
      () => undefined,
      () => undefined,
      ({ destination }) => gone.push(destination),
    );
    ip('route del 10.62.0.0/24');
    await eventually('told', () => gone.includes('10.62.0.0'));
    monitor.close();
  });

  await t.test("a flood of others' routes delays nothing and hides nothing", async (t) => {
    await routes.add([route('10.63.0.0', 24), route('10.64.0.0', 24)]);
    const gone: string[] = [];
    const links: string[] = [];
    let longestMs = 0;
    let lastMs = performance.now();
    const watch = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 1);
    const monitor = await watchLinks(
      (name, up) => links.push(`${name} ${up}`),
      () => undefined,
      ({ destination }) => gone.push(destination),
      // So small that the flood runs over, while this process waits for ip(8).
      64 * 1024,
    );
    const flood: string[] = [];
    for (let index = 0; index < 5_000; index++) {
      flood.push(`route add 10.${100 + (index >> 8)}.${index & 255}.0/24 dev v0`);
    }
    flood.push('route del 10.63.0.0/24 dev v0');
    execFileSync('ip', ['-batch', '-'], { input: flood.join('\n') });
    const down = promisify(execFile)('ip', ['link', 'set', 'v1', 'down']);
    lastMs = performance.now();
    longestMs = 0;
    await eventually('the link is known to be down', () => links.includes('v0 false'));
    await eventually('the lost event is made good', () => gone.includes('10.63.0.0'));
    ip('link set v1 up');
    t.same(gone, ['10.63.0.0']);
    await down;
    t.comment(`longest stretch without a turn of the event loop: ${longestMs.toFixed(1)} ms`);
    clearInterval(watch);
    monitor.close();
  });

  await t.test('an address is restored with its routes, as the director does it', async (t) => {
    const addresses = openAddresses();
    const vip = { address: '10.1.1.8', prefixLength: 24, interface: 'v0' };
    const withSource = route('10.65.0.0', 24, { via: '10.1.1.253', source: '10.1.1.8' });
    await addresses.add([vip]);
    await routes.add([withSource]);
    ip('addr del 10.1.1.8/24 dev v0');
    await addresses.add([vip]);
    await routes.add([withSource]);
    t.match(ours().join(), '10.65.0.0/24 via 10.1.1.253 dev v0 src 10.1.1.8');
    addresses.close();
  });

  routes.close();
});
