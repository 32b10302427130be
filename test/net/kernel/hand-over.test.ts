/** Packets of a connection that the kernel does not know yet: they wait instead of being reset. */
import t from 'tap';
import { HAND_OVER_REMOVAL, HAND_OVER_TABLE, handOverRuleset } from '../../../src/planning/hand-over.js';
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

const RULESET =
  handOverRuleset(
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
    { own: new Set(), waits: () => true },
  ) ?? '';

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
    return Number(/@virtual_ipv4 counter packets (\d+)/.exec(table)?.[1]);
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
