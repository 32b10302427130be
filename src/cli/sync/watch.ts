import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { GroupListener } from '../../io/sync/group-listener.js';
import { ShadowTable } from '../../sync/shadow-table.js';
import { type SenderCounts, SyncStream } from '../../sync/stream.js';
import { DEFAULT_GROUP, DEFAULT_PORT } from '../../sync/uapi.js';
import { addressBytes } from '../../util/ip-address.js';
import { UsageError } from '../command.js';
import { CONFIG_OPTIONS, EXIT_CONFIG, loadConfig } from '../load-config.js';

const EVERY_MS = 1000;
/** Lines after which the titles are repeated. */
const PAGE = 20;

/** Between two looks. */
export interface WatchLook {
  readonly seconds: number;
  readonly senders: readonly SenderCounts[];
  /** Connections and templates that were told of since the beginning and have not run out. */
  readonly known: number;
  /** Packets that this program was too slow for. */
  readonly missed: number;
}

export async function watch(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...CONFIG_OPTIONS,
      interface: { type: 'string' },
      group: { type: 'string', default: DEFAULT_GROUP },
      port: { type: 'string', default: String(DEFAULT_PORT) },
    },
  });
  const { group, json } = values;
  const port = Number(values.port);
  if (addressBytes(group) === undefined) throw new UsageError(`--group ${group}: no IP address`);
  if (!Number.isInteger(port) || port < 1 || port > 0xffff)
    throw new UsageError(`--port ${values.port}: 1 to 65535`);
  const name = values.interface ?? (await configuredInterface(values));
  if (name === undefined) return EXIT_CONFIG;
  const stream = new SyncStream();
  const table = new ShadowTable();
  const listener = new GroupListener({ interface: name, group, port }, ({ source, payload }) => {
    for (const connection of stream.hear(source, payload)) table.hear(connection, nowSeconds());
  });
  const left = new AbortController();
  process.stdout.once('error', () => left.abort());
  if (!json) process.stdout.write(`sync group ${group}, port ${port}, on ${name}\n`);
  try {
    await print({ stream, table, listener }, json, left.signal);
  } finally {
    listener.close();
  }
  return 0;
}

async function configuredInterface(options: Parameters<typeof loadConfig>[0]): Promise<string | undefined> {
  const file = await loadConfig(options);
  if (file === undefined) return undefined;
  const { connectionSync } = file.config;
  if (connectionSync === undefined)
    throw new UsageError(`${options.config} has no connection_sync: name the interface with --interface`);
  return connectionSync.interface;
}

interface Heard {
  readonly stream: SyncStream;
  readonly table: ShadowTable;
  readonly listener: GroupListener;
}

async function print({ stream, table, listener }: Heard, json: boolean, signal: AbortSignal): Promise<void> {
  let lines = 0;
  let atMs = performance.now();
  let missed = listener.dropped;
  while (!signal.aborted) {
    await wait(EVERY_MS, undefined, { signal }).catch(() => {});
    const nowMs = performance.now();
    const missedNow = listener.dropped;
    table.expire(nowSeconds());
    const look: WatchLook = {
      seconds: Math.round(nowMs - atMs) / 1000,
      senders: stream.take(),
      known: table.size,
      missed: missedNow - missed,
    };
    [atMs, missed] = [nowMs, missedNow];
    if (json) {
      process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...look })}\n`);
      continue;
    }
    for (const line of lookLines(look, new Date())) {
      if (lines % PAGE === 0) process.stdout.write(`${TITLES}\n`);
      lines += 1;
      process.stdout.write(`${line}\n`);
    }
  }
}

const TITLES =
  'time     source                                  syncid version messages/s connections/s     known malformed';

function nowSeconds(): number {
  return Math.floor(performance.now() / 1000);
}

/** One a sender, and nothing where nobody speaks. */
export function lookLines({ seconds, senders, known, missed }: WatchLook, date: Date): string[] {
  const time = date.toTimeString().slice(0, 8);
  const rate = (count: number) => String(Math.round(count / seconds));
  const lines = senders.map(({ source, syncid, version, messages, connections, malformed }) => {
    const faults = Object.entries(malformed).map(([reason, count]) => `${count} ${reason}`);
    return [
      time,
      source.padEnd(39),
      String(syncid ?? '-').padStart(6),
      String(version ?? '-').padStart(7),
      rate(messages).padStart(10),
      rate(connections).padStart(13),
      String(known).padStart(9),
      faults.length === 0 ? '0' : faults.join(', '),
    ].join(' ');
  });
  return missed === 0 ? lines : [...lines, `${time} ${missed} packets came too fast to be read`];
}
