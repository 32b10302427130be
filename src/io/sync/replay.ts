/** The kernel's connections, told to the sync group again: a peer's sync daemon takes them like its master's own. */
import type { DumpedSyncDaemon, IpvsTimeouts, Service } from '../../ipvs/model.js';
import { bucketOf, type ConnectionDigest, DigestBuilder, hashOf, isCompared } from '../../sync/digest.js';
import { isYoung, mayLast } from '../../sync/entry-lines.js';
import { MessageWriter, type SyncConnection } from '../../sync/message.js';
import { MARK_BYTES, markMessage } from '../../sync/replay-mark.js';
import { GroupSender, groupOf, type SyncGroup } from './group-sender.js';
import { readKernelEntries } from './kernel-entries.js';

export interface ReplayReport {
  /** Connections and templates that were sent. */
  readonly connections: number;
  /** Of those, the ones that do not go by themselves within minutes (`isCompared`). */
  readonly lasting: number;
  /** Datagrams. */
  readonly messages: number;
  /** Connections that the protocol cannot tell of, such as those of a real server that was removed. */
  readonly untellable: number;
}

/** No sync daemon sends here: neither group nor syncid is known, and no peer is told of anything. */
export class NoSyncDaemonError extends Error {
  override readonly name = 'NoSyncDaemonError';
  readonly code = 'ERR_NO_SYNC_DAEMON';
  constructor() {
    super(
      "the kernel runs no sync daemon that sends ('director list --daemon' shows them): 'connection_sync' in the configuration of a running director starts one",
    );
  }
}

/** By then, before Linux 7, some hundreds of thousands of connections are read: time grows with the square of their number. */
const REPLAY_LIMIT_MS = 600_000;

/** What was read until then was sent. */
export class ReplayLimitError extends Error {
  override readonly name = 'ReplayLimitError';
  readonly code = 'ERR_REPLAY_LIMIT';
  constructor(connections: number) {
    super(
      `the kernel's table is too large to be read in ${REPLAY_LIMIT_MS / 1000} s: ${connections} connections were sent, not all. Linux 7 reads it faster`,
    );
  }
}

export interface TableReader {
  dump(): Promise<readonly Service[]>;
  syncDaemons(): Promise<readonly DumpedSyncDaemon[]>;
}

/**
 * The kernel's file is read in pieces, and by place: for each connection that ends between two of them one is passed over. Of a table
 * that is read in little time, what a pass misses the next one has; a large one is told of again before long anyway.
 */
const PASSES = 3;
/** From the start: later than this no further pass begins. */
const NEXT_PASS_MS = 10_000;
/** What is remembered of a pass takes up to 4 MiB. */
const MAX_REMEMBERED = 100_000;

interface Choice {
  /** Lines of the kernel's file that are looked at; all without it. */
  readonly wanted?: (line: string) => boolean;
  /** Buckets that are told of; all without them. */
  readonly buckets?: ReadonlySet<number> | undefined;
  /** How often the table is read, 1 to `PASSES`. */
  readonly passes?: number;
  /** Number of the replay, in each of its datagrams; without it they have none. */
  readonly replay?: number | undefined;
  /** No further line is read then. */
  readonly limitMs: number;
  /** Ends it before that. */
  readonly signal?: AbortSignal | undefined;
}

/** `isWhole`: the limit was not reached. */
type Told = ReplayReport & { readonly isWhole: boolean };

async function tell(ipvs: TableReader, choice: Choice): Promise<Told> {
  const { passes = PASSES } = choice;
  const startMs = performance.now();
  const endMs = startMs + choice.limitMs;
  const sending = (await ipvs.syncDaemons()).find(({ state }) => state === 'master');
  if (sending === undefined) throw new NoSyncDaemonError();
  const teller = new Teller(groupOf(sending), choice, endMs);
  try {
    const table = await ipvs.dump();
    const isWhole = await teller.pass(table, choice.wanted);
    const report = teller.report;
    const nextEndMs = Math.min(endMs, startMs + NEXT_PASS_MS);
    for (let pass = 1; pass < passes && teller.remembers && performance.now() < nextEndMs; pass++)
      await teller.pass(table, mayLast);
    // The same are untellable again.
    return { ...teller.report, untellable: report.untellable, isWhole };
  } finally {
    teller.close();
  }
}

