/**
 * The client of the lab, a program of its own: it keeps connections of three kinds through the virtual server
 * and makes new ones, as told on its standard input.
 */
import { isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import {
  type ClientMessage,
  type ClientRequest,
  type ClientResults,
  CONNECTION_USES,
  type ConnectionKind,
  type ConnectionUse,
  type OpenedConnection,
  type VerifiedConnection,
} from './client-protocol.js';
import { HttpConnection } from './http-connection.js';
import { UdpFlows } from './udp-flows.js';

/** Handshakes under way at once. */
const PARALLEL_HANDSHAKES = 20;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A busy connection asks so often. */
const BUSY_INTERVAL_MS = 500;
/** Busy connections are spread over the interval in steps of this. */
const BUSY_TICK_MS = 20;
/** A client's patience with one request on a connection of its own. */
const REQUEST_TIMEOUT_MS = 10_000;
/** An answer to `verify` is waited for; connections ask in steps, so that they do not all ask at once. */
const VERIFY_STEP = 20;

interface Held {
  readonly use: ConnectionUse;
  readonly kind: ConnectionKind;
  readonly connection: HttpConnection;
}

function say(message: ClientMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? ('code' in error ? String(error.code) : error.message) : String(error);
}

/** Rejects when `promise` is not settled after `timeoutMs`. */
function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

let held: Held[] = [];
let busyTimer: NodeJS.Timeout | undefined;

const flows = new UdpFlows();

function kindOf(use: ConnectionUse, address: string): ConnectionKind {
  return isIPv6(address) ? 'ipv6' : use;
}

async function openOne(use: ConnectionUse, address: string, port: number): Promise<Held> {
  const kind = kindOf(use, address);
  const connection = await HttpConnection.open(address, port, HANDSHAKE_TIMEOUT_MS);
  if (use === 'one-request') {
    await within(connection.request(), REQUEST_TIMEOUT_MS);
  }
  connection.onLost = (error) =>
    say({ type: 'lost', kind, port: connection.port, reason: messageOf(error), atMs: Date.now() });
  return { use, kind, connection };
}

async function open(address: string, port: number, count: number): Promise<ClientResults['open']> {
  const wanted = CONNECTION_USES.flatMap((use) => Array.from({ length: count }, () => use));
  const opened: Held[] = [];
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    for (let use = wanted.shift(); use !== undefined; use = wanted.shift()) {
      try {
        opened.push(await openOne(use, address, port));
      } catch (error) {
        failed.push(`${kindOf(use, address)}: ${messageOf(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_HANDSHAKES }, worker));
  held.push(...opened);
  keepBusy();
  return { opened: opened.map(({ kind, connection }) => ({ kind, port: connection.port })), failed };
}

/** One timer for all busy connections: each has its turn once in an interval. */
function keepBusy(): void {
  clearInterval(busyTimer);
  const busy = held.filter(({ use }) => use === 'busy').map(({ connection }) => connection);
  const slots = Math.max(1, Math.round(BUSY_INTERVAL_MS / BUSY_TICK_MS));
  let slot = 0;
  busyTimer = setInterval(() => {
    for (let index = slot; index < busy.length; index += slots) {
      const connection = busy[index];
      if (connection !== undefined && connection.lost === undefined && !connection.busy) {
        connection.request().catch(() => undefined);
      }
    }
    slot = (slot + 1) % slots;
  }, BUSY_TICK_MS);
}

/** A request made now is answered on the same connection. One still under way is waited for first. */
async function prove(connection: HttpConnection, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (connection.busy && connection.lost === undefined) {
    if (Date.now() > deadline) {
      throw new Error(`no answer within ${timeoutMs} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_TICK_MS));
  }
  await within(connection.request(), Math.max(1, deadline - Date.now()));
}

/** Ports alone are no names: IPv4 and IPv6 count them apart. */
function nameOf({ kind, port }: Pick<OpenedConnection, 'kind' | 'port'>): string {
  return `${kind} ${port}`;
}

async function verify(
  timeoutMs: number,
  only: readonly Pick<OpenedConnection, 'kind' | 'port'>[] | null,
): Promise<ClientResults['verify']> {
  const chosen = only === null ? undefined : new Set(only.map(nameOf));
  const asked = held.filter(
    ({ kind, connection }) => chosen === undefined || chosen.has(nameOf({ kind, port: connection.port })),
  );
  clearInterval(busyTimer);
  const results: Promise<VerifiedConnection>[] = [];
  for (const [index, { kind, connection }] of asked.entries()) {
    const { port } = connection;
    results.push(
      prove(connection, timeoutMs).then(
        () => ({ kind, port, survived: true, reason: '' }),
        (error: unknown) => ({ kind, port, survived: false, reason: messageOf(error) }),
      ),
    );
    if (index % VERIFY_STEP === VERIFY_STEP - 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const connections = await Promise.all(results);
  keepBusy();
  return { connections };
}

function close(): ClientResults['close'] {
  clearInterval(busyTimer);
  for (const { connection } of held) {
    connection.close();
  }
  held = [];
  flows.close();
  return {};
}

/** A new connection with one request. Never rejects. */
async function sample(
  address: string,
  port: number,
  localAddress?: string,
): Promise<{ readonly server: string | null; readonly error: string }> {
  const once = async (): Promise<string> => {
    const connection = await HttpConnection.open(address, port, REQUEST_TIMEOUT_MS, localAddress);
    try {
      return await within(connection.request(true), REQUEST_TIMEOUT_MS);
    } finally {
      connection.close();
    }
  };
  return once().then(
    (server) => ({ server, error: '' }),
    (error: unknown) => ({ server: null, error: messageOf(error) }),
  );
}

async function spread(address: string, port: number, count: number): Promise<ClientResults['spread']> {
  const servers: Record<string, number> = {};
  let failed = 0;
  for (let index = 0; index < count; index += 1) {
    const { server } = await sample(address, port);
    if (server === null) {
      failed += 1;
    } else {
      servers[server] = (servers[server] ?? 0) + 1;
    }
  }
  return { servers, failed };
}

/** All at once: who does not answer is waited for once, and not once for each client. */
async function askFrom(
  clients: readonly string[],
  address: string,
  ports: readonly number[],
): Promise<ClientResults['ask-from']> {
  const asked = clients.flatMap((client) => ports.map((port) => ({ client, port })));
  const answers = asked.map(async ({ client, port }) => {
    const { server, error } = await sample(address, port, client);
    return { client, port, server, error };
  });
  return { answers: await Promise.all(answers) };
}

async function handle(request: ClientRequest): Promise<ClientResults[keyof ClientResults]> {
  switch (request.command) {
    case 'open':
      return open(request.address, request.port, request.count);
    case 'verify':
      return verify(request.timeoutMs, request.only);
    case 'close':
      return close();
    case 'spread':
      return spread(request.address, request.port, request.count);
    case 'flows-open':
      return flows.open(request.address, request.port, request.count, request.everyMs);
    case 'flows-requests':
      return { requests: flows.requests };
    case 'ask-from':
      return askFrom(request.clients, request.address, request.ports);
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const request = JSON.parse(line) as ClientRequest;
    handle(request).then(
      (result) => say({ type: 'answer', id: request.id, result }),
      (error: unknown) => say({ type: 'failed', id: request.id, message: messageOf(error) }),
    );
  })
  // The drill is gone: so is its client.
  .on('close', () => process.exit());
say({ type: 'ready' });
