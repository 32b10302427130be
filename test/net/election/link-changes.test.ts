/** Links change under a running director: what neighbours see of it. */
import t from 'tap';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  instanceOf,
  settled,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

test("a MAC address that changes while master reaches the neighbours' caches", async (t) => {
  const bench = await Bench.open(t);
  const director = await bench.start('lb1', directorYaml());
  await inState(director, 'master');
  const cached = async () =>
    /lladdr (\S+)/.exec(await bench.lab.run('client', ['ip', 'neigh', 'show', VIP]))?.[1];
  await bench.lab.run('client', ['ping', '-c', '1', '-W', '2', VIP]);
  const before = await cached();
  t.match(before, /^..:..:..:..:..:..$/);
  // Not reachable but known: only an announcement changes it.
  for (const mac of ['02:00:00:00:77:01', '02:00:00:00:77:02']) {
    await bench.lab.run('lb1', ['ip', 'link', 'set', 'eth0', 'address', mac]);
    await settled(`the client knows ${mac}`, async () => (await cached()) === mac);
  }
  t.equal((await instanceOf(director)).counters['became_master'], 1);
});

test('a tracked port that joins and leaves a bridge is up all the time', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  for (const command of [
    'link add port0 type veth peer name port1',
    'link set port1 up',
    'link set port0 up',
    'addr add 10.99.0.1/24 dev port0',
    'link add br9 type bridge',
    'link set br9 up',
  ]) {
    await ip(command);
  }
  const yaml = directorYaml().replace('addresses: [', 'track: [uplink]\n      addresses: [').trimEnd();
  const director = await bench.start(
    'lb1',
    `${yaml}\n  track: [{ name: uplink, interface: port0, address: 10.99.0.1 }]\n`,
  );
  await inState(director, 'master');
  for (let round = 0; round < 3; round++) {
    await ip('link set port0 master br9');
    await ip('link set port0 nomaster');
  }
  await ip('link set port1 down');
  await inState(director, 'fault');
  await ip('link set port1 up');
  await inState(director, 'master');
  t.equal((await instanceOf(director)).counters['became_fault'], 1, 'by its link alone');
});
