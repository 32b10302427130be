/** sd_notify(3): tells the service manager how the daemon is. */

import type { Notifier } from '../../runtime/ports.js';
import { messageOf } from '../../util/error-message.js';
import { UnixDgramSocket } from '../sockets/unix-dgram-socket.js';

/** WATCHDOG_USEC in milliseconds; undefined when there is none, or it is meant for another process. */
function watchdogMsOf(environment: NodeJS.ProcessEnv): number | undefined {
  const pid = environment['WATCHDOG_PID'];
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  const microseconds = Number(environment['WATCHDOG_USEC']);
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1000 : undefined;
}

/**
 * Opens the way to the service manager of NOTIFY_SOCKET (a path, or `@name` in the abstract namespace);
 * without it `notify` does nothing. What fails goes to `onError`: being watched must not stop the daemon.
 */
export function openNotifier(
  onError: (error: Error) => void,
  environment: NodeJS.ProcessEnv = process.env,
): Notifier {
  const path = environment['NOTIFY_SOCKET'];
  const watchdogMs = watchdogMsOf(environment);
  if (path === undefined || path === '') return { watchdogMs, notify: () => {} };
  const socket = new UnixDgramSocket();
  return {
    watchdogMs,
    notify(state: string): void {
      try {
        socket.send(Buffer.from(state), path);
      } catch (cause) {
        const words = messageOf(cause);
        onError(new Error(`sd_notify to ${path}: ${words}`, { cause }));
      }
    },
  };
}
