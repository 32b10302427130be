/** The table of `director top`: rates between two looks, and lines for terminals of any size. */
import t from 'tap';
import type { CountedService, TrafficStats } from '../../../src/ipvs/model.js';
import { type TopSample, topView } from '../../../src/observe/top/sample.js';
import { nextSort, SORTS, type TopLook, topText } from '../../../src/observe/top/table.js';
import type { VirtualServerStatus } from '../../../src/runtime/status.js';

const WIDE: TopLook = { sort: 'CPS', width: 200, height: 50, time: '12:34:56', keys: 'q quits' };

/** Counters that grow by `step` and its multiples with each look, and what the kernel would estimate. */
function stats(count: number): TrafficStats {
  return {
    connections: count,
    incomingPackets: 10 * count,
    outgoingPackets: 8 * count,
    incomingBytes: 1000 * count,
    outgoingBytes: 9000 * count,
    connectionsPerSecond: 7,
    incomingPacketsPerSecond: 70,
    outgoingPacketsPerSecond: 56,
    incomingBytesPerSecond: 7000,
    outgoingBytesPerSecond: 63_000,
  };
}

function service(address: string, counts: readonly number[], weight = 1): CountedService {
  return {
    key: { family: 'ipv4', protocol: 6, address, port: 80 },
    stats: stats(counts.reduce((all, count) => all + count, 0)),
    destinations: counts.map((count, index) => ({
      address: `10.0.0.${2 + index}`,
      port: 80,
      weight,
      activeConnections: 3 + index,
      inactiveConnections: 5,
      persistentConnections: 0,
      stats: stats(count),
    })),
  };
}

function told(change: Partial<VirtualServerStatus> = {}): VirtualServerStatus {
  return {
    name: 'web',
    address: '192.0.2.1',
    port: 80,
    protocol: 'tcp',
    scheduler: 'rr',
    forwarding: 'nat',
    real_servers: [
      { address: '10.0.0.2', port: 80, weight: 1, health: 'up', reason: null },
      { address: '10.0.0.3', port: 80, weight: 1, health: 'unchecked', reason: null },
      { address: '10.0.0.4', port: 80, weight: 1, health: 'down', reason: 'refused' },
      { address: '10.0.0.5', port: 80, weight: 1, health: 'up', reason: null, disabled: true },
    ],
    ...change,
  };
}

function look(atMs: number, services: readonly CountedService[], servers?: VirtualServerStatus[]): TopSample {
  const status = servers === undefined ? undefined : { director: 'lb1', virtual_servers: servers };
  return { atMs, services, status };
}

void t.test('rates are what was counted between two looks', async (t) => {
  const before = look(1000, [service('192.0.2.1', [100, 40])]);
  const view = topView(before, look(3000, [service('192.0.2.1', [120, 40])]));
  t.equal(view.sinceMs, 2000);
  t.match(view.services, [
    {
      connectionsPerSecond: 10,
      incomingPacketsPerSecond: 100,
      outgoingBytesPerSecond: 90_000,
      activeConnections: 7,
      inactiveConnections: 10,
      realServers: [
        { address: '10.0.0.2', connectionsPerSecond: 10, incomingBytesPerSecond: 10_000 },
        { address: '10.0.0.3', connectionsPerSecond: 0, activeConnections: 4 },
      ],
    },
  ]);
  t.match(view.total, { connectionsPerSecond: 10, activeConnections: 7 });
});

void t.test('the first look has the estimates of the kernel', async (t) => {
  const view = topView(undefined, look(1000, [service('192.0.2.1', [100]), service('192.0.2.2', [100])]));
  t.equal(view.sinceMs, null);
  t.match(view.services[0], { connectionsPerSecond: 7, realServers: [{ outgoingBytesPerSecond: 63_000 }] });
  t.equal(view.total.connectionsPerSecond, 14);
});

void t.test('what is new, and what was zeroed, began at nothing', async (t) => {
  const before = look(0, [service('192.0.2.1', [100])]);
  const view = topView(before, look(1000, [service('192.0.2.1', [6, 4]), service('192.0.2.2', [9])]));
  t.same(
    view.services.map(({ connectionsPerSecond }) => connectionsPerSecond),
    [10, 9],
  );
  t.same(
    view.services[0]?.realServers.map(({ connectionsPerSecond }) => connectionsPerSecond),
    [6, 4],
  );
});

void t.test('names and states are those of the director, also of what is not in the table', async (t) => {
  const six = told({ name: 'six', address: '2001:db8::1', protocol: 'udp', real_servers: [] });
  const marked = told({
    name: 'marked',
    address: null,
    protocol: null,
    port: 0,
    fwmark: 7,
    real_servers: [],
  });
  const table = [service('192.0.2.1', [1, 2]), service('198.51.100.1', [1])];
  const view = topView(undefined, look(0, table, [marked, six, told()]));
  t.equal(view.director, 'lb1');
  t.same(
    view.services.map(({ name, state, inTable }) => [name, state, inTable]),
    [
      ['web', '2/4 up', true],
      [null, null, true],
      ['six', '0/0 up', false],
      ['marked', '0/0 up', false],
    ],
  );
  t.same(
    view.services[0]?.realServers.map(({ address, state, weight }) => [address, state, weight]),
    [
      ['10.0.0.2', 'up', 1],
      ['10.0.0.3', 'unchecked', 1],
      ['10.0.0.4', 'down', null],
      ['10.0.0.5', 'disabled', null],
    ],
  );
  t.match(view.services[2]?.key, { family: 'ipv6', protocol: 17 });
});

