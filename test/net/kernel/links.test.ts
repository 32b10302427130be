import { execFileSync } from 'node:child_process';
import t from 'tap';
import { openLinkMonitor, watchLinks } from '../../../src/io/netlink/links.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

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
  // Link-local addresses come and go with the links, when the kernel gets round to it.
  const about = (name: string): string[] =>
    log.filter((line) => line.startsWith(`${name} `) && !line.includes('fe80:'));
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
    t.same(
      about('e0').filter((line) => /up|down/.test(line)),
      ['e0 down', 'e0 up', 'e0 down', 'e0 down'],
      'there while down, up, down and gone',
    );
    t.same(
      log.filter((line) => line.endsWith('10.4.4.4')),
      ['d0 +10.4.4.4', 'd0 -10.4.4.4', 'e0 +10.4.4.4', 'e0 -10.4.4.4'],
      'it goes with its device',
    );
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

  await t.test(
    'a port that joins and leaves a bridge stays what it is, and the bridge has its carrier',
    async (t) => {
      ip('link add p0 type veth peer name p1');
      for (const command of [
        'addr add 10.6.6.6/24 dev p0',
        'link set p1 up',
        'link set p0 up',
        'link add b0 type bridge',
      ]) {
        ip(command);
      }
      ip('link set b0 up');
      await eventually('p0 is up', () => monitor.isUp('p0') && monitor.holds('p0', '10.6.6.6'));
      log.length = 0;
      for (let round = 0; round < 3; round++) {
        ip('link set p0 master b0');
        await eventually('the bridge is up', () => monitor.isUp('b0'));
        ip('link set p0 nomaster');
        await eventually('the bridge is down', () => !monitor.isUp('b0'));
      }
      t.ok(monitor.isUp('p0'));
      t.ok(monitor.holds('p0', '10.6.6.6'));
      t.same(about('p0'), [], 'nothing happened to the port');
      ip('link set p0 master b0');
      await eventually('the bridge is up again', () => monitor.isUp('b0'));
      ip('link set p1 down');
      await eventually('it goes down with its last port', () => !monitor.isUp('b0') && !monitor.isUp('p0'));
      ip('link del p0');
      ip('link del b0');
      await eventually('gone', () => monitor.index('p0') === undefined && monitor.index('b0') === undefined);
    },
  );

  await t.test('two devices swap their names, and the addresses go with the devices', async (t) => {
    for (const [name, peer, address] of [
      ['s0', 's0p', '10.8.0.1'],
      ['s1', 's1p', '10.8.1.1'],
    ]) {
      ip(`link add ${name} type veth peer name ${peer}`);
      ip(`addr add ${address}/24 dev ${name}`);
      ip(`link set ${peer} up`);
      ip(`link set ${name} up`);
    }
    await eventually('both are up', () => monitor.isUp('s0') && monitor.isUp('s1'));
    const [first, second] = [monitor.index('s0'), monitor.index('s1')];
    const swap = ['s0 name sx', 's1 name s0', 'sx name s1'];
    const swapNow = () => {
      const batch = ['link set s0 down', 'link set s1 down', ...swap.map((one) => `link set ${one}`)];
      execFileSync('ip', ['-batch', '-'], {
        input: [...batch, 'link set s0 up', 'link set s1 up'].join('\n'),
      });
    };
    log.length = 0;
    swapNow();
    await eventually('the names are swapped', () => monitor.index('s0') === second && monitor.isUp('s0'));
    await eventually('the other one too', () => monitor.index('s1') === first && monitor.isUp('s1'));
    t.ok(monitor.holds('s0', '10.8.1.1') && monitor.holds('s1', '10.8.0.1'));
    t.notOk(monitor.holds('s0', '10.8.0.1') || monitor.holds('s1', '10.8.1.1'));
    const told = (line: string) => log.filter((one) => one === line).length;
    t.equal(told('s0 -10.8.0.1') - told('s0 +10.8.0.1'), 1);
    t.equal(told('s0 +10.8.1.1') - told('s0 -10.8.1.1'), 1);
    t.equal(told('s1 +10.8.0.1') - told('s1 -10.8.0.1'), 1);

    const differences: string[] = [];
    const hardware: string[] = [];
    const small = await watchLinks(
      (name, up) => differences.push(`${name} ${up ? 'up' : 'down'}`),
      (change) => differences.push(`${change.interface} ${change.added ? '+' : '-'}${change.address}`),
      undefined,
      1,
      (name) => hardware.push(name),
    );
    const noise = Array.from({ length: 100 }, (_, i) => `addr add 10.9.${i}.1/32 dev lo`);
    const undo = noise.map((line) => line.replace(' add', ' del'));
    const batch = [...noise, 'link set s0 down', 'link set s1 down', ...swap.map((one) => `link set ${one}`)];
    const input = [...batch, 'link set s0 up', 'link set s1 up', ...undo].join('\n');
    execFileSync('ip', ['-batch', '-'], { input });
    await eventually(
      'a swap within lost events',
      () => small.index('s0') === first && small.isUp('s0') && small.isUp('s1'),
    );
    const net = (name: string, address: string) =>
      differences.filter((line) => line === `${name} +${address}`).length -
      differences.filter((line) => line === `${name} -${address}`).length;
    t.same(
      [net('s0', '10.8.0.1'), net('s0', '10.8.1.1'), net('s1', '10.8.0.1'), net('s1', '10.8.1.1')],
      [1, -1, -1, 1],
    );
    t.ok(hardware.includes('s0') && hardware.includes('s1'), 'the names have other MAC addresses');
    small.close();
    ip('link del s0');
    ip('link del s1');
  });

  await t.test('a MAC address that changes, and one that changed within lost events', async (t) => {
    const hardware: string[] = [];
    const watcher = await openLinkMonitor(
      () => undefined,
      () => undefined,
      undefined,
      (name) => hardware.push(name),
    );
    ip('link set v0 address 02:00:00:00:00:77');
    await eventually('it is told', () => hardware.length > 0);
    t.same(hardware, ['v0']);
    ip('link set v0 address 02:00:00:00:00:77');
    ip('link set v0 txqueuelen 500');
    ip('link set v1 address 02:00:00:00:00:78');
    await eventually('the next one', () => hardware.includes('v1'));
    t.same(hardware, ['v0', 'v1'], 'once each');
    watcher.close();
  });

  await t.test(
    'made anew between two looks: index, addresses and MAC address are those of the new device',
    async (t) => {
      ip('link add r0 type veth peer name r1');
      ip('addr add 10.7.7.1/24 dev r0');
      ip('link set r1 up');
      ip('link set r0 up');
      await eventually('r0 is up', () => monitor.isUp('r0'));
      const before = monitor.index('r0');
      log.length = 0;
      const again = ['link del r0', 'link add r0 type veth peer name r1', 'link set r1 up', 'link set r0 up'];
      execFileSync('ip', ['-batch', '-'], { input: [...again, 'addr add 10.7.7.2/24 dev r0'].join('\n') });
      await eventually(
        'it is another one',
        () => monitor.index('r0') !== before && monitor.holds('r0', '10.7.7.2'),
      );
      t.ok(monitor.isUp('r0'));
      t.notOk(monitor.holds('r0', '10.7.7.1'));
      t.ok(about('r0').includes('r0 -10.7.7.1'));
      ip('link del r0');
    },
  );

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
