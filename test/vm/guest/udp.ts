/**
 * UDP in the lab. `udp.js serve NAME PORT` answers every datagram with its name, and takes TCP connections on the same
 * port for health checks. `udp.js ask ADDRESS PORT` asks from one port for ever, every 100 ms, and prints each answer as
 * `EPOCH_MS NAME`.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const CLIENT_PORT = 40_000;
const EVERY_MS = 100;

const [mode, subject = '', portText] = process.argv.slice(2);
const port = Number(portText);
const socket = createSocket('udp4');
// The answer of a host whose server is gone (ECONNREFUSED) is no end.
socket.on('error', () => {});

if (mode === 'serve') {
  socket.on('message', (_message, peer) => socket.send(subject, peer.port, peer.address));
  socket.bind(port, () => {
    createServer((connection) => connection.on('error', () => {}).end()).listen(port, () => {
      process.stdout.write('ready\n');
    });
  });
} else {
  socket.on('message', (message) => {
    process.stdout.write(`${Date.now()} ${message.toString()}\n`);
  });
  socket.bind(CLIENT_PORT, () => {
    setInterval(() => socket.send('who', port, subject), EVERY_MS);
  });
}
