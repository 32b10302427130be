/** What becomes of the devices with virtual MAC addresses when somebody meddles with them, or the file changes. */
import { writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { hasMacvlan } from '../../interop/peer-frr.js';
import {
  Bench,
  FILE_LIMIT_MS,
  instanceOf,
  isAlive,
  skip as noNamespaces,
  type RunningDirector,
  settled,
  testUnless,
} from '../daemon-helpers.js';

// Most of the time these tests wait.
t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);
const skip = noNamespaces || (hasMacvlan() ? false : 'this kernel has no macvlan');

interface Router {
  readonly name: string;
  readonly interface: string;
  readonly id: number;
  readonly addresses: readonly string[];
}

const A: Router = { name: 'a', interface: 'eth0', id: 60, addresses: ['192.168.7.253/24'] };
const B: Router = { name: 'b', interface: 'eth1', id: 60, addresses: ['10.7.0.253/24'] };
const C: Router = { name: 'c', interface: 'eth0', id: 61, addresses: ['fe80::7:253/64', 'fd00:7::253/64'] };

function yaml(...routers: readonly Router[]): string {
  return [
    'version: 1',
    'directors:',
    '  lb1: { priority: 150, address: 10.7.0.11 }',
    '  lb2: { priority: 100, address: 10.7.0.12 }',
    'vrrp:',
    '  instances:',
    ...routers.flatMap((router) => [
      `    - name: ${router.name}`,
      `      interface: ${router.interface}`,
      `      virtual_router_id: ${router.id}`,
      '      advertisement_interval: 200ms',
      `      addresses: [${router.addresses.map((one) => `'${one}'`).join(', ')}]`,
      '      virtual_mac: true',
    ]),
    '',
  ].join('\n');
}

const ip = (bench: Bench, command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);

/** Its macvlan devices as `NAME@PARENT`, sorted. */
async function devices(bench: Bench): Promise<string> {
  const text = await ip(bench, '-o link show type macvlan');
  return [...text.matchAll(/^\d+: (\S+):/gm)]
    .map(([, name]) => name ?? '')
    .sort()
    .join(' ');
}

/** The device that holds an address; empty: none. */
async function placeOf(bench: Bench, address: string): Promise<string> {
  const text = await ip(bench, '-o addr show');
  const lines = text.split('\n').filter((line) => line.includes(` ${address} `));
  return lines.map((line) => /^\d+: (\S+)/.exec(line)?.[1] ?? '').join(' ');
}

async function held(bench: Bench, { addresses }: Router, device: string): Promise<void> {
  for (const address of addresses) {
    let last = '';
    await settled(
      () => `${address} is on '${device}' and not on '${last}'`,
      async () => (last = await placeOf(bench, address)) === device,
    );
  }
}

/** The client reaches the last address of a router by its virtual MAC address. */
async function reached(bench: Bench, { addresses, id }: Router): Promise<void> {
  const address = addresses.at(-1)?.replace(/\/.*/, '') ?? '';
  const mac = `00:00:5e:00:0${address.includes(':') ? 2 : 1}:${id.toString(16)}`;
  await settled(`the client reaches ${address} by ${mac}`, async () => {
    const answered = await bench.lab
      .run('client', ['ping', '-n', '-c1', '-W1', address])
      .then(() => true)
      .catch(() => false);
    return answered && (await bench.lab.run('client', ['ip', 'neigh', 'show', address])).includes(mac);
  });
}

async function isMaster(director: RunningDirector, ...routers: readonly Router[]): Promise<void> {
  for (const { name } of routers) {
    await settled(`${name} is master`, async () => (await instanceOf(director, name)).state === 'master');
  }
}

async function reload(director: RunningDirector, text: string): Promise<void> {
  const before = director.log.filter(({ event }) => event === 'reload').length;
  await writeFile(director.configFile, text);
  director.child.kill('SIGHUP');
  await settled('it reloads', () => director.log.filter(({ event }) => event === 'reload').length > before);
}

async function openBench(t: Test): Promise<Bench> {
  const bench = await Bench.open(t);
  await bench.lab.run('client', ['ip', 'addr', 'add', 'fd00:7::100/64', 'dev', 'eth0', 'nodad']);
  await bench.ipv6Usable('lb1');
  return bench;
}

const test = testUnless(skip);

test('a device that is deleted, set down or put in another mode comes back, addresses and all', async (t) => {
  const bench = await openBench(t);
  const director = await bench.start('lb1', yaml(A, C));
  await isMaster(director, A, C);
  const complaints = director.log.filter(({ level }) => level >= 40).map(({ msg }) => msg);
  t.strictSame(complaints, [], 'nothing is wrong at the start');
  for (const router of [A, C]) {
    const device = `vrrp${router === A ? 4 : 6}-${router.id}-eth0`;
    await ip(bench, `link set ${device} down`);
    await settled('it is up again', async () => (await ip(bench, `-o link show ${device}`)).includes(',UP'));
    await held(bench, router, device);
    await reached(bench, router);
    await ip(bench, `link del ${device}`);
    await held(bench, router, device);
    await isMaster(director, router);
    await reached(bench, router);
    await ip(bench, `link set ${device} type macvlan mode private`);
    await ip(bench, `link set ${device} down`);
    await settled('it is in VEPA mode again', async () =>
      (await ip(bench, `-d link show ${device}`)).includes('mode vepa'),
    );
    await reached(bench, router);
  }
});

