/**
 * Servers and a client that tell who answers, over IPv4 and IPv6.
 *
 * `name-server.js serve NAME PORT...` answers each connection and each datagram on these ports with its name;
 * `serve-peer` with its name and the address that it sees as the client.
 * `name-server.js ask WHAT...` asks one after the other, `tcp:COUNT:ADDRESS:PORT` and `udp:COUNT:ADDRESS:PORT` (all of one
 * port), and prints the answers as JSON, a list of names for each; `-` is no answer.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6 } from 'node:net';

/** Under emulation. */
const ANSWER_MS = 5000;

function serve(answerTo: (peer: string) => string, port: number): Promise<unknown> {
  const udp = createSocket('udp6');
  udp.on('message', (_message, peer) => udp.send(answerTo(peer.address), peer.port, peer.address));
  const tcp = createServer((socket) => {
    socket.on('error', () => {}).end(answerTo(socket.remoteAddress ?? ''));
  });
  return Promise.all([
    new Promise<void>((resolve) => tcp.listen(port, '::', resolve)),
    new Promise<void>((resolve) => udp.bind(port, '::', resolve)),
  ]);
}

function askTcp(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect({ host: address, port, autoSelectFamily: false });
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    socket.on('data', (data) => {
      heard += data.toString();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(heard || '-'));
  });
}

async function askUdp(address: string, port: number, count: number): Promise<string[]> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const names: string[] = [];
  for (let asked = 0; asked < count; asked += 1) {
    const answer = new Promise<string>((resolve) => {
      const timer = setTimeout(() => resolve('-'), ANSWER_MS);
      socket.once('message', (message) => {
        clearTimeout(timer);
        resolve(message.toString());
      });
    });
    socket.send('who', port, address);
    names.push(await answer);
  }
  socket.close();
  return names;
}

async function ask(what: string): Promise<string[]> {
  const [protocol, countText, ...rest] = what.split(':');
  const port = Number(rest.pop());
  const address = rest.join(':');
  const count = Number(countText);
  if (protocol === 'udp') return askUdp(address, port, count);
  const names: string[] = [];
  for (let asked = 0; asked < count; asked += 1) names.push(await askTcp(address, port));
  return names;
}

const [mode, ...args] = process.argv.slice(2);
if (mode === 'serve' || mode === 'serve-peer') {
  const [name = '', ...ports] = args;
  const answerTo = (peer: string): string =>
    mode === 'serve' ? name : `${name} ${peer.replace('::ffff:', '')}`;
  await Promise.all(ports.map((port) => serve(answerTo, Number(port))));
  process.stdout.write('ready\n');
} else {
  const answers: string[][] = [];
  for (const what of args) answers.push(await ask(what));
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
