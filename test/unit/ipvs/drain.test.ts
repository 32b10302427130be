/** Real servers that leave the configuration, and a table that others change. */
import t from 'tap';
import { DRAIN_LIMIT_MS, drainKey, withDrains } from '../../../src/ipvs/drain.js';
import { foundWords } from '../../../src/ipvs/found.js';
import type { DumpedDestination, DumpedService, Service } from '../../../src/ipvs/model.js';
import { describeOp, plan } from '../../../src/ipvs/plan.js';
import { LOOK_SERVICES, TableLook } from '../../../src/runtime/services/table-look.js';

function destination(host: number, weight = 1, active = 0, inactive = 0): DumpedDestination {
  return {
    address: `10.0.0.${host}`,
    port: 80,
    forwarding: 'masq',
    weight,
    upperThreshold: 0,
    lowerThreshold: 0,
    activeConnections: active,
    inactiveConnections: inactive,
    persistentConnections: 9,
  };
}

function service(destinations: readonly DumpedDestination[], host = 1): DumpedService {
  return {
    key: { family: 'ipv4', protocol: 6, address: `192.0.${host >> 8}.${host & 0xff}`, port: 80 },
    scheduler: 'rr',
    flags: 0,
    timeoutSeconds: 0,
    netmask: '255.255.255.255',
    destinations,
  };
}

const STAYS = service([destination(2)]);
const LIMITS = () => new Map<string, number>();
const ops = (desired: readonly Service[], actual: DumpedService): string[] =>
  plan(desired, [actual], { ownedKeys: new Set(), prune: true }).map(describeOp);

void t.test('weight 0 first, then gone when nothing is left', async (t) => {
  const KEY = drainKey(STAYS.key, destination(3));
  const drain = (actual: DumpedService, times: Record<string, number>, nowMs: number) => {
    const { desired, drains } = withDrains([STAYS], () => [STAYS], [actual], times, nowMs, LIMITS);
    return { ops: ops(desired, actual), since: drains.map(({ sinceMs }) => sinceMs) };
  };
  const quiesce = 'ipvsadm -e -t 192.0.0.1:80 -r 10.0.0.3:80 -m -w 0';
  const remove = 'ipvsadm -d -t 192.0.0.1:80 -r 10.0.0.3:80';
  t.same(drain(service([destination(2), destination(3)]), {}, 5), { ops: [quiesce], since: [5] });
  const leaving = (active: number, inactive: number) =>
    service([destination(2), destination(3, 0, active, inactive)]);
  t.same(drain(leaving(1, 0), { [KEY]: 5 }, 900), { ops: [], since: [5] }, 'an active connection keeps it');
  t.same(drain(leaving(0, 1), { [KEY]: 5 }, 900), { ops: [], since: [5] }, 'an inactive one too');
  t.same(drain(leaving(0, 0), { [KEY]: 5 }, 900), { ops: [remove], since: [] });
  t.same(drain(leaving(7, 0), { [KEY]: 5 }, 5 + DRAIN_LIMIT_MS), { ops: [remove], since: [] }, 'the limit');
  t.same(drain(leaving(7, 0), {}, 900), { ops: [], since: [900] }, 'found by a process that knows no time');
  t.same(drain(leaving(7, 0), { [KEY]: 1e9 }, 900), { ops: [], since: [900] }, 'nor one from the future');
});

void t.test('the limit is that of its virtual server', async (t) => {
  const actual = service([destination(2), destination(3, 0, 7)]);
  const times = { [drainKey(STAYS.key, destination(3))]: 5 };
  const left = (limitMs: number, nowMs: number) =>
    withDrains(
      [STAYS],
      () => [STAYS],
      [actual],
      times,
      nowMs,
      () => new Map([['tcp 192.0.0.1:80', limitMs]]),
    ).drains.length;
  t.equal(left(60_000, 60_004), 1);
  t.equal(left(60_000, 60_005), 0);
  t.equal(left(0, 5), 0, 'at once');
});

void t.test('back in the file it gets its weight again; failed, it goes at once', async (t) => {
  const both = service([destination(2), destination(3)]);
  const actual = service([destination(2), destination(3, 0, 4)]);
  const back = withDrains([both], () => [both], [actual], {}, 5, LIMITS);
  t.same(back.drains, []);
  t.same(ops(back.desired, actual), ['ipvsadm -e -t 192.0.0.1:80 -r 10.0.0.3:80 -m -w 1']);
  const failed = withDrains([STAYS], () => [both], [actual], {}, 5, LIMITS);
  t.same(ops(failed.desired, actual), ['ipvsadm -d -t 192.0.0.1:80 -r 10.0.0.3:80']);
});

void t.test('what others did, in words', async (t) => {
  const two = [service([destination(2), destination(3)]), service([destination(2)], 2)];
  const words = (actual: readonly DumpedService[]): string =>
    foundWords(plan(two, actual, { ownedKeys: new Set(), prune: true }));
  t.equal(words([]), '2 virtual servers gone, 3 real servers gone');
  t.equal(
    words([
      { ...service([destination(2, 7), destination(3)]), scheduler: 'wlc' },
      service([destination(2), destination(9)], 2),
    ]),
    '1 virtual server changed, 1 real server changed, 1 real server added',
  );
});

void t.test('a look sees an emptied table at once and a single change in its turn', async (t) => {
  const all = Array.from({ length: 5 * LOOK_SERVICES + 1 }, (_, index) =>
    service([destination(2)], index + 1),
  );
  const table = new Map(all.map((one) => [JSON.stringify(one.key), one.destinations]));
  let asked = 0;
  const look = new TableLook({
    destinations: async (key) => {
      asked += 1;
      return [...(table.get(JSON.stringify(key)) ?? [])];
    },
  });
  const known = { services: all, drains: [], pruned: true, exclusive: false };
  for (let second = 0; second < 12; second += 1) t.equal(await look.look(known, 0), 'as known');
  t.ok(asked <= 12 * LOOK_SERVICES, 'and never asks for more');
  table.set(JSON.stringify(all.at(-1)?.key), [destination(2, 5)]);
  const found: string[] = [];
  for (let second = 0; second < 6; second += 1) found.push(await look.look(known, 0));
  t.ok(found.includes('changed'));
  table.clear();
  t.equal(await look.look(known, 0), 'changed');
});

void t.test('a look notices that a drained server is empty', async (t) => {
  const leaving = destination(3, 0, 1);
  const drain = { key: STAYS.key, destination: leaving, sinceMs: 0, limitMs: DRAIN_LIMIT_MS };
  const known = {
    services: [service([destination(2), leaving])],
    drains: [drain],
    pruned: true,
    exclusive: false,
  };
  let now = leaving;
  const look = new TableLook({ destinations: async () => [destination(2), now] });
  t.equal(await look.look(known, 1000), 'as known');
  t.equal(await look.look(known, DRAIN_LIMIT_MS), 'drained');
  now = destination(3, 0, 0);
  t.equal(await look.look(known, 1000), 'drained');
});
