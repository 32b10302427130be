/** What the scenarios share. */
import type { OpenedConnection, VerifiedConnection } from '../client/client-protocol.js';
import { titleOf } from '../report/report.js';
import type { Expectation, FaultName, ScenarioName } from '../report/verdict.js';
import { settles } from '../wait.js';
import { type SorryCourse, unansweredFlows, verifyPersistentClients } from './service-clients.js';
import type { Bench, Pair } from './site.js';

/** Undisturbed time before a fault and after its consequences, for the picture. */
export const QUIET_MS = 1000;
/** The directors' control sockets are asked so often. */
export const STATUS_EVERY_MS = 250;
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
