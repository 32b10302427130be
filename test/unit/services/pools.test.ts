/** Quorum, panic and slow start over time, on a fake kernel that holds the table. */
import t from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import { overridden } from '../../../src/planning/overrides.js';
import { DOUBT_MS } from '../../../src/runtime/services/doubt.js';
import { oneCheck, realServer, tcpCheck, virtualServer } from '../config/servers.js';
import { directorConfig } from '../vrrp/instances.js';
import { FakeKernel, running } from './fake-kernel.js';

const SORRY = realServer('10.0.0.9');
const CHECK_MS = 1000;

/** Real servers 10.0.0.1 and so on with these weights; those in `dead` fail their checks. */
function pool(weights: readonly number[], settings: Partial<VirtualServer>) {
  const server = virtualServer({
    healthChecks: oneCheck(tcpCheck({ intervalMs: CHECK_MS, timeoutMs: 500, rise: 1, fall: 1 })),
    realServers: weights.map((weight, index) => realServer(`10.0.0.${index + 1}`, { weight })),
    ...settings,
  });
  const dead = new Set<number>();
  const answer = (address: string) =>
    [...dead].some((host) => address === `10.0.0.${host}`)
      ? ({ ok: false, reason: 'refused' } as const)
      : ({ ok: true } as const);
  const start = (kernel = new FakeKernel()) =>
    running(directorConfig({ virtualServers: [server] }), {}, kernel, answer);
  return { dead, start };
}

void t.test('the sorry server has the traffic from below the quorum until it is exceeded', async (t) => {
  const { dead, start } = pool([1, 1, 1, 1], { sorryServer: SORRY, quorum: { up: 2, hysteresis: 1 } });
  const { kernel, lines, pass, service } = await start();
  await pass(CHECK_MS);
  const inUse = () => service.status()[0]?.sorry_server?.in_use;
  dead.add(1).add(2).add(3);
  await pass(2 * CHECK_MS);
  t.same(kernel.servers, ['10.0.0.4 weight 1'], 'one of weight 1 is not below 2 - 1');
  t.equal(inUse(), false);
  dead.add(4);
  await pass(2 * CHECK_MS);
  t.same(kernel.servers, ['10.0.0.9 weight 1']);
  t.equal(inUse(), true);
  dead.delete(3);
  dead.delete(4);
  await pass(2 * CHECK_MS);
  t.same(
    kernel.servers.toSorted(),
    ['10.0.0.3 weight 0', '10.0.0.4 weight 0', '10.0.0.9 weight 1'],
    'two do not exceed it by 1',
  );
  // Hysteresis goes by the kernel's table: another process of ours decides the same.
  const restarted = await start(kernel);
  await restarted.pass(2 * CHECK_MS);
  t.same(kernel.servers.toSorted(), ['10.0.0.3 weight 0', '10.0.0.4 weight 0', '10.0.0.9 weight 1']);
  dead.delete(2);
  await restarted.pass(2 * CHECK_MS);
  t.same(kernel.servers.toSorted(), ['10.0.0.2 weight 1', '10.0.0.3 weight 1', '10.0.0.4 weight 1']);
  t.same(
    lines.filter((line) => line.includes('sorry')),
    ['web: real servers do not reach the quorum 2, the sorry server 10.0.0.9:80 does'],
  );
});

void t.test('in a panic all get traffic, and it is told', async (t) => {
  const { dead, start } = pool([1, 5, 1, 0], { panicThreshold: 0.5 });
  const { kernel, lines, pass, service } = await start();
  await pass(CHECK_MS);
  dead.add(1);
  await pass(2 * CHECK_MS);
  t.same(kernel.servers.toSorted(), ['10.0.0.2 weight 5', '10.0.0.3 weight 1', '10.0.0.4 weight 0']);
  t.equal(service.status()[0]?.panic, undefined);
  dead.add(2);
  await pass(2 * CHECK_MS);
  const all = ['10.0.0.1 weight 1', '10.0.0.2 weight 5', '10.0.0.3 weight 1', '10.0.0.4 weight 0'];
  t.same(kernel.servers.toSorted(), all, 'one of three is less than half');
  t.equal(service.status()[0]?.panic, true);
  t.match(service.status()[0]?.real_servers[0], { health: 'down' }, 'the status says what the checks say');
  dead.delete(1);
  await pass(2 * CHECK_MS);
  t.same(
    kernel.servers.toSorted(),
    all.filter((line) => !line.startsWith('10.0.0.2')),
  );
  t.equal(service.status()[0]?.panic, undefined);
  t.same(
    lines.filter((line) => line.includes('50%')),
    [
      'web: fewer than 50% of its real servers are healthy: all get traffic, whatever their checks say',
      'web: 50% of its real servers are healthy again: those alone get traffic',
    ],
  );
});

