/** The kernel's table of IPVS connections, as a stream: it may have a million entries. */
import { readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { type Connection, isTitleOrEmpty, parseConnection } from '../../ipvs/connections.js';
import { IpvsUnavailableError } from './ipvs.js';

/** Of the network namespace of whoever reads; everybody may. */
const CONNECTIONS_FILE = '/proc/net/ip_vs_conn';
/** So much is looked at in one turn of the event loop, in which nothing else has its turn: some 90 connections. */
const BATCH_BYTES = 8192;
/**
 * The kernel gives a page a read, some 45 connections, and before Linux 7 walks to it from the table's start. Up to here (some
 * 11,000) that is a fraction of a millisecond, less than to have another thread do it, which on a busy host waits each time.
 */
const NEAR_BYTES = 1_048_576;

/** The kernel's file has a line that is none that is known: the rest would be believed, and some would be missing. */
export class ConnectionTableError extends Error {
  override readonly name = 'ConnectionTableError';
  readonly code = 'ERR_CONNECTION_TABLE';
  constructor(path: string, line: string) {
    super(
      `cannot read a line of ${path}: '${line}'. 'ipvsadm -Lnc' may; please report the line and the kernel's version`,
    );
  }
}

/**
 * The connections in the kernel's order, as many at a time as a read has brought. One that comes or goes meanwhile may
 * be there twice or not at all. `wanted`: of these lines alone; the others are not looked at.
 * @throws IpvsUnavailableError where there is no such file, ConnectionTableError for a line of another kind.
 */
export async function* readConnections(
  path = CONNECTIONS_FILE,
  wanted?: (line: string) => boolean,
): AsyncGenerator<readonly Connection[]> {
  let rest = '';
  try {
    for await (const chunk of chunksOf(path)) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      yield connectionsOf(wanted === undefined ? lines : lines.filter(wanted), path);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new IpvsUnavailableError(error);
    throw error;
  }
  yield connectionsOf([rest], path);
}

async function* chunksOf(path: string): AsyncGenerator<string> {
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafe(BATCH_BYTES);
    let [position, filled] = [0, 0];
    for (;;) {
      const isNear = position < NEAR_BYTES;
      const room = BATCH_BYTES - filled;
      const read = isNear
        ? readSync(file.fd, buffer, filled, room, null)
        : (await file.read(buffer, filled, room, null)).bytesRead;
      position += read;
      filled += read;
      const isFull = filled > BATCH_BYTES / 2;
      if (isNear && read > 0 && !isFull) continue;
      yield buffer.toString('latin1', 0, filled);
      filled = 0;
      if (read === 0) return;
      if (isNear) await setImmediate();
    }
  } finally {
    await file.close();
  }
}

function connectionsOf(lines: readonly string[], path: string): readonly Connection[] {
  return lines.flatMap((line) => {
    const connection = parseConnection(line);
    if (connection !== undefined) return connection;
    if (isTitleOrEmpty(line)) return [];
    throw new ConnectionTableError(path, line);
  });
}
