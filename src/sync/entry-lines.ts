/**
 * Connections by their lines in /proc/net/ip_vs_conn. Pure, and cheap: a busy table is closed connections for the most part.
 */
import type { IpvsTimeouts } from '../ipvs/model.js';

/** IPVS_SYNC_FLUSH_TIME and IPVS_SYNC_CHECK_PERIOD, and a second because the kernel writes whole ones. */
export const YOUNG_SECONDS = 4;

/** TIME_WAIT and CLOSE have nothing more to say; a template is told with its connections. */
const TELLING = / (ESTABLISHED|UDP|SYN_RECV|SYN_SENT|SYNACK|FIN_WAIT|CLOSE_WAIT|LAST_ACK) +(\d+)/;

const PASSING = / (SYN_RECV|SYN_SENT|SYNACK|FIN_WAIT|TIME_WAIT|CLOSE|CLOSE_WAIT|LAST_ACK) +\d/;

/** Whether it is neither half open nor being closed: what lacks it at a peer stays lost. */
export function mayLast(line: string): boolean {
  return !PASSING.test(line);
}

/**
 * Whether the kernel may not have told the peer of it yet: half-open ones, those that are closing, and those with a packet in the
 * last seconds. `timeouts`: those in force, from which the last column counts down since the last packet.
 */
export function isYoung(line: string, { tcpSeconds, udpSeconds }: IpvsTimeouts): boolean {
  const [, state, seconds] = TELLING.exec(line) ?? [];
  if (state === 'ESTABLISHED') return Number(seconds) >= tcpSeconds - YOUNG_SECONDS;
  if (state === 'UDP') return Number(seconds) >= udpSeconds - YOUNG_SECONDS;
  return state !== undefined;
}

/** Both sides have closed it, and it stays for a while. What is about to go is passed over. */
const CLOSED = / (TIME_WAIT|CLOSE) +(\d+)/;
const SOON_SECONDS = 2;

/** Whether nobody has anything to say on it any more: the next packet of its client's port is that of another connection. */
export function isClosed(line: string): boolean {
  const [, state, seconds] = CLOSED.exec(line) ?? [];
  return state !== undefined && Number(seconds) > SOON_SECONDS;
}
