/** What an instance needs is not there at the start, or goes: its own fault, with its reason, until it is there. */
import { writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import {
  Bench,
  DIP,
  directorYaml,
  FILE_LIMIT_MS,
  INSIDE,
  inState,
  instanceOf,
  OUTSIDE,
  type RunningDirector,
  settled,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

/** Each instance on its own. */
function apart(...instances: (typeof OUTSIDE)[]): string {
  return directorYaml({ instances }).replace(/ {2}sync_groups:\n.*\n/, '');
}

async function isFault(director: RunningDirector, name: string, ...faults: string[]): Promise<void> {
  let last = '';
  await settled(
    () => `${name} is in fault by '${faults.join()}'; it is ${last}`,
    async () => {
      const { state, faults: now } = await instanceOf(director, name);
      last = `${state} by '${now.join()}'`;
      return state === 'fault' && now.join() === faults.join();
    },
  );
}

async function isMaster(director: RunningDirector, name: string): Promise<void> {
  await settled(`${name} is master`, async () => (await instanceOf(director, name)).state === 'master');
}

async function isHealthy(t: Test, director: RunningDirector, name: string): Promise<void> {
  const { state, counters } = await instanceOf(director, name);
  t.equal(state, 'master');
  t.equal(counters['became_master'], 1, `${name} has been master all the time`);
}

function told(director: RunningDirector, text: RegExp): number {
  return director.log.filter(({ level, msg }) => level >= 40 && text.test(msg)).length;
}

test('an interface that is missing', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  const late = { ...OUTSIDE, interface: 'eth7' };
  const director = await bench.start('lb1', apart(late, INSIDE));
  await isMaster(director, 'inside');
  await isFault(director, 'outside', 'interface eth7 is missing');
  t.equal(told(director, /cannot speak on eth7: interface eth7 is missing/), 1);

  await ip('link add eth7 type veth peer name peer7');
  const bare = 'interface eth7 has no IPv4 address of its own beside virtual ones';
  await isFault(director, 'outside', 'link of eth7 is down', bare);
  await ip('link set peer7 up');
  await ip('link set eth7 up');
  await isFault(director, 'outside', bare);
  await ip('addr add 192.168.7.77/24 dev eth7');
  await isMaster(director, 'outside');
  await settled('the address is on it', async () =>
    (await bench.addresses('lb1')).includes(`eth7 ${VIP}/24`),
  );

  await ip('link del eth7');
  await isFault(director, 'outside', 'interface eth7 is missing');
  await ip('link add eth7 type veth peer name peer7');
  await ip('addr add 192.168.7.78/24 dev eth7');
  await ip('link set peer7 up');
  await ip('link set eth7 up');
  await isMaster(director, 'outside');
  await settled('and on its successor', async () =>
    (await bench.addresses('lb1')).includes(`eth7 ${VIP}/24`),
  );
  await isHealthy(t, director, 'inside');
});

test('an interface that is renamed takes no address along', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  const director = await bench.start('lb1', apart(OUTSIDE, INSIDE));
  await isMaster(director, 'inside');
  await isMaster(director, 'outside');
  await bench.heldBy('lb1', VIP, DIP);
  await bench.lab.run('lb1', [
    'sh',
    '-c',
    'ip link set eth0 down; ip link set eth0 name other0; ip link set other0 up',
  ]);
  await isFault(director, 'outside', 'interface eth0 is missing');
  await bench.heldBy(undefined, VIP);
  await ip('link add eth0 type veth peer name peer0');
  await ip('addr add 192.168.7.78/24 dev eth0');
  await ip('link set peer0 up');
  await ip('link set eth0 up');
  await isMaster(director, 'outside');
  await settled('the new one has it', async () => (await bench.addresses('lb1')).includes(`eth0 ${VIP}/24`));
  t.notOk((await bench.addresses('lb1')).includes(`other0 ${VIP}/24`));
  await isHealthy(t, director, 'inside');
});

