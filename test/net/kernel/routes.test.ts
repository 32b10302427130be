import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import type { VirtualRoute, VirtualRule } from '../../../src/config/model.js';
import { openAddresses } from '../../../src/io/netlink/addresses.js';
import { openLinkMonitor, watchLinks } from '../../../src/io/netlink/links.js';
import { openRouting } from '../../../src/io/netlink/routing/routing.js';
import type { LostRouting } from '../../../src/runtime/ports.js';
import { virtualRoute, virtualRule } from '../../unit/vrrp/instances.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

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
  return virtualRoute({ destination, prefixLength, interface: 'v0', ...more });
}

/** As a line, for a comparison. */
function lostText(lost: LostRouting): string {
  if (lost.kind === 'route') return `${lost.destination}/${lost.prefixLength} table ${lost.table}`;
  return lost.kind === 'rule' ? `${lost.family} rule ${lost.priority}` : lost.kind;
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
  const routing = openRouting();
  const routes = {
    add: (list: readonly VirtualRoute[]) => routing.add({ routes: list, rules: [] }),
    remove: (list: readonly VirtualRoute[]) => routing.remove({ routes: list, rules: [] }),
    close: () => routing.close(),
  };

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

  await t.test(
    'IPv4: ours stands before one of someone else, which is neither replaced nor removed',
    async (t) => {
      const wanted = route('0.0.0.0', 0, { via: '10.1.1.254' });
      const theirs = 'default via 10.1.1.1 dev v0';
      const table = () =>
        ip('-N route show default')
          .trim()
          .split('\n')
          .map((line) => line.trim());
      ip(`route add ${theirs}`);
      t.same(await routes.add([wanted]), ['default via 10.1.1.254 dev v0']);
      t.same(table(), ['default via 10.1.1.254 dev v0 proto 112', theirs]);
      t.same(await routes.add([wanted]), [], 'it is there');
      t.same(await routes.add([{ ...wanted, via: '10.1.1.253' }]), [], 'there in other words');
      t.same(table(), ['default via 10.1.1.253 dev v0 proto 112', theirs], 'the former words are gone');
      await routes.remove([{ ...wanted, via: '10.1.1.1' }]);
      t.ok(table().includes(theirs));
      await routes.remove([{ ...wanted, via: '10.1.1.253' }]);
      t.same(table(), [theirs], 'theirs counts again');
      await routes.remove([wanted]);
      t.same(table(), [theirs]);
      ip(`route del ${theirs}`);
    },
  );

  await t.test('IPv6: the place of someone else is left to him', async (t) => {
    const wanted = route('::', 0, { via: 'fd01::254' });
    const theirs = () => ip('-6 route show default').trim();
    ip('-6 route add default via fd01::1 dev v0');
    const before = theirs();
    await t.rejects(routes.add([wanted]), {
      code: 'ERR_FOREIGN_ROUTE',
      failures: [{ error: { code: 'ERR_FOREIGN_ROUTE' } }],
    });
    t.equal(theirs(), before);
    await routes.remove([wanted, { ...wanted, via: 'fd01::1' }]);
    t.equal(theirs(), before);
    await routes.add([{ ...wanted, metric: 5 }]);
    await routes.remove([{ ...wanted, metric: 5 }]);
    t.equal(theirs(), before);
    ip('-6 route del default via fd01::1 dev v0');
  });

  await t.test(
    'tables, types, scope, mtu, and a next hop that is on the link because we say so',
    async (t) => {
      const list = [
        route('10.50.0.0', 16, { via: '10.1.1.253', table: 100, mtu: 1400 }),
        route('10.50.0.0', 16, { via: '10.1.1.252', table: 1000 }),
        route('10.51.0.0', 16, { type: 'blackhole', interface: undefined }),
        route('10.52.0.0', 16, { type: 'unreachable', interface: undefined, table: 100 }),
        route('10.53.0.0', 16, { type: 'prohibit', interface: undefined }),
        route('10.54.0.0', 16, { type: 'throw', interface: undefined, table: 100 }),
        route('10.55.0.0', 16, { type: 'local', interface: 'lo', table: 100 }),
        route('10.56.0.0', 16, { via: '172.16.0.1', onLink: true }),
        route('10.57.0.0', 16, { scope: 200 }),
        route('fd50::', 48, { via: 'fd01::254', table: 100 }),
        route('fd51::', 48, { type: 'blackhole', interface: undefined }),
      ];
      await routes.add(list);
      t.same(await routes.add(list), [], 'again: all are there');
      const show = (table: string) => ip(`-N route show table ${table} proto 112`);
      t.match(show('100'), /10\.50\.0\.0\/16 via 10\.1\.1\.253 dev v0 mtu 1400/);
      t.match(show('100'), /7 10\.52\.0\.0\/16[^]*9 10\.54\.0\.0\/16[^]*2 10\.55\.0\.0\/16 dev lo scope 254/);
      t.match(show('1000'), /10\.50\.0\.0\/16 via 10\.1\.1\.252 dev v0/);
      t.match(show('main'), /6 10\.51[^]*8 10\.53[^]*10\.56\.0\.0\/16 via 172\.16\.0\.1 dev v0 onlink/);
      t.match(show('main'), /10\.57\.0\.0\/16 dev v0 scope 200/);
      t.match(ip('-6 -N route show table 100 proto 112'), /fd50::\/48 via fd01::254/);
      t.match(ip('-6 -N route show proto 112'), /6 fd51::\/48/);
      await routes.remove(list);
      for (const table of ['main', '100', '1000']) t.equal(show(table), '');
      t.equal(ip('-6 route show table all proto 112'), '');
    },
  );

  await t.test('rules: added with our number, told when they go, and nobody else is touched', async (t) => {
    const rules: VirtualRule[] = [
      virtualRule({ priority: 700, from: { address: '10.0.0.0', prefixLength: 8 } }),
      virtualRule({
        priority: 701,
        to: { address: '10.9.0.0', prefixLength: 16 },
        invert: true,
        fwmark: { mark: 0x10, mask: 0xf0 },
        iif: 'v0',
        oif: 'absent',
      }),
      virtualRule({
        priority: 702,
        action: 'prohibit',
        ipProtocol: 17,
        sourcePorts: { first: 53, last: 53 },
        destinationPorts: { first: 1024, last: 2047 },
      }),
      virtualRule({ priority: 703, action: { table: 254 }, suppressPrefixLength: 0 }),
      virtualRule({ priority: 700, family: 'ipv6', action: { table: 1000 } }),
    ];
    const add = () => routing.add({ routes: [], rules });
    const remove = () => routing.remove({ routes: [], rules });
    ip('rule add priority 702 from 10.0.0.0/8 table 100');
    t.equal((await add()).length, 5);
    t.same(await add(), [], 'again: all are there');
    const all = () => `${ip('-N rule show')}${ip('-6 -N rule show')}`;
    for (const words of [
      /700:\s+from 10\.0\.0\.0\/8 lookup 100 proto 112/,
      /701:\s+not from all to 10\.9\.0\.0\/16 fwmark 0x10\/0xf0 iif v0 oif absent \[detached\] lookup 100 proto 112/,
      /702:\s+from all ipproto \S+ sport 53 dport 1024-2047 .*8?.*proto 112/,
      /703:\s+from all lookup 254 suppress_prefixlength 0 proto 112/,
      /700:\s+from all lookup 1000 proto 112/,
    ]) {
      t.match(all(), words);
    }
    const lost: string[] = [];
    const monitor = await openLinkMonitor(
      () => undefined,
      () => undefined,
      (one) => lost.push(lostText(one)),
    );
    ip('rule del priority 700');
    ip('-6 rule del priority 700');
    await eventually('both are told', () => lost.includes('ipv4 rule 700') && lost.includes('ipv6 rule 700'));
    t.same((await add()).length, 2, 'both come back');
    ip('rule del priority 701');
    ip('rule add priority 701 not to 10.9.0.0/16 fwmark 0x10/0xf0 iif v0 oif absent table 100');
    t.equal((await add()).length, 1, 'ours comes beside one that is alike');
    await remove();
    t.notMatch(all(), /proto 112/);
    t.match(all(), /701:/, 'and his stays when ours goes');
    t.match(all(), /702:/);
    ip('rule del priority 701');
    ip('rule del priority 702');
    await t.resolves(remove());
    monitor.close();
  });

  await t.test('what an earlier run left goes, of all tables and both families', async (t) => {
    await routing.add({
      routes: [route('10.50.0.0', 16, { table: 100 }), route('fd50::', 48), route('10.51.0.0', 16)],
      rules: [virtualRule(), virtualRule({ family: 'ipv6', action: 'blackhole', priority: 5 })],
    });
    ip('route add 10.52.0.0/16 dev v0 table 100');
    ip('rule add priority 77 from 10.0.0.0/8 table 100');
    t.equal(await routing.clear(), 5);
    t.equal(await routing.clear(), 0);
    t.match(ip('route show table 100'), /10\.52\.0\.0\/16/);
    t.match(ip('rule show'), /77:/);
    ip('route flush table 100');
    ip('rule del priority 77');
  });

  await t.test('a device with another name has taken its routes along: they are removed there', async (t) => {
    ip('link add n0 type veth peer name n1');
    ip('link set n0 up');
    ip('link set n1 up');
    const list = [route('10.90.0.0', 16, { interface: 'n0' }), route('10.91.0.0', 16, { interface: 'n0' })];
    await routes.add(list);
    execFileSync('ip', ['-batch', '-'], { input: 'link set n0 down\nlink set n0 name m0\nlink set m0 up\n' });
    ip('route add 10.90.0.0/16 dev m0 proto 112');
    ip('route add 10.92.0.0/16 dev m0');
    await routes.remove(list);
    t.same(ours(), []);
    t.match(ip('route show'), /10\.92\.0\.0\/16/);
    ip('link del m0');
  });

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
      (lost) => gone.push(lostText(lost)),
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
    await told('removed by hand', ['10.60.0.0/24 table 254']);
    ip('-6 route del fd50::/48');
    await told('IPv6 too', ['fd50::/48 table 254']);
    ip('addr del 10.1.1.7/24 dev v0');
    await told('gone with its source, of which old kernels say nothing', ['10.50.0.0/16 table 254']);
    await routes.add([route('10.60.0.0', 24)]);
    ip('link set v0 down');
    await told('gone with its link, of which the kernel says nothing', ['10.60.0.0/24 table 254']);
    ip('link set v0 up');

    ip('link add w0 type veth peer name w1');
    ip('link set w0 up');
    await eventually('w0 is known', () => monitor.index('w0') !== undefined);
    await routes.add([route('10.61.0.0', 24, { interface: 'w0' })]);
    ip('link del w0');
    await told('gone with its interface', ['10.61.0.0/24 table 254']);

    // The link took them along.
    ip('addr add fd01::5/64 dev v0 nodad');
    await routes.add([
      route('10.66.0.0', 24, { via: '10.1.1.253' }),
      route('fd66::', 64, { via: 'fd01::254' }),
    ]);
    ip('route replace 10.66.0.0/24 via 10.1.1.252');
    await told('replaced by hand', ['10.66.0.0/24 table 254']);
    ip('route del 10.66.0.0/24');
    await told('and the other one gone', ['10.66.0.0/24 table 254']);
    ip('-6 route replace fd66::/64 via fd01::253 dev v0');
    await told('IPv6: replaced by hand', ['fd66::/64 table 254']);
    ip('-6 route del fd66::/64');
    await told('IPv6: and the other one gone', ['fd66::/64 table 254']);
    ip('route add 10.67.0.0/24 dev v0');
    ip('route replace 10.67.0.0/24 via 10.1.1.252');
    ip('route del 10.67.0.0/24');
    await routes.add([route('10.68.0.0', 24, { table: 100 })]);
    ip('route flush table 100');
    await told('of another table; what never was ours is not told', ['10.68.0.0/24 table 100']);
    monitor.close();
  });

  await t.test('routes that were there at the start are known', async () => {
    await routes.add([route('10.62.0.0', 24)]);
    const gone: string[] = [];
    const monitor = await openLinkMonitor(
      () => undefined,
      () => undefined,
      (lost) => gone.push(lostText(lost)),
    );
    ip('route del 10.62.0.0/24');
    await eventually('told', () => gone.includes('10.62.0.0/24 table 254'));
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
      (lost) => gone.push(lostText(lost)),
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
    await eventually('the lost event is made good', () => gone.includes('10.63.0.0/24 table 254'));
    ip('link set v1 up');
    t.same(
      gone.filter((one) => one !== 'unknown'),
      ['10.63.0.0/24 table 254'],
    );
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
