/** Listens to the events of a running daemon. */
import { connect, type Socket } from 'node:net';
import { NoDirectorError } from './control-client.js';
import { eventSocketPath } from './event-socket.js';

/** @throws NoDirectorError with a sentence that says why and what to do. */
export function openEventStream(runtimeDirectory: string): Promise<Socket> {
  const path = eventSocketPath(runtimeDirectory);
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const words =
        cause.code === 'EACCES'
          ? `only root may listen to the director: no access to ${path}`
          : `no director runs here: nobody speaks on ${path} (start it with 'systemctl start lvs-director')`;
      reject(new NoDirectorError(words, { cause }));
    });
  });
}
