/** The table over time: a fake kernel that holds one, and somebody who tampers with it. */
import t from 'tap';
import { DRAIN_LIMIT_MS } from '../../../src/ipvs/drain.js';
import type { DumpedService } from '../../../src/ipvs/model.js';
import { realServer, virtualServer } from '../config/servers.js';
import { directorConfig } from '../vrrp/instances.js';
import { FakeKernel, running } from './fake-kernel.js';

const WEB = virtualServer({ realServers: [2, 3].map((host) => realServer(`10.0.0.${host}`)) });
const BOTH = directorConfig({ virtualServers: [WEB] });
const ONE = directorConfig({ virtualServers: [{ ...WEB, realServers: WEB.realServers.slice(0, 1) }] });

const KEY = 'tcp 192.0.2.51:80 -> 10.0.0.3:80';

void t.test('a table that somebody empties is whole after a second, and it is told', async (t) => {
  const { kernel, lines, pass, counted } = await running(BOTH);
  t.match(counted(), { drifts: 0, repairs: 0, changes: { 'add-service': 1, 'add-destination': 2 } });
  t.same(kernel.servers, ['10.0.0.2 weight 1', '10.0.0.3 weight 1']);
  kernel.table.clear();
  await pass(1000);
  t.same(kernel.servers, ['10.0.0.2 weight 1', '10.0.0.3 weight 1']);
  t.same(lines, ['somebody changed the IPVS table (1 virtual server gone, 2 real servers gone): repaired']);
  await pass(60_000);
  t.equal(lines.length, 1, 'once');
  t.match(counted(), { drifts: 1, repairs: 3, changes: { 'add-service': 2, 'add-destination': 4 } });
  const { reconciles, reconcileMs, sinceReconciledMs = Number.NaN } = counted();
  t.ok(reconciles.done >= 4 && reconciles.failed === 0, `${reconciles.done} comparisons`);
  t.equal(
    reconcileMs.counts.reduce((sum, n) => sum + n, 0),
    reconciles.done,
  );
  t.ok(sinceReconciledMs <= 30_000, `the last one ${sinceReconciledMs} ms ago`);
});

void t.test('a rival who empties it every second is met at a pace', async (t) => {
  const { kernel, lines, pass } = await running(BOTH);
  for (let second = 0; second < 600; second += 1) {
    kernel.table.clear();
    await pass(1000);
  }
  t.ok(lines.length >= 20 && lines.length <= 45, `${lines.length} repairs in ten minutes`);
});

void t.test('a real server that a reload removes drains', async (t) => {
  const { kernel, service, pass, saved } = await running(BOTH);
  kernel.connections(1);
  await service.reconfigure(ONE);
  t.same(kernel.servers.toSorted(), ['10.0.0.2 weight 1', '10.0.0.3 weight 0']);
  t.same(saved(), { [KEY]: 0 }, 'known to a process that comes after');
  await pass(5000);
  t.match(service.status(), [
    { draining: [{ address: '10.0.0.3', port: 80, active_connections: 1, at_most_s: 25 }] },
  ]);
  t.match(service.report(), [{ name: 'web', draining: 1, isChecked: false, isSorry: undefined }]);
  kernel.connections(0);
  await pass(1000);
  t.same(kernel.servers, ['10.0.0.2 weight 1'], 'gone when nothing is left');
  t.same(saved(), {});
  t.notOk(Object.hasOwn(service.status()[0] ?? {}, 'draining'));
});

void t.test('it is gone after the limit, and stays when it is back in the file', async (t) => {
  const { kernel, service, pass } = await running(BOTH);
  kernel.connections(1);
  await service.reconfigure(ONE);
  await pass(DRAIN_LIMIT_MS - 2000);
  t.equal(kernel.servers.length, 2);
  await service.reconfigure(BOTH);
  t.same(kernel.servers.toSorted(), ['10.0.0.2 weight 1', '10.0.0.3 weight 1']);
  await pass(DRAIN_LIMIT_MS);
  t.equal(kernel.servers.length, 2, 'no longer due');
  await service.reconfigure(ONE);
  await pass(DRAIN_LIMIT_MS - 1000);
  t.equal(kernel.servers.length, 2, 'its time counts anew');
  await pass(2000);
  t.equal(kernel.servers.length, 1);
});

void t.test('the next process goes on where this one was', async (t) => {
  const before = await running(BOTH);
  before.kernel.connections(1);
  await before.service.reconfigure(ONE);
  const { kernel } = before;
  const after = await running(ONE, { drains: { [KEY]: -20_000 } }, kernel);
  t.equal(kernel.servers.length, 2);
  await after.pass(11_000);
  t.equal(kernel.servers.length, 1, 'ten seconds were left');
});

const EXCLUSIVE = { ...BOTH, ipvs: { ...BOTH.ipvs, exclusive: true } };
const STRANGER: DumpedService = {
  key: { family: 'ipv4', protocol: 6, address: '198.51.100.1', port: 80 },
  scheduler: 'rr',
  flags: 0,
  timeoutSeconds: 0,
  netmask: '255.255.255.255',
  destinations: [],
};
const OURS = 'tcp 192.0.2.51:80';
const THEIRS = 'tcp 198.51.100.1:80';

void t.test('what others have in the table stays', async (t) => {
  const kernel = new FakeKernel();
  kernel.table.set(THEIRS, STRANGER);
  const { service, lines, pass } = await running(BOTH, {}, kernel);
  await pass(60_000);
  t.same([...kernel.table.keys()], [THEIRS, OURS]);
  t.same(lines, []);
  await service.reconfigure(EXCLUSIVE);
  t.same([...kernel.table.keys()], [OURS], 'until a reload says otherwise');
  t.match(lines, [/ours alone .*: 1 services .* are removed/]);
  await service.reconfigure(BOTH);
  kernel.table.set(THEIRS, STRANGER);
  await pass(60_000);
  t.same([...kernel.table.keys()], [OURS, THEIRS], 'and again');
  t.equal(lines.length, 1);
});

void t.test(
  'exclusive: what others had is removed at the start, and what they add within 30 s',
  async (t) => {
    const kernel = new FakeKernel();
    kernel.table.set(THEIRS, STRANGER);
    const { lines, pass, counted } = await running(EXCLUSIVE, {}, kernel);
    t.same([...kernel.table.keys()], [OURS]);
    t.match(lines, [/ours alone/]);
    kernel.table.set(THEIRS, STRANGER);
    await pass(30_000);
    t.same([...kernel.table.keys()], [OURS]);
    t.same(lines.slice(1), ['somebody changed the IPVS table (1 virtual server added): repaired']);
    t.equal(counted().repairs, 1);
  },
);