void t.test('a sorry server, panic, and who drains', async (t) => {
  const sorry = { address: '10.0.0.2', port: 80, in_use: true };
  const away = { active_connections: 1, inactive_connections: 0, at_most_s: 9 };
  const draining = [{ address: '10.0.0.3', port: 80, ...away }];
  const of = (change: Partial<VirtualServerStatus>) =>
    topView(undefined, look(0, [service('192.0.2.1', [1, 1])], [told({ real_servers: [], ...change })]))
      .services[0];
  t.match(of({ sorry_server: sorry, draining }), {
    state: 'sorry',
    realServers: [{ state: 'sorry' }, { state: 'draining' }],
  });
  t.equal(of({ sorry_server: { ...sorry, in_use: false } })?.state, '0/0 up');
  t.equal(of({ panic: true })?.state, 'panic');
});

void t.test('the table', async (t) => {
  const before = look(1000, [service('192.0.2.1', [0, 0]), service('192.0.2.2', [0])]);
  const now = look(2000, [service('192.0.2.1', [5, 20]), service('192.0.2.2', [300_000])], [told()]);
  const { lines, title } = topText(topView(before, now), WIDE);
  t.equal(title, 2);
  t.same(lines, [
    'director lb1, 12:34:56, virtual servers: 2, real servers: 5, by CPS',
    'q quits',
    'Virtual server        State      Weight  ActiveConn  InActConn       CPS     InPPS    OutPPS     InBPS    OutBPS',
    'all                                              10         15    300025   3000250   2400200   300025K     2700M',
    'TCP 192.0.2.2:80                                  3          5    300000   3000000   2400000   300000K     2700M',
    '  -> 10.0.0.2:80                      1           3          5    300000   3000000   2400000   300000K     2700M',
    'web TCP 192.0.2.1:80  2/4 up                      7         10        25       250       200     25000    225000',
    '  -> 10.0.0.3:80      unchecked       1           4          5        20       200       160     20000    180000',
    '  -> 10.0.0.2:80      up              1           3          5         5        50        40      5000     45000',
    '  -> 10.0.0.4:80      down            -           0          0         0         0         0         0         0',
    '  -> 10.0.0.5:80      disabled        -           0          0         0         0         0         0         0',
  ]);
});

void t.test('what has no director says so, and that rates are estimates', async (t) => {
  const view = topView(undefined, look(0, [service('192.0.2.1', [1])]));
  const { lines, title } = topText(view, { ...WIDE, keys: undefined });
  t.equal(title, 1);
  t.equal(
    lines[0],
    'no director answers, 12:34:56, virtual servers: 1, real servers: 1, by CPS, rates as the kernel estimates them',
  );
});

void t.test('order: by address, or the largest first', async (t) => {
  const view = topView(
    undefined,
    look(0, [service('192.0.2.9', [1]), service('192.0.2.3', [1, 1]), service('192.0.2.5', [1, 1, 1])]),
  );
  const order = (sort: TopLook['sort']) =>
    topText(view, { ...WIDE, sort }).lines.flatMap((line) => /^TCP \S+\.(\d):80/.exec(line)?.[1] ?? []);
  t.same(order('address'), ['3', '5', '9']);
  t.same(order('ActiveConn'), ['5', '3', '9']);
  t.same(order('CPS'), ['3', '5', '9'], 'equal ones by address');
  const cycle = SORTS.map(nextSort);
  t.same(cycle.toSorted(), SORTS.toSorted(), 'the key goes through all of them');
});

void t.test('a narrow terminal leaves columns out, but never the one that sorts', async (t) => {
  const view = topView(undefined, look(0, [service('192.0.2.1', [1, 2])], [told()]));
  const titles = (width: number, sort: TopLook['sort'] = 'CPS') =>
    topText(view, { ...WIDE, width, sort })
      .lines[2]?.split(/ {2,}/)
      .slice(1);
  t.same(titles(115)?.length, 9);
  t.same(titles(80), ['State', 'ActiveConn', 'InActConn', 'CPS', 'InBPS']);
  t.same(titles(60), ['State', 'ActiveConn', 'CPS']);
  t.same(titles(60, 'OutPPS'), ['State', 'CPS', 'OutPPS']);
  t.same(titles(10, 'OutPPS'), ['OutPPS']);
  for (let width = 0; width < 130; width += 1) {
    const { lines } = topText(view, { ...WIDE, width });
    t.ok(
      lines.every((line) => line.length <= width),
      `${width}`,
    );
  }
});

void t.test('a low one says how much is left out', async (t) => {
  const view = topView(undefined, look(0, [service('192.0.2.1', [1, 2, 3])]));
  const lines = (height: number) => topText(view, { ...WIDE, height }).lines;
  t.equal(lines(8).length, 8);
  t.equal(lines(8).at(-1)?.trim().split(' ')[1], '10.0.0.4:80');
  t.same(lines(7).slice(6), ['... 2 more']);
  t.equal(lines(1).length, 1);
  t.same(lines(0), []);
});
