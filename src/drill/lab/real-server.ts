/**
 * A real server of the lab, a program of its own: HTTP with keep-alive on some ports, plain TCP and UDP on others.
 * It writes to raw sockets, because in an emulated processor every layer costs its caller twenty times.
 *
 * Usage: real-server.js --name NAME [--http PORT]... [--tcp PORT]... [--udp PORT]...
 */
import { createSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { parseArgs } from 'node:util';

/** A request longer than this is not one of ours. */
const MAX_REQUEST_BYTES = 8192;
const BACKLOG = 1024;
const END_OF_HEAD = '\r\n\r\n';

function answerTo(name: string, close: boolean): string {
  const body = `${name}\n`;
  const connection = close ? 'close' : 'keep-alive';
  return `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: ${connection}\r\n\r\n${body}`;
}

/** Answers every request on the connection with this server's name. */
function serveHttp(name: string): (socket: Socket) => void {
  const keepAlive = answerTo(name, false);
  const closing = answerTo(name, true);
  return (socket) => {
    let pending = '';
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('error', () => socket.destroy());
    socket.on('data', (text: string) => {
      pending += text;
      for (let end = pending.indexOf(END_OF_HEAD); end >= 0; end = pending.indexOf(END_OF_HEAD)) {
        const head = pending.slice(0, end);
        pending = pending.slice(end + END_OF_HEAD.length);
        if (/^connection:\s*close/im.test(head)) {
          socket.end(closing);
          return;
        }
        socket.write(keepAlive);
      }
      if (pending.length > MAX_REQUEST_BYTES) {
        socket.destroy();
      }
    });
  };
}

/** Greets and then echoes nothing: enough for a TCP check. */
function serveTcp(name: string): (socket: Socket) => void {
  return (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', () => {});
    socket.write(`220 ${name}\r\n`);
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Without a host: both families, or IPv4 alone where the kernel has no IPv6.
    server.listen({ port, backlog: BACKLOG }, resolve);
  });
}

/** Answers every datagram with this server's name and the datagram. */
function answerDatagrams(name: string, port: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) =>
    socket.send(`${name} ${message.toString()}`, peer.port, peer.address),
  );
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, () => {
      // What a client that is gone sends back is no error of this server.
      socket.off('error', reject).on('error', () => {});
      resolve();
    });
  });
}

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'real-server' },
    http: { type: 'string', multiple: true, default: [] },
    tcp: { type: 'string', multiple: true, default: [] },
    udp: { type: 'string', multiple: true, default: [] },
  },
});
await Promise.all([
  ...values.http.map((port) => listen(createServer(serveHttp(values.name)), Number(port))),
  ...values.tcp.map((port) => listen(createServer(serveTcp(values.name)), Number(port))),
  ...values.udp.map((port) => answerDatagrams(values.name, Number(port))),
]);
process.stdout.write(`${JSON.stringify({ event: 'listening', name: values.name })}\n`);
