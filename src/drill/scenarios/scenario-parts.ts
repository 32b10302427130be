/** What the scenarios share. */

import type { OpenedConnection, VerifiedConnection } from '../client/client-protocol.js';
import { titleOf } from '../report/report.js';
import type { Expectation, FaultName, ScenarioName } from '../report/verdict.js';
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
}

/** What was done and what followed. */
export interface Course {
  readonly faultMs: number;
  readonly takeoverMs: number | null;
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

/** The client's ports of connections. */
export function portsOf(opened: readonly OpenedConnection[]): Set<number> {
  return new Set(opened.map((connection) => connection.port));
}

/** Asks connections for an answer, those of `ports` or all. */
export async function verify(
  bench: Bench,
  ports: readonly number[] | null,
): Promise<readonly VerifiedConnection[]> {
  const { connections } = await bench.client.send({ command: 'verify', timeoutMs: VERIFY_TIMEOUT_MS, ports });
  return connections;
}