test('what a killed run with another file left goes, or is adopted', async (t) => {
  const bench = await openBench(t);
  const first = await bench.start('lb1', yaml(A, B));
  await isMaster(first, A, B);
  await ip(bench, 'link add foreign link eth0 type macvlan mode bridge');
  first.child.kill('SIGKILL');
  await first.child.exited;
  await settled('the guardian is done', () => !isAlive(first.guardian));
  t.equal(await devices(bench), 'foreign@eth0 vrrp4-60-eth0@eth0 vrrp4-60-eth1@eth1', 'the devices are left');
  // An address that the guardian could not have removed.
  await ip(bench, 'addr add 10.7.0.253/24 dev vrrp4-60-eth1');
  const again = await bench.start('lb1', yaml(A, C));
  await isMaster(again, A, C);
  t.equal(await devices(bench), 'foreign@eth0 vrrp4-60-eth0@eth0 vrrp6-61-eth0@eth0');
  t.equal(await placeOf(bench, '10.7.0.253/24'), '');
  await reached(bench, A);
});

test('a reload moves a router, swaps two, and removes the first of two of one VRID', async (t) => {
  const bench = await openBench(t);
  const director = await bench.start('lb1', yaml(A, B));
  await isMaster(director, A, B);
  const since = async (name: string) => (await instanceOf(director, name)).counters['became_master'];

  await reload(director, yaml(B));
  t.equal(await devices(bench), 'vrrp4-60-eth1@eth1');
  t.equal((await instanceOf(director, 'b')).state, 'master');
  t.equal(await since('b'), 1, 'the one that stays keeps its role');
  await held(bench, B, 'vrrp4-60-eth1');

  await reload(director, yaml(B, A));
  await isMaster(director, A, B);
  t.equal(await since('b'), 1);
  await held(bench, A, 'vrrp4-60-eth0');

  const swapped = [
    { ...A, interface: 'eth1' },
    { ...B, interface: 'eth0' },
  ];
  await reload(director, yaml(...swapped));
  await isMaster(director, ...swapped);
  await held(bench, A, 'vrrp4-60-eth1');
  await held(bench, B, 'vrrp4-60-eth0');
  t.equal(await devices(bench), 'vrrp4-60-eth0@eth0 vrrp4-60-eth1@eth1');

  const moved = { ...A, id: 62 };
  await reload(director, yaml(moved));
  await isMaster(director, moved);
  await held(bench, A, 'vrrp4-62-eth0');
  t.equal(await devices(bench), 'vrrp4-62-eth0@eth0');
  await reached(bench, moved);
  const complaints = director.log.filter(({ level }) => level >= 50).map(({ msg }) => msg);
  t.strictSame(complaints, []);
});

test('the parent renamed, and another device under its name: the address is on that one alone', async (t) => {
  const bench = await openBench(t);
  const director = await bench.start('lb1', yaml(A));
  await isMaster(director, A);
  await held(bench, A, 'vrrp4-60-eth0@eth0'.replace(/@.*/, ''));
  const [before] = /^\d+/.exec(await ip(bench, '-o link show eth0')) ?? [];

  await ip(bench, 'link set eth0 down');
  await ip(bench, 'link set eth0 name old');
  await ip(bench, 'link set old up');
  await held(bench, A, '');
  await settled('its device goes', async () => (await devices(bench)) === '');
  t.match((await instanceOf(director, 'a')).faults.join(' '), 'interface eth0 is missing');

  await ip(bench, 'link add eth0 type veth peer name far');
  await ip(bench, 'addr add 192.168.7.21/24 dev eth0');
  await ip(bench, 'link set far up');
  await ip(bench, 'link set eth0 up');
  await isMaster(director, A);
  await held(bench, A, 'vrrp4-60-eth0');
  t.equal(await devices(bench), 'vrrp4-60-eth0@eth0');
  const [now] = /^\d+/.exec(await ip(bench, '-o link show eth0')) ?? [];
  t.not(now, before);
});

test("a device of that name which is not ours is that instance's fault until it goes", async (t) => {
  const bench = await openBench(t);
  await ip(bench, 'link add vrrp4-60-eth0 type veth peer name far');
  const director = await bench.start('lb1', yaml(A, C));
  await isMaster(director, C);
  const { state, faults } = await instanceOf(director, 'a');
  t.equal(state, 'fault');
  t.match(faults.join(' '), "there is a device 'vrrp4-60-eth0' that is not ours (it is no macvlan)");
  t.equal(await placeOf(bench, '192.168.7.253/24'), '');
  await ip(bench, 'link del vrrp4-60-eth0');
  await isMaster(director, A);
  await reached(bench, A);
});
