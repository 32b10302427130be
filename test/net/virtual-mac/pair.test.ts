/** Two directors with one virtual MAC address: roles, failovers and the host's own traffic as a neighbour sees them. */
import t from 'tap';
import { FILE_LIMIT_MS, isAlive, settled, stop, testUnless } from '../daemon-helpers.js';
import { OTHER, openBench, type Router, servedBy, settledIn, skip, V2, V3, V6, yaml } from './routers.js';

// Most of the time these tests wait.
t.jobs = 3;
t.setTimeout(FILE_LIMIT_MS);

const test = testUnless(skip);

const PAIRS: readonly (readonly [name: string, routers: readonly Router[]])[] = [
  ['VRRPv3', [V3]],
  ['VRRPv2', [V2]],
  ['IPv6', [V6]],
  ['two VRIDs, and IPv6 beside them', [V3, V6, OTHER]],
];

for (const [name, routers] of PAIRS) {
  test(`${name}: one master, and the client keeps its neighbour through every failover`, async (t) => {
    const bench = await openBench(t);
    const file = yaml(routers);
    const [lb1, lb2] = await bench.pair(file);
    await servedBy(t, bench, 'lb1', routers);

    await stop(lb1);
    await settledIn(lb2, 'master');
    await servedBy(t, bench, 'lb2', routers);

    const again = await bench.start('lb1', file);
    await settledIn(again, 'backup');
    await servedBy(t, bench, 'lb2', routers);

    lb2.child.kill('SIGKILL');
    await settledIn(again, 'master');
    await settled('the guardian is done', () => !isAlive(lb2.guardian));
    await servedBy(t, bench, 'lb1', routers);
    t.match(
      lb2.errors.join('\n'),
      new RegExp(
        `${routers.length} of ${routers.length} farewells sent, successor heard for ${routers.length}`,
      ),
      'the guardian hears the successor',
    );
  });
}

test('the host speaks from its own addresses, however its routes are ranked', async (t) => {
  const bench = await openBench(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  // As NetworkManager has it: a route of metric 0 to the same subnet would be preferred.
  await ip('addr del 192.168.7.11/24 dev eth0');
  await ip('addr add 192.168.7.11/24 dev eth0 metric 100');
  await ip('addr del fd00:7::11/64 dev eth0');
  await ip('addr add fd00:7::11/64 dev eth0 nodad metric 1024');
  const director = await bench.start('lb1', yaml([V3, V6]));
  await settledIn(director, 'master');
  await servedBy(t, bench, 'lb1', [V3, V6]);
  t.match(await ip('route get 192.168.7.100'), / dev eth0 src 192\.168\.7\.11 /);
  t.match(await ip('-6 route get fd00:7::100'), / dev eth0 .*src fd00:7::11 /);
  // A route that is made anew comes last among equals, or not at all.
  await ip('route del 192.168.7.0/24 dev eth0');
  await ip('route add 192.168.7.0/24 dev eth0 src 192.168.7.11');
  t.match(await ip('route get 192.168.7.100'), / dev eth0 src 192\.168\.7\.11 /);
});

test('where the host has no other way to the subnet, it has one by the virtual address', async (t) => {
  const bench = await openBench(t);
  const away = { ...V3, vip: '192.168.9.253' };
  const director = await bench.start('lb1', yaml([away]));
  await settledIn(director, 'master');
  await bench.lab.run('client', ['ip', 'addr', 'add', '192.168.9.100/24', 'dev', 'eth0']);
  await servedBy(t, bench, 'lb1', [away]);
});