void t.test('a check asks for a weight, and the operator has the last word', async (t) => {
  const server = virtualServer({
    healthChecks: oneCheck(tcpCheck({ intervalMs: CHECK_MS, timeoutMs: 500 })),
    realServers: [realServer('10.0.0.1', { weight: 3 }), realServer('10.0.0.2', { weight: 3 })],
  });
  const config = directorConfig({ virtualServers: [server] });
  let weight: number | undefined = 8;
  const { kernel, service, pass } = await running(config, {}, new FakeKernel(), (address) =>
    address === '10.0.0.1' ? { ok: true, weight } : { ok: true },
  );
  await pass(3 * CHECK_MS);
  t.same(kernel.servers.toSorted(), ['10.0.0.1 weight 8', '10.0.0.2 weight 3']);
  t.match(service.status()[0]?.real_servers, [
    { weight: 8, file_weight: 3, check_weight: 8 },
    { weight: 3, file_weight: undefined, check_weight: undefined },
  ]);
  kernel.ops.length = 0;
  weight = 0;
  await pass(10 * CHECK_MS);
  weight = undefined;
  await pass(10 * CHECK_MS);
  t.same(
    kernel.ops,
    [0, 3].map((one) => `ipvsadm -e -t 192.0.2.51:80 -r 10.0.0.1:80 -m -w ${one}`),
    'one message for each change',
  );
  weight = 8;
  const overrides = [{ virtualServer: 'web', address: '10.0.0.1', port: 80, weight: 5 }];
  await service.reconfigure({ ...config, virtualServers: overridden([server], overrides) });
  await pass(5 * CHECK_MS);
  t.same(kernel.servers.toSorted(), ['10.0.0.1 weight 5', '10.0.0.2 weight 3']);
  t.match(service.status()[0]?.real_servers[0], { weight: 5, check_weight: 8 });
  await service.reconfigure(config);
  t.same(kernel.servers.toSorted(), ['10.0.0.1 weight 8', '10.0.0.2 weight 3'], 'until it is taken back');
});

void t.test('a real server that comes back gets its weight little by little', async (t) => {
  const { dead, start } = pool([100, 100], { slowStartMs: 10_000 });
  const { kernel, lines, pass } = await start();
  await pass(CHECK_MS);
  const weight = () =>
    Number(
      kernel.servers
        .find((line) => line.startsWith('10.0.0.1 '))
        ?.split(' ')
        .at(-1),
    );
  t.equal(weight(), 100, 'not at the start of the director');
  dead.add(1);
  await pass(2 * CHECK_MS);
  t.notOk(kernel.servers.some((line) => line.startsWith('10.0.0.1 ')));
  dead.delete(1);
  const seen: number[] = [];
  for (let second = 0; second < 14; second += 1) {
    await pass(CHECK_MS);
    seen.push(weight());
  }
  t.same(
    seen,
    seen.toSorted((a, b) => a - b),
    'it never falls',
  );
  t.ok(new Set(seen).size >= 10, `steps: ${seen.join()}`);
  t.equal(seen.at(-1), 100);
  t.ok(seen.find((one) => one > 0 && one < 100) !== undefined);
  t.ok(kernel.servers.includes('10.0.0.2 weight 100'), 'who never failed has all of it');
  t.same(
    lines.filter((line) => line.includes('somebody')),
    [],
    'nobody else is blamed',
  );
});

void t.test(
  'a director that may have been cut off takes no connections from who fails its checks',
  async (t) => {
    const { dead, start } = pool([1, 1], {});
    const { kernel, lines, pass, service } = await start();
    await pass(CHECK_MS);
    service.doubt();
    dead.add(1).add(2);
    await pass(3 * CHECK_MS);
    t.same(kernel.servers.toSorted(), ['10.0.0.1 weight 0', '10.0.0.2 weight 0']);
    t.match(service.status()[0]?.real_servers, [{ health: 'down' }, { health: 'down' }]);
    dead.delete(1);
    service.doubt();
    await pass(DOUBT_MS - CHECK_MS);
    t.same(
      kernel.servers.toSorted(),
      ['10.0.0.1 weight 1', '10.0.0.2 weight 0'],
      'it begins anew with each sign',
    );
    await pass(2 * CHECK_MS);
    t.same(kernel.servers, ['10.0.0.1 weight 1']);
    t.equal(lines.filter((line) => line.includes('may have been cut off')).length, 1);
  },
);
