/** The kernel's table of IPVS connections, as a stream: it may have a million entries. */
import { createReadStream } from 'node:fs';
import { type Connection, isTitleOrEmpty, parseConnection } from '../../ipvs/connections.js';
import { IpvsUnavailableError } from './ipvs.js';

/** Of the network namespace of whoever reads; everybody may. */
const CONNECTIONS_FILE = '/proc/net/ip_vs_conn';
/** The kernel gives a page a read, and a file made for a test more. */
const READ_BYTES = 65_536;

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
    for await (const chunk of createReadStream(path, { encoding: 'latin1', highWaterMark: READ_BYTES })) {
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

function connectionsOf(lines: readonly string[], path: string): readonly Connection[] {
  return lines.flatMap((line) => {
    const connection = parseConnection(line);
    if (connection !== undefined) return connection;
    if (isTitleOrEmpty(line)) return [];
    throw new ConnectionTableError(path, line);
  });
}
