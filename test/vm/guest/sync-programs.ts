/**
 * Who makes connections in the lab, and who listens to what the sync daemons say.
 *
 * `sync-programs.js serve PORT...` takes TCP connections and answers each line; it closes when the client does.
 * `sync-programs.js open WHAT...` opens `KIND,ADDRESS,PORT[,PAYLOAD]`: `busy` (five lines), `idle`, `half` (not waited for),
 * `closed`, `udp`; prints `open` when all stand, and keeps them.
 * `sync-programs.js shout GROUP PORT OWN_ADDRESS` says something that no kernel takes.
 * `sync-programs.js forget VIRTUAL_ADDRESS` makes this host's kernel forget closed connections, and prints how many.
 * `sync-programs.js listen GROUP PORT OWN_ADDRESS` prints every datagram to the group in hexadecimal digits.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { openIpvs } from '../../../src/io/netlink/ipvs.js';
import { forgetClosed } from '../../../src/io/sync/forget.js';

const [mode, ...rest] = process.argv.slice(2);
const say = (line: string) => process.stdout.write(`${line}\n`);

async function open(what: string): Promise<void> {
  const [kind, host = '', portText, payload = 'x'] = what.split(',');
  const port = Number(portText);
  if (kind === 'udp') {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4').on('error', () => {});
    await new Promise((resolve) => socket.send(payload, port, host, resolve));
    return;
  }
  const socket = connect({ host, port, autoSelectFamily: false });
  if (kind === 'half') return void socket.on('error', () => {});
  await once(socket, 'connect');
  for (let line = 0; line < (kind === 'busy' ? 5 : 0); line += 1) {
    socket.write('x\n');
    await once(socket, 'data');
  }
  if (kind !== 'closed') return;
  socket.end();
  await once(socket.resume(), 'close');
}

if (mode === 'serve') {
  await Promise.all(
    rest.map(async (port) => {
      const server = createServer((socket) => {
        socket.on('error', () => {}).on('data', (data) => socket.write(data));
      });
      await once(server.listen(Number(port), '::'), 'listening');
    }),
  );
  say('ready');
} else if (mode === 'open') {
  for (const what of rest) await open(what);
  say('open');
  setInterval(() => {}, 1000);
} else if (mode === 'forget') {
  const ipvs = await openIpvs();
  say(String(await forgetClosed(ipvs, new Set(rest), new AbortController().signal)));
  ipvs.close();
} else if (mode === 'shout') {
  const [group, port, own = ''] = rest;
  const socket = createSocket('udp4');
  socket.bind(0, own, () => {
    socket.setMulticastInterface(own);
    socket.send('nonsense', Number(port), group, () => socket.close());
  });
} else {
  const [group = '', port, own = ''] = rest;
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.on('message', (message) => say(message.toString('hex')));
  socket.bind(Number(port), () => {
    socket.addMembership(group, own);
    say('ready');
  });
}