test('an address to speak from that is not there, and a port that is taken', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  await ip('addr flush dev eth0');
  await ip(`addr add ${VIP}/24 dev eth0`);
  const local = 'transport: { unicast: { lb1: 10.7.0.99, lb2: 10.7.0.12 } }';
  const yaml = apart(OUTSIDE, INSIDE, { ...INSIDE, name: 'third', id: 53, addresses: ['10.7.0.3/24'] })
    .replace(/(name: inside\n)/, `$1      ${local}\n`)
    .replace(/(name: third\n)/, '$1      transport: { udp: { port: 9112 } }\n');
  const taker = bench.lab.start('lb1', [
    process.execPath,
    '-e',
    "require('dgram').createSocket('udp4').bind(9112, '10.7.0.11', () => console.log('bound'))",
  ]);
  await settled('the port is taken', async () =>
    (await bench.lab.run('lb1', ['ss', '-lun'])).includes('10.7.0.11:9112'),
  );
  const director = await bench.start('lb1', yaml);
  await isFault(director, 'outside', 'interface eth0 has no IPv4 address of its own beside virtual ones');
  await isFault(director, 'inside', 'interface eth1 does not hold the address 10.7.0.99');
  await settled('the port is told', async () =>
    (await instanceOf(director, 'third')).faults.join().includes('EADDRINUSE'),
  );
  await ip('addr add 192.168.7.11/24 dev eth0');
  await isMaster(director, 'outside');
  await ip('addr add 10.7.0.99/24 dev eth1');
  await isMaster(director, 'inside');
  taker.kill('SIGKILL');
  await isMaster(director, 'third');
  await isHealthy(t, director, 'outside');
});

test('a network manager takes all addresses away and puts its own back', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml({ instances: [OUTSIDE, INSIDE] });
  const [first, second] = await bench.pair(yaml);
  await bench.heldBy('lb1', VIP, DIP);
  const own = '192.168.7.11/24';
  const script = `ip addr del ${own} dev eth0; ip addr flush dev eth0 to ${VIP}; sleep 0.07; ip addr add ${own} dev eth0`;
  await bench.lab.run('lb1', ['sh', '-c', script]);
  await settled('the virtual address is back', async () =>
    (await bench.lab.run('lb1', ['ip', 'addr', 'show', 'dev', 'eth0'])).includes(`${VIP}/24`),
  );
  t.match(
    await bench.lab.run('lb1', ['ip', 'addr', 'show', 'dev', 'eth0']),
    new RegExp(`${VIP}/24 .*secondary`),
    'the host speaks from its own',
  );
  await isHealthy(t, first, 'outside');
  await isHealthy(t, first, 'inside');
  const { state, counters } = await instanceOf(second, 'outside');
  t.same([state, counters['became_master']], ['backup', undefined]);
});

test('IPv6: the source is under duplicate address detection', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  await bench.lab.run('lb1', ['sysctl', '-q', 'net.ipv6.conf.eth0.disable_ipv6=0']);
  await bench.lab.run('lb1', [
    'sysctl',
    '-q',
    'net.ipv6.conf.eth0.addr_gen_mode=1',
    'net.ipv6.conf.eth0.accept_dad=1',
    // A minute of probes.
    'net.ipv6.conf.eth0.dad_transmits=60',
  ]);
  await ip('-6 addr flush dev eth0');
  await ip('addr add fe80::11/64 dev eth0');
  const six = { ...OUTSIDE, name: 'six', addresses: ['fe80::1/64', '2001:db8::1/64'] };
  const director = await bench.start('lb1', apart(six, INSIDE));
  await isFault(
    director,
    'six',
    'the address fe80::11 of interface eth0 is tentative: duplicate address detection is not over, or failed',
  );
  await isMaster(director, 'inside');
  await ip('addr del fe80::11/64 dev eth0');
  await ip('addr add fe80::11/64 dev eth0 nodad');
  await isMaster(director, 'six');
  await isHealthy(t, director, 'inside');
});

