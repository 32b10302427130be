/**
 * Runs inside the VM, for kernels of hosts often lack them: bonds, VLANs and bridges under a running director. A
 * client's ping and its neighbour cache are the judges.
 */
import t, { type Test } from 'tap';
import {
  Bench,
  directorYaml,
  inState,
  instanceOf,
  OUTSIDE,
  type RunningDirector,
  settled,
  VIP,
} from '../../net/daemon-helpers.js';

t.setTimeout(600_000);

/** Several `ip` commands on a host of the lab, one after the other. */
const ips = async (bench: Bench, host: string, ...commands: readonly string[]): Promise<void> => {
  for (const command of commands) await bench.lab.run(host, ['ip', ...command.split(' ')]);
};

async function isAnswered(bench: Bench, vip: string): Promise<void> {
  await settled(`${vip} answers`, () =>
    bench.lab.run('client', ['ping', '-n', '-c', '1', '-W', '2', vip]).then(
      () => true,
      () => false,
    ),
  );
}

const macOf = async (bench: Bench, host: string, device: string): Promise<string> =>
  /link\/ether (\S+)/.exec(await bench.lab.run(host, ['ip', 'link', 'show', 'dev', device]))?.[1] ?? '';

async function neverLeft(t: Test, director: RunningDirector): Promise<void> {
  const { state, counters } = await instanceOf(director);
  t.same([state, counters['became_master'], counters['became_fault']], ['master', 1, undefined]);
}

await t.test('a bond takes the MAC address of the link that is left (fail_over_mac)', async (t) => {
  const bench = await Bench.open(t);
  await bench.switches('ip', 'link', 'set', 'lb1-inside', 'master', 'outside');
  await ips(
    bench,
    'lb1',
    'link add bond0 type bond mode active-backup fail_over_mac active miimon 50',
    'addr flush dev eth0',
    'addr flush dev eth1',
    'link set eth0 down',
    'link set eth1 down',
    'link set eth0 master bond0',
    'link set eth1 master bond0',
    'link set bond0 up',
    'addr add 192.168.7.11/24 dev bond0',
  );
  const director = await bench.start(
    'lb1',
    directorYaml({ instances: [{ ...OUTSIDE, interface: 'bond0' }] }),
  );
  await inState(director, 'master');
  await isAnswered(bench, VIP);
  const before = await macOf(bench, 'lb1', 'bond0');
  for (const [down, up] of [
    ['lb1-outside', 'lb1-inside'],
    ['lb1-inside', 'lb1-outside'],
  ] as const) {
    const last = await macOf(bench, 'lb1', 'bond0');
    await bench.switches('ip', 'link', 'set', up, 'up');
    await bench.switches('ip', 'link', 'set', down, 'down');
    await settled(
      'the bond has the other MAC address',
      async () => (await macOf(bench, 'lb1', 'bond0')) !== last,
    );
    const now = await macOf(bench, 'lb1', 'bond0');
    // Nobody asks for it: an announcement alone changes the cache.
    await settled('the client knows it', async () =>
      (await bench.lab.run('client', ['ip', 'neigh', 'show', VIP])).includes(now),
    );
    await isAnswered(bench, VIP);
  }
  t.equal(await macOf(bench, 'lb1', 'bond0'), before, 'and back again');
  await neverLeft(t, director);
});

await t.test('a VLAN that is deleted and made again, and its parent down and up', async (t) => {
  const bench = await Bench.open(t);
  const vip = '192.168.8.253';
  const make = ['link add link eth0 name eth0.7 type vlan id 7', 'link set eth0.7 up'];
  await ips(bench, 'client', ...make, 'addr add 192.168.8.100/24 dev eth0.7');
  await ips(bench, 'lb1', ...make, 'addr add 192.168.8.11/24 dev eth0.7');
  const instance = { ...OUTSIDE, interface: 'eth0.7', addresses: [`${vip}/24`] };
  const director = await bench.start('lb1', directorYaml({ instances: [instance] }));
  await inState(director, 'master');
  await isAnswered(bench, vip);

  await ips(bench, 'lb1', 'link del eth0.7');
  await inState(director, 'fault');
  await ips(bench, 'lb1', ...make, 'addr add 192.168.8.11/24 dev eth0.7');
  await inState(director, 'master');
  await isAnswered(bench, vip);

  await ips(bench, 'lb1', 'link set eth0 down');
  await inState(director, 'fault');
  t.notOk((await bench.addresses('lb1')).includes(`eth0.7 ${vip}/24`), 'no address without a link');
  await ips(bench, 'lb1', 'link set eth0 up', 'link set eth0.7 up');
  await inState(director, 'master');
  await isAnswered(bench, vip);
});

await t.test('a bridge whose only port leaves and comes back', async (t) => {
  const bench = await Bench.open(t);
  await ips(
    bench,
    'lb1',
    'link add br0 type bridge',
    'addr flush dev eth0',
    'link set eth0 master br0',
    'link set br0 up',
    'addr add 192.168.7.11/24 dev br0',
  );
  const director = await bench.start('lb1', directorYaml({ instances: [{ ...OUTSIDE, interface: 'br0' }] }));
  await inState(director, 'master');
  await isAnswered(bench, VIP);
  await ips(bench, 'lb1', 'link set eth0 nomaster');
  await inState(director, 'fault');
  await ips(bench, 'lb1', 'link set eth0 master br0');
  await inState(director, 'master');
  await isAnswered(bench, VIP);
  t.equal((await instanceOf(director)).counters['became_fault'], 1);
});
