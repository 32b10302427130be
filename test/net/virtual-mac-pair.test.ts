/** Two directors with one virtual MAC address: roles, failovers and the host's own traffic as a neighbour sees them. */
import t, { type Test } from 'tap';
import { SWITCHES } from '../../src/drill/lab-plan.js';
import { stopChild } from '../../src/drill/process.js';
import { hasMacvlan } from '../interop/peer-frr.js';
import {
  Bench,
  FILE_LIMIT_MS,
  isAlive,
  skip as noNamespaces,
  pause,
  type RunningDirector,
  settled,
  statusOf,
  stop,
  testUnless,
} from './daemon-helpers.js';

// Most of the time these tests wait.
t.jobs = 3;
t.setTimeout(FILE_LIMIT_MS);
const skip = noNamespaces || (hasMacvlan() ? false : 'this kernel has no macvlan');

interface Router {
  readonly name: string;
  readonly id: number;
  readonly version?: 2;
  readonly vip: string;
  readonly length: number;
  readonly mac: string;
  /** Whether this director's instance has the virtual MAC address; both, unless said otherwise. */
  readonly virtual?: boolean;
}

const V3: Router = {
  name: 'four',
  id: 51,
  vip: '192.168.7.253',
  length: 24,
  mac: '00:00:5e:00:01:33',
};
const V2: Router = { ...V3, name: 'two', version: 2 };
const V6: Router = { name: 'six', id: 51, vip: 'fd00:7::253', length: 64, mac: '00:00:5e:00:02:33' };
const OTHER: Router = { ...V3, name: 'other', id: 60, vip: '192.168.7.254', mac: '00:00:5e:00:01:3c' };

function yaml(routers: readonly Router[]): string {
  return [
    'version: 1',
    'directors:',
    '  lb1: { priority: 150, address: 10.7.0.11 }',
    '  lb2: { priority: 100, address: 10.7.0.12 }',
    'vrrp:',
    '  instances:',
    ...routers.flatMap(({ name, id, version, vip, length, virtual = true }) => [
      `    - name: ${name}`,
      '      interface: eth0',
      `      virtual_router_id: ${id}`,
      ...(version === undefined ? [] : [`      version: ${version}`]),
      `      advertisement_interval: ${version === 2 ? '1s' : '200ms'}`,
      '      preempt: false',
      `      addresses: [${vip.includes(':') ? `'fe80::7:253/64', ` : ''}'${vip}/${length}']`,
      `      virtual_mac: ${virtual}`,
    ]),
    '',
  ].join('\n');
}

/** A pair of hosts of whom the client knows nothing, with IPv6 at hand. */
async function openBench(t: Test): Promise<Bench> {
  const bench = await Bench.open(t);
  for (const [host, last] of [
    ['client', 100],
    ['lb1', 11],
    ['lb2', 12],
  ] as const) {
    await bench.lab.run(host, ['ip', 'addr', 'add', `fd00:7::${last}/64`, 'dev', 'eth0', 'nodad']);
  }
  return bench;
}

/** The MAC address that the client has for an address; undefined when one ping gets no answer. */
async function neighbour(bench: Bench, address: string): Promise<string | undefined> {
  const answered = await bench.lab
    .run('client', ['ping', '-n', '-c1', '-W5', address])
    .then(() => true)
    .catch(() => false);
  if (!answered) return undefined;
  const entry = await bench.lab.run('client', ['ip', 'neigh', 'show', address, 'dev', 'eth0']);
  return / lladdr (\S+)/.exec(entry)?.[1];
}

async function holdersOf(bench: Bench, address: string): Promise<string> {
  const found: string[] = [];
  for (const host of ['lb1', 'lb2']) {
    const text = await bench.lab.run(host, ['ip', '-o', 'addr', 'show']);
    if (text.includes(` ${address}/`)) found.push(host);
  }
  return found.join(' ');
}

/** `host` alone holds every address, and the client reaches each by the virtual MAC address, as it did before. */
async function servedBy(t: Test, bench: Bench, host: string, routers: readonly Router[]): Promise<void> {
  for (const { vip, mac } of routers) {
    let last = '';
    await settled(
      () => `${vip} is held by ${host} alone, not by '${last}'`,
      async () => (last = await holdersOf(bench, vip)) === host,
    );
    t.equal(await neighbour(bench, vip), mac, `${vip} by its virtual MAC address`);
  }
}

async function roles(director: RunningDirector): Promise<string> {
  return (await statusOf(director)).instances
    .map(({ state, master }) => `${state}:${master !== null}`)
    .join(' ');
}

async function settledIn(director: RunningDirector, state: 'master' | 'backup'): Promise<void> {
  await settled(`${director.host} is ${state}`, async () =>
    (await roles(director)).split(' ').every((one) => one === `${state}:true`),
  );
}

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

/** How a role goes from `director`, whose addresses must go with it. */
const WAYS: Readonly<Record<string, (bench: Bench, director: RunningDirector) => Promise<unknown>>> = {
  'is told to hand over': (bench, { host, runtimeDirectory }) =>
    bench.command(host, ['failover', '--runtime-dir', runtimeDirectory]),
  'is stopped': (_, director) => stop(director),
  'is killed': async (_, { child }) => child.kill('SIGKILL'),
  'stands still': async (_, { child }) => child.kill('SIGSTOP'),
};

for (const [way, leave] of Object.entries(WAYS)) {
  test(`a master that ${way} says nothing with the virtual MAC address afterwards`, async (t) => {
    const bench = await openBench(t);
    const [lb1, lb2] = await bench.pair(yaml([V6]));
    const heard: string[] = [];
    const said: string[] = [];
    const options = ['-Q', 'in', '-Z', 'root', '-nn', '-tt', '-l', '--immediate-mode'];
    const argv = ['-i', 'lb1-outside', ...options, `ether src ${V6.mac}`];
    const tcpdump = bench.lab.start(SWITCHES, ['tcpdump', ...argv], {
      onLine: (line) => heard.push(line),
      onErrorLine: (line) => said.push(line),
    });
    await settled('tcpdump listens', () => said.some((line) => line.includes('listening on')));
    await settled('it sees advertisements', () => heard.length > 0);
    await leave(bench, lb1);
    await settledIn(lb2, 'master');
    await servedBy(t, bench, 'lb2', [V6]);
    const goneMs = Date.now();
    if (way === 'stands still') {
      lb1.child.kill('SIGCONT');
      await settledIn(lb1, 'backup');
    }
    // The kernel repeats its report within a second (mldv2_unsolicited_report_interval).
    await pause(2500);
    await stopChild(tcpdump, 'SIGINT');
    t.strictSame(
      heard.filter((line) => line.includes('multicast listener')),
      [],
      'no report that would draw the clients here',
    );
    t.strictSame(
      heard.filter((line) => Number.parseFloat(line) * 1000 > goneMs),
      [],
      'nothing at all once the addresses are gone',
    );
    await servedBy(t, bench, 'lb2', [V6]);
  });
}
