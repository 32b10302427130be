import { execFileSync } from 'node:child_process';
import t from 'tap';
import { openLinkMonitor, watchLinks } from '../../src/io/links.js';
import { eventually, ip, runInNamespace } from './namespace.js';

await runInNamespace(import.meta.url, async () => {
  ip('link add v0 type veth peer name v1');
  ip('link set v0 up');
  ip('link set v1 up');
  ip('addr add 10.1.1.5/24 dev v0');
  const log: string[] = [];
  const onChange = (name: string, up: boolean): void => {
    log.push(`${name} ${up ? 'up' : 'down'}`);
  };
  const onAddress = (change: { address: string; interface: string; added: boolean }): void => {
    log.push(`${change.interface} ${change.added ? '+' : '-'}${change.address}`);
  };
  const about = (name: string): string[] => log.filter((line) => line.startsWith(`${name} `));
  const monitor = await openLinkMonitor(onChange, onAddress);

  await t.test('at start the state is known and nothing is reported', async (t) => {
    await eventually('carrier', () => monitor.isUp('v0') && monitor.isUp('v1'));
    t.equal(monitor.isUp('lo'), true);
    t.equal(monitor.isUp('absent'), false);
    t.same(about('lo'), []);
    t.notOk(log.some((line) => line.includes('10.1.1.5')));
  });

  await t.test('carrier lost and back', async (t) => {
    log.length = 0;
    ip('link set v1 down');
    await eventually('v0 lost its carrier', () => !monitor.isUp('v0'));
    t.equal(monitor.isUp('v1'), false);
    ip('link set v1 up');
    await eventually('v0 is up', () => monitor.isUp('v0') && monitor.isUp('v1'));
    t.same(about('v0'), ['v0 down', 'v0 up']);
    t.same(about('v1'), ['v1 down', 'v1 up']);
  });

  await t.test('set down by the administrator', async (t) => {
    log.length = 0;
    ip('link set v0 down');
    await eventually('v0 is down', () => !monitor.isUp('v0'));
    ip('link set v0 up');
    await eventually('v0 is up', () => monitor.isUp('v0'));
    t.match(about('v0').join(' '), /^v0 down .*v0 up$/);
  });

  await t.test('addresses that others add and remove', async (t) => {
    log.length = 0;
    ip('addr add 10.1.1.7/24 dev v0');
    ip('addr del 10.1.1.7/24 dev v0');
    await eventually('both are seen', () => about('v0').length >= 2);
    t.same(about('v0'), ['v0 +10.1.1.7', 'v0 -10.1.1.7']);
  });

  await t.test('renamed, made anew, removed', async (t) => {
    log.length = 0;
    ip('link add d0 type veth peer name d1');
    ip('link set d1 up');
    ip('link set d0 up');
    ip('addr add 10.4.4.4/24 dev d0');
    await eventually('d0 is up', () => monitor.isUp('d0'));
    ip('link set d0 down');
    ip('link set d0 name e0');
    ip('link set e0 up');
    await eventually('e0 is up', () => monitor.isUp('e0'));
    t.equal(monitor.isUp('d0'), false);
    ip('link del e0');
    await eventually('e0 is gone', () => !monitor.isUp('e0'));
    t.equal(about('d0').at(-1), 'd0 down');
    t.equal(about('e0').filter((line) => line === 'e0 up').length, 1);
    t.equal(about('e0').filter((line) => line === 'e0 down').length, 1);
    // Whether it loses the address when it is set down or when it is deleted, it is told once.
    t.equal(log.filter((line) => line.endsWith(' -10.4.4.4')).length, 1);
  });

  await t.test('lost events: it dumps again and reports the difference', async (t) => {
    const differences: string[] = [];
    const small = await watchLinks(
      (name, up) => differences.push(`${name} ${up ? 'up' : 'down'}`),
      (change) => differences.push(`${change.interface} ${change.added ? '+' : '-'}${change.address}`),
      undefined,
      // The kernel's minimum: a few events fill it while this process waits for ip(8).
      1,
    );
    t.equal(small.isUp('v0'), true);
    const batch: string[] = [];
    for (let round = 0; round < 50; round++) {
      for (const last of [21, 22, 23]) {
        batch.push(`addr add 10.5.5.${last}/32 dev v0`, `addr del 10.5.5.${last}/32 dev v0`);
      }
    }
    batch.push('addr add 10.5.5.99/32 dev v0', 'link set v1 down');
    execFileSync('ip', ['-batch', '-'], { input: batch.join('\n') });
    await eventually('the end is known', () => differences.includes('v0 +10.5.5.99') && !small.isUp('v0'));
    t.ok(differences.length < batch.length, `events were lost: ${differences.length} of ${batch.length}`);
    t.equal(differences.filter((line) => line === 'v0 +10.5.5.99').length, 1);
    for (const last of [21, 22, 23]) {
      const added = differences.filter((line) => line === `v0 +10.5.5.${last}`).length;
      const removed = differences.filter((line) => line === `v0 -10.5.5.${last}`).length;
      t.equal(added, removed, `10.5.5.${last} is told gone as often as it was told there`);
    }
    differences.length = 0;
    ip('link set v1 up');
    await eventually('it still watches', () => small.isUp('v0'));
    t.ok(differences.includes('v0 up'));
    small.close();
  });

  await t.test('IPv6: there when usable, told with a duplicate, held in canonical text', async (t) => {
    log.length = 0;
    ip('addr add fd00:0:0:0::7/64 dev v0 nodad');
    await eventually('it is told', () => about('v0').includes('v0 +fd00::7'));
    t.ok(monitor.holds('v0', 'fd00::7'));
    t.notOk(monitor.holds('v1', 'fd00::7'));
    ip('addr del fd00::7/64 dev v0');
    await eventually('it is told gone', () => about('v0').includes('v0 -fd00::7'));
    t.notOk(monitor.holds('v0', 'fd00::7'));
    t.equal(monitor.index('v0'), Number(ip('-o link show dev v0').split(':')[0]));
    t.equal(monitor.index('absent'), undefined);

    // v0 and v1 are one segment: the second to come finds the first.
    const dad: { address: string; interface: string; added: boolean; dadFailed: boolean }[] = [];
    const watcher = await openLinkMonitor(
      () => undefined,
      (change) => dad.push(change),
    );
    ip('addr add fd00::8/64 dev v1 nodad');
    ip('addr add fd00::8/64 dev v0');
    const failed = { address: 'fd00::8', interface: 'v0', added: true, dadFailed: true };
    const isFailed = (change: (typeof dad)[number]) => change.dadFailed && change.interface === 'v0';
    await eventually('the duplicate is told', () => dad.some(isFailed));
    t.same(
      dad.filter((change) => change.interface === 'v0' && change.address === 'fd00::8'),
      [failed],
    );
    t.notOk(watcher.holds('v0', 'fd00::8'), 'one that cannot be used is not held');
    t.ok(watcher.holds('v1', 'fd00::8'));
    watcher.close();

    const late: typeof dad = [];
    const latecomer = await openLinkMonitor(
      () => undefined,
      (change) => late.push(change),
    );
    t.same(late, [], 'not before the caller has the monitor');
    await eventually('a duplicate of before is told', () => late.some(isFailed));
    t.same(late, [failed]);
    latecomer.close();
    for (const name of ['v0', 'v1']) ip(`addr del fd00::8/64 dev ${name}`);
  });

  await t.test('closed, it is silent', async (t) => {
    monitor.close();
    log.length = 0;
    const other = await openLinkMonitor(
      () => undefined,
      (change) => log.push(change.address),
    );
    ip('addr add 10.1.1.8/24 dev v0');
    await eventually('another one sees it', () => log.length > 0);
    t.same(log, ['10.1.1.8']);
    other.close();
  });
});
