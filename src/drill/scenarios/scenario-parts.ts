/** What the scenarios share. */
import type { OpenedConnection, VerifiedConnection } from '../client/client-protocol.js';
import type { Director } from '../lab/director.js';
import { heldAllAt } from '../report/measure.js';
import { titleOf } from '../report/report.js';
import type { Excuse } from '../report/requests.js';
import type { Expectation, FaultName, ScenarioName } from '../report/verdict.js';
import { settles } from '../wait.js';
import { type SorryCourse, unansweredFlows, verifyPersistentClients } from './service-clients.js';
import type { Bench, Pair } from './site.js';

/** Undisturbed time before a fault and after its consequences, for the picture. */
export const QUIET_MS = 1000;
/** The directors' control sockets are asked so often. */
export const STATUS_EVERY_MS = 250;
/** A director that has lost connections, or never had them, is to know them all within this. */
const RESYNC_TIMEOUT_MS = 10_000;
/** A connection has survived when it answers within this: TCP's retransmission backs off meanwhile. */
const VERIFY_TIMEOUT_MS = 15_000;

export interface Setting {
  readonly name: ScenarioName;
  readonly after: FaultName | undefined;
  readonly pair: Pair;
  readonly opened: readonly OpenedConnection[];
  readonly failedToOpen: readonly string[];
  readonly synchronised: { readonly opened: number; readonly known: number } | null;
  readonly intervalMs: number;
  /** The pair's lower one. */
  readonly priority: number;
  readonly expectation: Expectation;
}

export interface RealServerCourse {
  readonly name: string;
  readonly downFromMs: number;
  readonly takenOutMs: number | null;
  readonly startedMs: number;
  readonly takenInMs: number | null;
  readonly endedConnections: number;
  readonly sorry: SorryCourse | undefined;
}

/** What was done and what followed. */
export interface Course {
  readonly faultMs: number;
  readonly takeoverMs: number | null;
  /** When connections were asked for an answer. */
  readonly askedMs: number;
  readonly verified: readonly VerifiedConnection[];
  readonly complaints: readonly string[];
  /** The time in which a new request may fail. */
  readonly excuse?: Excuse;
  /** Connections that a director without them knew before the role came to it. */
  readonly resynchronised?: NonNullable<Setting['synchronised']>;
  readonly realServer?: RealServerCourse;
}

/** Says what happens now. */
export function step(
  bench: Bench,
  setting: { readonly name: string; readonly after?: string | undefined },
  text: string,
): void {
  bench.options.progress.step(`${bench.options.topology.name}, ${titleOf(setting)}: ${text}`);
}

/** Asks every connection of the scenario for an answer, and says so. */
export function verifyAll(bench: Bench, setting: Setting): Promise<Pick<Course, 'askedMs' | 'verified'>> {
  step(bench, setting, 'asking every connection for an answer');
  return verify(bench, setting.opened);
}

/**
 * Asks connections for an answer. Those over UDP ask by themselves: they are given as much time, and what became of them the
 * observation shows.
 */
export async function verify(
  bench: Bench,
  connections: readonly OpenedConnection[],
): Promise<Pick<Course, 'askedMs' | 'verified'>> {
  const askedMs = Date.now();
  const only = connections.filter(({ kind }) => kind !== 'udp' && kind !== 'persistent');
  const flows = connections.filter(({ kind }) => kind === 'udp');
  const [{ connections: verified }, clients] = await Promise.all([
    bench.client.send({ command: 'verify', timeoutMs: VERIFY_TIMEOUT_MS, only }),
    verifyPersistentClients(
      bench,
      connections.filter(({ kind }) => kind === 'persistent'),
    ),
    settles(() => unansweredFlows(bench, flows, askedMs), {
      timeoutMs: VERIFY_TIMEOUT_MS,
      everyMs: STATUS_EVERY_MS,
      signal: bench.options.signal,
    }),
  ]);
  return { askedMs, verified: [...verified, ...clients] };
}

/** Beyond the limit, so that a late takeover is seen and not only missed. */
const TAKEOVER_EXTRA_MS = 10_000;
/** Two daemons and their first health verdicts, under emulation. */
const PAIR_TIMEOUT_MS = 180_000;
const POLL_MS = 20;

/** Resolves with the time at which a director had come to hold all virtual addresses, undefined when it does not in time. */
export async function takenOver(
  bench: Bench,
  setting: Setting,
  successor: Director,
  sinceMs: number,
  extraMs = TAKEOVER_EXTRA_MS,
): Promise<number | undefined> {
  const at = (): number | undefined =>
    heldAllAt(bench.changes, successor.name, bench.virtualAddresses, sinceMs);
  await settles(() => (at() === undefined ? 'not taken over' : undefined), {
    timeoutMs: setting.expectation.client_gap_ms + extraMs,
    everyMs: POLL_MS,
    signal: bench.options.signal,
  });
  return at();
}

/** Says what the pair lacks after a while; undefined when it is ready. */
export async function lackingInTheEnd(bench: Bench): Promise<string | undefined> {
  const settled = await settles(() => bench.lacking(), {
    timeoutMs: PAIR_TIMEOUT_MS,
    everyMs: STATUS_EVERY_MS,
    signal: bench.options.signal,
  });
  return settled.done ? undefined : settled.lacking;
}

/** Connections that the kernel has an entry of its own for, by which it can be seen who knows them. */
export function toldOf(opened: readonly OpenedConnection[]): readonly OpenedConnection[] {
  return opened.filter(({ kind }) => kind !== 'persistent');
}

/** How many of the client's connections a director knows that had none of them, after a while. */
export async function resynchronised(
  bench: Bench,
  setting: Setting,
  director: Director,
): Promise<NonNullable<Setting['synchronised']>> {
  const told = toldOf(setting.opened);
  step(bench, setting, `waiting for ${director.name} to know ${told.length} connections again`);
  const known = await bench.synchronised(director.name, told, RESYNC_TIMEOUT_MS);
  bench.observe(Date.now(), 'drill', `${director.name} knows ${known} of ${told.length} connections`);
  return { opened: told.length, known };
}
