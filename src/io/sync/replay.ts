/** The kernel's connections, told to the sync group again: a peer's sync daemon takes them like its master's own. */
import type { DumpedSyncDaemon, IpvsTimeouts, Service } from '../../ipvs/model.js';
import { bucketOf, type ConnectionDigest, DigestBuilder, isCompared } from '../../sync/digest.js';
import { MessageWriter } from '../../sync/message.js';
import { isYoung } from '../../sync/young.js';
import { GroupSender, groupOf } from './group-sender.js';
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

interface TableReader {
  dump(): Promise<readonly Service[]>;
  syncDaemons(): Promise<readonly DumpedSyncDaemon[]>;
}

interface Choice {
  /** Lines of the kernel's file that are looked at; all without it. */
  readonly wanted?: (line: string) => boolean;
  /** Buckets that are told of; all without them. */
  readonly buckets?: ReadonlySet<number> | undefined;
  /** No further line is read then. */
  readonly limitMs: number;
  /** Ends it before that. */
  readonly signal?: AbortSignal | undefined;
}

/** `isWhole`: the limit was not reached. */
type Told = ReplayReport & { readonly isWhole: boolean };

async function tell(ipvs: TableReader, { wanted, buckets, limitMs, signal }: Choice): Promise<Told> {
  const endMs = performance.now() + limitMs;
  const sending = (await ipvs.syncDaemons()).find(({ state }) => state === 'master');
  if (sending === undefined) throw new NoSyncDaemonError();
  const group = groupOf(sending);
  const writer = new MessageWriter(group.syncid, group.maxBytes);
  const sender = new GroupSender(group);
  const counts = { connections: 0, lasting: 0, messages: 0, untellable: 0 };
  const send = async (message: Uint8Array | undefined): Promise<void> => {
    if (message === undefined) return;
    await sender.send(message);
    counts.messages += 1;
  };
  try {
    const entries = readKernelEntries(await ipvs.dump(), undefined, wanted);
    for await (const { connections, unserved, untellable } of entries) {
      signal?.throwIfAborted();
      if (performance.now() > endMs) return { ...counts, isWhole: false };
      counts.untellable += unserved.length;
      for (const number of untellable.values()) counts.untellable += number;
      for (const connection of connections) {
        if (buckets?.has(bucketOf(connection)) === false) continue;
        counts.connections += 1;
        if (isCompared(connection)) counts.lasting += 1;
        await send(writer.add(connection));
      }
    }
    await send(writer.flush());
  } finally {
    sender.close();
  }
  return { ...counts, isWhole: true };
}

/**
 * @throws NoSyncDaemonError where no daemon says where to send, ReplayLimitError for a table that takes too long; the signal's
 * reason; and what reading and sending refuse.
 */
export async function replayConnections(
  ipvs: TableReader,
  choice: Pick<Choice, 'buckets' | 'signal'> = {},
): Promise<ReplayReport> {
  const { isWhole, ...report } = await tell(ipvs, { ...choice, limitMs: REPLAY_LIMIT_MS });
  if (!isWhole) throw new ReplayLimitError(report.connections);
  return report;
}

/**
 * Those alone that the kernel may not have told of (`isYoung`), and no longer than `limitMs`: what is said later may be old news
 * of a connection that has ended since. Rejects as `replayConnections`.
 */
export async function replayYoung(
  ipvs: TableReader & { timeouts(): Promise<IpvsTimeouts> },
  limitMs: number,
): Promise<Told> {
  const timeouts = await ipvs.timeouts();
  return tell(ipvs, { wanted: (line) => isYoung(line, timeouts), limitMs });
}

/** Of the kernel's table as it is now. */
export async function digestConnections(ipvs: Pick<TableReader, 'dump'>): Promise<ConnectionDigest> {
  const builder = new DigestBuilder();
  for await (const { connections, unserved } of readKernelEntries(await ipvs.dump())) {
    for (const connection of [...connections, ...unserved]) builder.add(connection);
  }
  return builder.digest();
}
