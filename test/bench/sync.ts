/**
 * `npm run bench:sync`: how long it takes to digest and to replay tables of 10,000 to 1,000,000 connections, out of a shadow
 * table on this host, beside the election of a pair at 10 ms, and in the VM out of the kernel's table and out of a shadow.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { sleep } from '../../src/drill/wait.js';
import { fetchStatus } from '../../src/io/operator/control-client.js';
import { decodeMessage, MessageWriter } from '../../src/sync/message.js';
import { ShadowTable } from '../../src/sync/shadow-table.js';
import { DEFAULT_MESSAGE_BYTES } from '../../src/sync/uapi.js';
import type { KernelResult } from './guest/sync-scale.js';
import { inGuest, say } from './support/guest.js';
import { BenchLab, OUTSIDE } from './support/lab.js';
import { numberWithin } from './support/options.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { SummingWitness } from './support/summing-witness.js';
import { syntheticConnection } from './support/synthetic-connections.js';
import { printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:sync -- [OPTIONS]

  --counts LIST   connections of the shadow on this host, 1000 to 1000000 each, default 10000,100000,1000000
  --kernel LIST   connections of the kernel in the VM, default 10000,100000; none with ''
  --limit N       seconds that one reading of the kernel's table may take, default 120
  --json          the results as JSON on standard output, progress on standard error
`;

const RUN_LIMIT_MS = 30 * 60_000;
const INTERVAL_MS = 10;
/** Of the work of a million connections, beside the election of two directors on two processors. */
const SHADOW_LIMIT_MS = 10 * 60_000;
/** The status tells of the last minute or two. */
const SETTLE_MS = 120_000;
const runFile = promisify(execFile);

type Family = 'ipv4' | 'ipv6';

interface ShadowResult {
  readonly count: number;
  readonly family: Family;
  /** Seconds of processor time. */
  readonly hearSeconds: number;
  readonly digestSeconds: number;
  readonly replaySeconds: number;
  readonly expireSeconds: number;
  readonly messages: number;
  /** Of its typed arrays. */
  readonly tableMiB: number;
  /** Digest and count of what the replayed messages say are those of the table. */
  readonly isSame: boolean;
}

/** Of the election beside the shadows. */
interface Election {
  /** Of both event loops. */
  readonly loopLateMs: number;
  readonly deadlineLateMs: number;
  /** Between two advertisements. */
  readonly advertisementGapMs: number;
  readonly roleChanges: number;
  /** How long a processor of this machine ran nobody, at most. */
  readonly standstillMs: number;
}

interface Chosen {
  readonly counts: readonly number[];
  readonly kernel: readonly number[];
  readonly limit: number;
  readonly one: { readonly count: number; readonly family: Family } | undefined;
  readonly json: boolean;
}