test('the interface of a virtual address, of a tracked object and of a route', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  const elsewhere = { ...OUTSIDE, addresses: [`{ address: ${VIP}/24, interface: eth8 }`] };
  const tracking = { ...INSIDE, name: 'tracking', id: 53, addresses: ['10.7.0.3/24'] };
  const yaml = apart(elsewhere, INSIDE, tracking)
    .replace(/(name: tracking\n)/, '$1      track: [uplink]\n')
    .trimEnd();
  const director = await bench.start('lb1', `${yaml}\n  track: [{ name: uplink, interface: eth9 }]\n`);
  await isFault(director, 'outside', 'interface eth8 is missing');
  await isFault(director, 'tracking', 'uplink is down');
  await isMaster(director, 'inside');
  await ip('link add eth8 type veth peer name eth9');
  await ip('link set eth8 up');
  await ip('link set eth9 up');
  await isMaster(director, 'outside');
  await isMaster(director, 'tracking');
  await settled('it is on eth8', async () => (await bench.addresses('lb1')).includes(`eth8 ${VIP}/24`));
  await ip('link del eth8');
  await isFault(director, 'outside', 'interface eth8 is missing');
  await isFault(director, 'tracking', 'uplink is down');
  await isHealthy(t, director, 'inside');
});

test('a reload to an interface that is missing, and back', async (t) => {
  const bench = await Bench.open(t);
  const director = await bench.start('lb1', apart(OUTSIDE, INSIDE));
  await isMaster(director, 'outside');
  await isMaster(director, 'inside');
  const reload = async (yaml: string) => {
    const before = director.log.filter(({ event }) => event === 'reload').length;
    await writeFile(director.configFile, yaml);
    director.child.kill('SIGHUP');
    await settled('it reloads', () => director.log.filter(({ event }) => event === 'reload').length > before);
  };
  await reload(apart({ ...OUTSIDE, interface: 'eth7' }, INSIDE));
  await isFault(director, 'outside', 'interface eth7 is missing');
  await bench.heldBy(undefined, VIP);
  await reload(apart(OUTSIDE, INSIDE));
  await isMaster(director, 'outside');
  await bench.heldBy('lb1', VIP, DIP);
  await isHealthy(t, director, 'inside');
  await inState(director, 'master');
});

test('check and plan warn of what is missing', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  await ip('addr flush dev eth0');
  await ip(`addr add ${VIP}/24 dev eth0`);
  const elsewhere = { ...INSIDE, addresses: [`{ address: ${DIP}/24, interface: { lb1: eth8, lb2: eth1 } }`] };
  const third = { ...OUTSIDE, name: 'third', interface: 'eth7', id: 53, addresses: ['192.168.7.3/24'] };
  const yaml = apart(OUTSIDE, elsewhere, third).trimEnd();
  const more = 'connection_sync: { interface: eth6, id: 51 }';
  const file = await bench.file('f.yaml', `${yaml}\n  track: [{ name: up, interface: eth9 }]\n${more}\n`);
  const checked = await bench.command('lb1', ['check', '-c', file, '--director', 'lb1']);
  t.equal(checked.status, 0);
  t.match(checked.output.join(), /: ok \(director lb1/);
  const expected = [
    'vrrp.instances[0].interface: warning: interface eth0 has no IPv4 address of its own',
    'vrrp.instances[1].addresses[0].interface.lb1: warning: this host has no interface eth8',
    'vrrp.instances[2].interface: warning: this host has no interface eth7',
    'vrrp.track[0].interface: warning: this host has no interface eth9',
    'connection_sync.interface: warning: this host has no interface eth6',
  ];
  t.equal(checked.errors.length, expected.length);
  for (const [i, words] of expected.entries()) {
    t.match(checked.errors[i], /^[^:]+:\d+:\d+: /);
    t.ok(checked.errors[i]?.includes(`: ${words}`), words);
  }
  const json = await bench.command('lb1', ['check', '-c', file, '--director', 'lb1', '--json']);
  t.match(JSON.parse(json.output.join('\n')), { ok: true, warnings: { length: 5 } });
  const bare = await bench.file('g.yaml', yaml);
  const planned = await bench.command('lb1', ['plan', '-c', bare, '--director', 'lb1']);
  t.equal(planned.status, 0, planned.errors.join('\n'));
  t.equal(planned.errors.filter((line) => line.includes(': warning: ')).length, 3);
});
