/** Packets of a connection that the kernel does not know yet: they wait instead of being reset. */
import t from 'tap';
import {
  gateElements,
  HAND_OVER_REMOVAL,
  HAND_OVER_TABLE,
  handOverRuleset,
  planHandOver,
} from '../../../src/planning/hand-over.js';
import { realServer, virtualServer } from '../../unit/config/servers.js';
import { Bench, FILE_LIMIT_MS, settled, test, VIP } from '../daemon-helpers.js';

t.setTimeout(FILE_LIMIT_MS);

const ECHO = `require('node:net').createServer((socket) => socket.pipe(socket)).listen(80, () => console.log('listens'));`;
/** Says what it reads, prints what it hears. */
const TALKER = `
const socket = require('node:net').connect(80, '${VIP}');
socket.on('connect', () => console.log('connected'));
socket.on('data', (data) => process.stdout.write(data));
socket.on('error', (error) => console.log(error.code));
process.stdin.pipe(socket);`;

const PLAN = planHandOver(
  [
    { name: 'outside', addresses: [{ address: VIP }] },
    { name: 'inside', addresses: [{ address: '2001:db8::1' }] },
  ],
  [
    virtualServer({
      service: { protocol: 'tcp', address: VIP, port: 80 },
      realServers: [realServer('10.0.0.2', { forwarding: 'nat' })],
    }),
    virtualServer({
      service: { protocol: 'tcp', address: '2001:db8::1', port: 80 },
      realServers: [realServer('fd00::2', { forwarding: 'nat' })],
    }),
  ],
  new Set(),
);
const RULESET = handOverRuleset(PLAN, () => Number.POSITIVE_INFINITY) ?? '';

/** A program that changes gates in its own namespace. */
const gates = (waitMs: number, instances = [...PLAN.keys()]): string[] => {
  const elements = gateElements(PLAN, instances, () => waitMs);
  const list = elements.map(
    ({ table, set, key, timeoutMs }) =>
      `{ table: '${table}', set: '${set}', key: Uint8Array.of(${[...key].join()}), timeoutMs: ${timeoutMs} }`,
  );
  const module = new URL('../../../src/io/netlink/nft-sets.js', import.meta.url).href;
  return [
    process.execPath,
    '--input-type=module',
    '-e',
    `const { openNftSets } = await import(${JSON.stringify(module)});
try {
  await openNftSets().find('lvs_director_hand_over', 'waits_0');
  await openNftSets().change([${list.join()}]);
} catch (error) { console.log(error.code); }
process.exit();`,
  ];
};

test('packets wait, and new connections do not', async (t) => {
  const bench = await Bench.open(t);
  const onLb1 = (...command: string[]) => bench.lab.run('lb1', command);
  const nft = (ruleset: string) => bench.lab.run('lb1', ['nft', '-f', '-'], ruleset);
  await onLb1('ip', 'addr', 'add', `${VIP}/24`, 'dev', 'eth0');
  const heard = { server: '', first: '', second: '' };
  const start = (host: string, script: string, who: keyof typeof heard) =>
    bench.lab.start(host, [process.execPath, '-e', script], {
      onLine: (line) => {
        heard[who] += `${line} `;
      },
    });
  start('lb1', ECHO, 'server');
  await settled('the server listens', () => heard.server !== '');
  const first = start('client', TALKER, 'first');
  first.write('one\n');
  await settled('it answers', () => heard.first === 'connected one ');

  await nft(RULESET);
  first.write('two\n');
  const dropped = async () => {
    const table = await onLb1('nft', 'list', 'table', ...HAND_OVER_TABLE.split(' '));
    return Number(/@virtual_ipv4_waits_0 counter packets (\d+)/.exec(table)?.[1]);
  };
  await settled('its packet is dropped', async () => (await dropped()) > 0);
  t.equal(heard.first, 'connected one ', 'and it is not reset');
  const second = start('client', TALKER, 'second');
  await settled('a new one is made', () => heard.second === 'connected ');
  second.write('three\n');

  await nft(HAND_OVER_REMOVAL);
  await settled('what was dropped is said again', () => heard.first.endsWith('two '));
  await settled('by all', () => heard.second === 'connected three ');

  // As on a director that is a real server, too.
  await nft(RULESET);
  await onLb1('ip', 'addr', 'add', `${VIP}/32`, 'dev', 'lo');
  await onLb1('ip', 'addr', 'del', `${VIP}/24`, 'dev', 'eth0');
  first.write('four\n');
  await settled('an address on another device is not meant', () => heard.first.endsWith('four '));
  t.equal(await dropped(), 0);
});

test('a gate is changed without nft', async (t) => {
  const bench = await Bench.open(t);
  const onLb1 = (command: readonly string[]) => bench.lab.run('lb1', command);
  const elements = async (gate: string) => {
    const set = await onLb1(['nft', 'list', 'set', ...HAND_OVER_TABLE.split(' '), gate]);
    return /elements = \{ (.*) \}/.exec(set)?.[1] ?? '';
  };
  t.equal(await onLb1(gates(5000)), 'ENOENT\n', 'there is no table');
  await bench.lab.run('lb1', ['nft', '-f', '-'], RULESET);
  t.equal(await elements('waits_0'), 'tcp');
  t.equal(await onLb1(gates(100_000, ['outside'])), '', 'for so long from now on');
  t.match(await elements('waits_0'), /^tcp timeout 1m40s expires 1m/);
  t.equal(await elements('waits_1'), 'tcp', 'the other instance waits on');
  await onLb1(gates(200_000, ['outside']));
  t.match(await elements('waits_0'), /^tcp timeout 3m20s/, 'anew');
  await onLb1(gates(Number.POSITIVE_INFINITY));
  t.equal(await elements('waits_0'), 'tcp');
  await onLb1(gates(0));
  await settled('a wait ends by itself', async () => (await elements('waits_0')) === '');
  await onLb1(gates(Number.POSITIVE_INFINITY));
  t.equal(await elements('waits_0'), 'tcp', 'and begins again');
  await onLb1(['nft', 'delete', 'table', ...HAND_OVER_TABLE.split(' ')]);
  t.equal(await onLb1(gates(5000)), 'ENOENT\n', 'somebody took it away');
});
