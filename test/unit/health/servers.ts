/** Real servers on loopback for tests of probes. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import type { Test } from 'tap';
import { projectFolder } from '../../../src/drill/vm/session.js';

const TLS_FOLDER = join(projectFolder(), 'test', 'fixtures', 'tls');
/** The authority of the certificate, which is for `web.example`. */
export const CA_FILE = join(TLS_FOLDER, 'ca.pem');
export const CERTIFICATE = {
  cert: readFileSync(join(TLS_FOLDER, 'server.pem')),
  key: readFileSync(join(TLS_FOLDER, 'server.key')),
};

/** A server that `serve` answers for each connection; its port. */
export async function serve(
  t: Test,
  serve: (socket: Socket) => void,
  { tls = false, address = '127.0.0.1' } = {},
): Promise<number> {
  const sockets = new Set<Socket>();
  const each = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  };
  const server: Server = tls ? createTlsServer(CERTIFICATE, each) : createServer(each);
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, address);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A server that says `greeting`, then to each line that it hears what `answer` has for it. */
export function serveLines(
  t: Test,
  greeting: string,
  answer: (line: string) => string,
  options: { tls?: boolean } = {},
): Promise<number> {
  return serve(
    t,
    (socket) => {
      socket.write(greeting);
      let heard = '';
      socket.on('data', (piece: Buffer) => {
        const lines = (heard + piece.toString('latin1')).split('\r\n');
        heard = lines.pop() ?? '';
        for (const line of lines) socket.write(answer(line));
      });
    },
    options,
  );
}