function options(): Chosen | undefined {
  const { values } = parseArgs({
    options: {
      counts: { type: 'string', default: '10000,100000,1000000' },
      kernel: { type: 'string', default: '10000,100000' },
      limit: { type: 'string', default: '120' },
      // One table in a process of its own: memory is that of one.
      one: { type: 'string' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  const list = (text: string, name: string) =>
    text
      .split(',')
      .filter((part) => part !== '')
      .map((part) => numberWithin(part, 1000, 1_000_000, name));
  const [count, family] = values.one?.split(',') ?? [];
  return {
    counts: list(values.counts, 'counts'),
    kernel: list(values.kernel, 'kernel'),
    limit: numberWithin(values.limit, 1, 1800, 'limit'),
    one:
      count === undefined ? undefined : { count: Number(count), family: family === 'ipv6' ? 'ipv6' : 'ipv4' },
    json: values.json,
  };
}

function seconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function shadowResult(count: number, family: Family): ShadowResult {
  const addressBytes = family === 'ipv6' ? 16 : 4;
  const writer = new MessageWriter(51, DEFAULT_MESSAGE_BYTES);
  const messages: Uint8Array[] = [];
  for (let number = 0; number < count; number++) {
    const full = writer.add(syntheticConnection(number, addressBytes));
    if (full !== undefined) messages.push(full);
  }
  const rest = writer.flush();
  if (rest !== undefined) messages.push(rest);
  const table = new ShadowTable();
  const bytesBefore = arrayBytes();
  const hearSeconds = seconds(() => {
    for (const message of messages) {
      for (const connection of decodeMessage(message).connections) table.hear(connection, 1);
    }
  });
  const tableMiB = (arrayBytes() - bytesBefore) / 2 ** 20;
  let digest = table.digest(2);
  const digestSeconds = seconds(() => {
    digest = table.digest(2);
  });
  const heard = new ShadowTable();
  const replayed: Uint8Array[] = [];
  const replaySeconds = seconds(() => {
    for (const connection of table.connections(2)) {
      const full = writer.add(connection);
      if (full !== undefined) replayed.push(full);
    }
    const last = writer.flush();
    if (last !== undefined) replayed.push(last);
  });
  for (const message of replayed) {
    for (const connection of decodeMessage(message).connections) heard.hear(connection, 2);
  }
  const again = heard.digest(3);
  const expireSeconds = seconds(() => table.expire(2));
  return {
    count,
    family,
    hearSeconds,
    digestSeconds,
    replaySeconds,
    expireSeconds,
    messages: replayed.length,
    tableMiB,
    isSame:
      heard.size === count &&
      digest.sums.every(
        (sum, bucket) => sum === again.sums[bucket] && digest.counts[bucket] === again.counts[bucket],
      ),
  };
}

function arrayBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().arrayBuffers;
}

async function apart(count: number, family: Family, signal: AbortSignal): Promise<ShadowResult> {
  const self = fileURLToPath(import.meta.url);
  const argv = ['--expose-gc', self, '--one', `${count},${family}`];
  say(`${count} connections over ${family} in a shadow`);
  const { stdout } = await runFile(process.execPath, argv, { signal, timeout: SHADOW_LIMIT_MS });
  return JSON.parse(stdout);
}

/** One after the other, at an ordinary priority, which is more than the services process has that does it in a director. */
async function shadowResults(
  { counts }: Chosen,
  signal: AbortSignal,
): Promise<{ shadows: ShadowResult[]; election: Election }> {
  return BenchLab.use(signal, async (bench) => {
    const pair = await bench.pair('ours', { intervalMs: INTERVAL_MS, instances: [OUTSIDE] });
    const witness = await SummingWitness.start(bench);
    let standstillMs = 0;
    await bench.processorWitnesses(({ fromMs, toMs }) => {
      standstillMs = Math.max(standstillMs, toMs - fromMs);
    });
    say(`${SETTLE_MS / 1000} s, after which the directors' own start is not counted any more`);
    await sleep(SETTLE_MS, signal);
    await witness.sums();
    standstillMs = 0;
    const shadows: ShadowResult[] = [];
    for (const family of ['ipv4', 'ipv6'] as const)
      for (const count of counts) shadows.push(await apart(count, family, signal));
    const { maxMs, sourceChanges } = await witness.sums();
    const statuses = await Promise.all(pair.map(({ runtimeDirectory }) => fetchStatus(runtimeDirectory)));
    const election: Election = {
      loopLateMs: Math.max(...statuses.map(({ event_loop }) => event_loop.max_ms)),
      deadlineLateMs: Math.max(...statuses.map(({ deadline_lateness }) => deadline_lateness.max_ms)),
      advertisementGapMs: maxMs,
      roleChanges: sourceChanges.length,
      standstillMs,
    };
    return { shadows, election };
  });
}

async function kernelResults({ kernel, limit }: Chosen, signal: AbortSignal): Promise<KernelResult[]> {
  if (kernel.length === 0) return [];
  return inGuest({ signal, memoryMiB: 4096 }, async (guest) => {
    const results: KernelResult[] = [];
    for (const count of kernel) {
      say(`${count} connections in the kernel`);
      const args = [String(count), String(limit)];
      results.push(...(await guest.results<KernelResult>('sync-scale.js', args, RUN_LIMIT_MS)));
    }
    return results;
  });
}

function print(shadows: readonly ShadowResult[], election: Election, kernels: readonly KernelResult[]): void {
  const s = (value: number | undefined): string => (value === undefined ? 'too long' : value.toFixed(2));
  printTable(
    [
      'shadow',
      'connections',
      'hear, s',
      'digest, s',
      'replay, s',
      'expire, s',
      'messages',
      'table, MiB',
      'same',
    ],
    shadows.map((one) => [
      one.family,
      String(one.count),
      s(one.hearSeconds),
      s(one.digestSeconds),
      s(one.replaySeconds),
      s(one.expireSeconds),
      String(one.messages),
      one.tableMiB.toFixed(1),
      one.isSame ? 'yes' : 'NO',
    ]),
  );
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  console.log(
    `\nmeanwhile two directors at ${INTERVAL_MS} ms advertisements: ${election.roleChanges} role changes, event loops at most ` +
      `${ms(election.loopLateMs)} late (deadlines ${ms(election.deadlineLateMs)}, the start included), advertisements at most ` +
      `${ms(election.advertisementGapMs)} apart, while a processor stood still for ${ms(election.standstillMs)} at most`,
  );
  if (kernels.length === 0) return;
  console.log('');
  printTable(
    [
      'in the VM',
      'digest, s',
      'replay, s',
      'arrived',
      'same',
      'shadow: heard',
      'digest, s',
      'replay, s',
      'arrived',
    ],
    kernels.map((one) => [
      String(one.count),
      s(one.digestSeconds),
      s(one.replaySeconds),
      String(one.arrived ?? '-'),
      one.isSame === undefined ? '-' : one.isSame ? 'yes' : 'NO',
      String(one.heard),
      s(one.shadowDigestSeconds),
      s(one.shadowReplaySeconds),
      String(one.shadowArrived ?? '-'),
    ]),
  );
}

await runBench({
  name: 'bench:sync',
  usage: USAGE,
  options,
  async run(chosen, signal) {
    const { one, json } = chosen;
    if (one !== undefined) {
      process.stdout.write(JSON.stringify(shadowResult(one.count, one.family)));
      return 0;
    }
    const { shadows, election } = await shadowResults(chosen, signal);
    const kernels = await kernelResults(chosen, signal);
    if (json) process.stdout.write(`${JSON.stringify({ shadows, election, kernels }, null, 2)}\n`);
    else print(shadows, election, kernels);
    const isWhole = shadows.every(({ isSame }) => isSame) && kernels.every(({ isSame }) => isSame !== false);
    return isWhole && election.roleChanges === 0 ? 0 : 1;
  },
});