/** Sends each connection once, however often it is read. */
class Teller {
  readonly #choice: Choice;
  readonly #endMs: number;
  readonly #writer: MessageWriter;
  readonly #sender: GroupSender;
  readonly #told = new Set<number>();
  readonly #counts = { connections: 0, lasting: 0, messages: 0, untellable: 0 };

  constructor(group: SyncGroup, choice: Choice, endMs: number) {
    this.#choice = choice;
    this.#endMs = endMs;
    this.#writer = new MessageWriter(
      group.syncid,
      group.maxBytes - (choice.replay === undefined ? 0 : MARK_BYTES),
    );
    this.#sender = new GroupSender(group);
  }

  get report(): ReplayReport {
    return { ...this.#counts };
  }

  /** Whether it knows what it has sent. */
  get remembers(): boolean {
    return this.#told.size < MAX_REMEMBERED;
  }

  close(): void {
    this.#sender.close();
  }

  /** False: the time is over. */
  async pass(table: readonly Service[], wanted: Choice['wanted']): Promise<boolean> {
    for await (const { connections, unserved, untellable } of readKernelEntries(table, undefined, wanted)) {
      this.#choice.signal?.throwIfAborted();
      if (performance.now() > this.#endMs) return false;
      this.#counts.untellable += unserved.length;
      for (const number of untellable.values()) this.#counts.untellable += number;
      for (const connection of connections) await this.#tell(connection);
    }
    await this.#send(this.#writer.flush());
    return true;
  }

  async #tell(connection: SyncConnection): Promise<void> {
    if (this.#choice.buckets?.has(bucketOf(connection)) === false) return;
    const hash = hashOf(connection);
    if (this.#told.has(hash)) return;
    if (this.remembers) this.#told.add(hash);
    this.#counts.connections += 1;
    if (isCompared(connection)) this.#counts.lasting += 1;
    await this.#send(this.#writer.add(connection));
  }

  async #send(message: Uint8Array | undefined): Promise<void> {
    if (message === undefined) return;
    const { replay } = this.#choice;
    await this.#sender.send(replay === undefined ? message : markMessage(message, replay));
    this.#counts.messages += 1;
  }
}

/**
 * @throws NoSyncDaemonError where no daemon says where to send, ReplayLimitError for a table that takes too long; the signal's
 * reason; and what reading and sending refuse.
 */
export async function replayConnections(
  ipvs: TableReader,
  choice: Pick<Choice, 'buckets' | 'passes' | 'replay' | 'signal'> = {},
): Promise<ReplayReport> {
  const { isWhole, ...report } = await tell(ipvs, { ...choice, limitMs: REPLAY_LIMIT_MS });
  if (!isWhole) throw new ReplayLimitError(report.connections);
  return report;
}

/**
 * Those alone that the kernel may not have told of (`isYoung`), and no longer than `limitMs`: what is said later may be old news
 * of a connection that has ended since. They change their states meanwhile: who wants more than one pass calls it again. Rejects as
 * `replayConnections`.
 */
export async function replayYoung(
  ipvs: TableReader & { timeouts(): Promise<IpvsTimeouts> },
  limitMs: number,
): Promise<Told> {
  const timeouts = await ipvs.timeouts();
  return tell(ipvs, { wanted: (line) => isYoung(line, timeouts), passes: 1, limitMs });
}

/** Of the kernel's table as it is now. */
export async function digestConnections(ipvs: Pick<TableReader, 'dump'>): Promise<ConnectionDigest> {
  const builder = new DigestBuilder();
  for await (const { connections, unserved } of readKernelEntries(await ipvs.dump())) {
    for (const connection of [...connections, ...unserved]) builder.add(connection);
  }
  return builder.digest();
}
