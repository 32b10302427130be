/**
 * Runs inside the VM: a director with connections of every kind, and one that comes later and has none of them until the
 * first one replays. Prints one JSON object, which test/vm/sync-replay.test.ts judges.
 */
import { fileURLToPath } from 'node:url';
import type { WatchLook } from '../../../src/cli/sync/watch.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import { TOPOLOGIES } from '../../../src/drill/lab/topology.js';
import { waitFor } from '../../../src/drill/wait.js';
import type { ReplayReport } from '../../../src/io/sync/replay.js';
import type { Connection } from '../../../src/ipvs/connections.js';
import { MAIN } from '../../program.js';
import { ALL_PORTS_VIP, addressDualStack, addressRealServers, VIP, VIP6 } from './dual-stack.js';

export interface SyncReplayReport {
  /** Of lb1 when it replays; of lb2 before and after. */
  readonly there: readonly Connection[];
  readonly before: readonly Connection[];
  readonly here: readonly Connection[];
  /** `ipvsadm -Ln --persistent-conn` of both, afterwards. */
  readonly counts: readonly [there: string, here: string];
  /** `director sync digest` of both, afterwards. */
  readonly digests: readonly [there: string, here: string];
  /** Sync messages in hexadecimal digits: the kernel's own, and what was replayed. */
  readonly told: readonly string[];
  readonly replayed: readonly string[];
  readonly report: ReplayReport;
  /** Of half of the buckets. */
  readonly half: ReplayReport;
  /** Of `director sync watch --json` during the first replay, on the host that says it and on the one that hears it. */
  readonly watched: readonly [there: Watched, here: Watched];
  /** How many closed connections lb2 was made to forget, and its table before and a moment later. */
  readonly forgotten: {
    readonly count: number;
    readonly known: readonly Connection[];
    readonly left: readonly Connection[];
  };
  /** Where no sync daemon runs. */
  readonly refused: string;
}

/** Sums of all looks. */
export interface Watched {
  connections: number;
  messages: number;
  malformed: number;
  readonly sources: Set<string> | readonly string[];
}

const PROGRAMS = fileURLToPath(new URL('sync-programs.js', import.meta.url));
const { signal } = new AbortController();
const UP = { timeoutMs: 120_000, everyMs: 250, signal };

const TABLE = `
-A -t ${VIP}:80 -s rr
-a -t ${VIP}:80 -r 10.10.10.2:80 -m
-a -t ${VIP}:80 -r 10.10.10.3:8000 -m
-A -t ${VIP}:81 -s rr
-a -t ${VIP}:81 -r 10.10.10.2:81 -g
-A -t ${VIP}:82 -s rr -p 600
-a -t ${VIP}:82 -r 10.10.10.2:80 -m
-A -u ${VIP}:53 -s rr
-a -u ${VIP}:53 -r 10.10.10.2:53 -g
-A -u ${VIP}:54 -s rr
-a -u ${VIP}:54 -r 10.10.10.3:54 -i
-A -u ${VIP}:55 -s rr
-a -u ${VIP}:55 -r 10.10.10.3:55 -m
-A -u ${VIP}:5060 -s rr -p 90 --pe sip
-a -u ${VIP}:5060 -r 10.10.10.2:5060 -m
-A -f 7 -s rr -p 300
-a -f 7 -r 10.10.10.2:0 -g
-A -f 8 -s rr
-a -f 8 -r 10.10.10.3:0 -i
-A -t ${ALL_PORTS_VIP}:0 -s rr -p 120
-a -t ${ALL_PORTS_VIP}:0 -r 10.10.10.3:0 -m
-A -t [${VIP6}]:80 -s rr
-a -t [${VIP6}]:80 -r [fd00::2]:80 -m
-A -u [${VIP6}]:53 -s rr
-a -u [${VIP6}]:53 -r [fd00::3]:53 -g
-A -f 9 -6 -s rr -p 60
-a -f 9 -6 -r [fd00::3]:0 -g
`.trimStart();

const MARKING = `table inet marking {
  chain prerouting {
    type filter hook prerouting priority mangle
    ip daddr ${VIP} udp dport 7007 meta mark set 7
    ip daddr ${VIP} udp dport 7008 meta mark set 8
    ip6 daddr ${VIP6} udp dport 7009 meta mark set 9
  }
}`;

const WANTED = [
  ...Array.from({ length: 4 }, () => `busy,${VIP},80`),
  ...Array.from({ length: 4 }, () => `idle,${VIP},80`),
  `closed,${VIP},80`,
  `half,${VIP},81`,
  `idle,${VIP},82`,
  `udp,${VIP},53`,
  `udp,${VIP},54`,
  `udp,${VIP},55`,
  `udp,${VIP},5060,OPTIONS sip:a SIP/2.0\r\nCall-ID: 7f3a@client\r\n\r\n`,
  `udp,${VIP},7007`,
  `udp,${VIP},7008`,
  `idle,${ALL_PORTS_VIP},8000`,
  `busy,${VIP6},80`,
  `udp,${VIP6},53`,
  `udp,${VIP6},7009`,
];
/** With the templates of the persistent virtual servers. */
const ENTRIES = WANTED.length + 5;

const SYNC = ['--mcast-interface', 'eth1', '--syncid', '51'];

const lab = new Lab(TOPOLOGIES.nat);
function ready(host: string, ...argv: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = lab.start(host, [process.execPath, PROGRAMS, ...argv], { onLine: () => resolve() });
    void child.exited.then(() => reject(new Error(`${argv[0]} ended`)));
  });
}

const director = (host: string, ...argv: readonly string[]) =>
  lab.run(host, [process.execPath, MAIN, ...argv]);

async function connections(host: string): Promise<readonly Connection[]> {
  return JSON.parse(await director(host, 'list', '--connections', '--json')).connections;
}

async function sysctls(host: string): Promise<void> {
  const values = ['sync_refresh_period=10', 'sync_retries=3', 'sync_threshold=2 0'];
  await lab.run(host, ['sysctl', '-q', '-w', ...values.map((value) => `net.ipv4.vs.${value}`)]);
}

async function build(): Promise<void> {
  await lab.build();
  await addressDualStack(lab);
  await addressRealServers(lab);
  await lab.run('lb1', ['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  await lab.run('lb1', ['nft', '-f', '-'], MARKING);
  await lab.run('lb1', ['ipvsadm', '-R'], TABLE);
}

/** Sums up what it prints; resolves after the first line. */
async function watch(host: string): Promise<Watched> {
  const sources = new Set<string>();
  const watched: Watched = { connections: 0, messages: 0, malformed: 0, sources };
  await new Promise<void>((resolve) => {
    lab.start(host, [process.execPath, MAIN, 'sync', 'watch', '--interface', 'eth1', '--json'], {
      onLine: (line) => {
        const { senders }: Pick<WatchLook, 'senders'> = JSON.parse(line);
        for (const { source, connections, messages, malformed } of senders) {
          sources.add(source);
          watched.connections += connections;
          watched.messages += messages;
          for (const count of Object.values(malformed)) watched.malformed += count;
        }
        resolve();
      },
    });
  });
  return watched;
}

await build();
await sysctls('lb1');
const refused = await director('lb1', 'sync', 'replay').catch((error: Error) => error.message);
const heard: string[] = [];
await new Promise<void>((resolve) => {
  lab.start('lb2', [process.execPath, PROGRAMS, 'listen', '224.0.0.81', '8848', '10.10.10.12'], {
    onLine: (line) => (line === 'ready' ? resolve() : line.startsWith('00') && heard.push(line)),
  });
});
await lab.run('lb1', ['ipvsadm', '--start-daemon', 'master', ...SYNC]);
await Promise.all([ready('rs1', 'serve', '80'), ready('rs2', 'serve', '8000')]);
await ready('client', 'open', ...WANTED);
let there: readonly Connection[] = [];
await waitFor(
  'all connections',
  async () => {
    there = await connections('lb1');
    return there.length >= ENTRIES ? undefined : JSON.stringify(there);
  },
  UP,
);
/** The kernel flushes what it has gathered after two seconds. */
let quiet = heard.length;
await waitFor(
  'what the kernel says',
  async () => {
    const before = quiet;
    quiet = heard.length;
    await new Promise((resolve) => setTimeout(resolve, 4000));
    return heard.length > 0 && heard.length === before ? undefined : `${heard.length} messages`;
  },
  UP,
);
const told = [...heard];
await lab.run('lb2', ['ipvsadm', '-R'], TABLE);
await sysctls('lb2');
await lab.run('lb2', ['ipvsadm', '--start-daemon', 'backup', ...SYNC]);
const before = await connections('lb2');
there = await connections('lb1');
const watchers = [await watch('lb1'), await watch('lb2')] as const;
await lab.run('lb2', [process.execPath, PROGRAMS, 'shout', '224.0.0.81', '8848', '10.10.10.12']);
const report: ReplayReport = JSON.parse(await director('lb1', 'sync', 'replay', '--json'));
const replayed: string[] = [];
await waitFor(
  'all messages',
  async () => {
    replayed.splice(0, Infinity, ...heard.slice(told.length));
    return replayed.length >= report.messages ? undefined : `${replayed.length} messages`;
  },
  UP,
);
for (const watched of watchers) {
  const missing = () => (watched.connections >= report.connections ? undefined : JSON.stringify(watched));
  await waitFor('what is watched', async () => missing(), UP);
}
const plain = (one: Watched): Watched => ({ ...one, sources: [...one.sources] });
const watched = [plain(watchers[0]), plain(watchers[1])] as const;
const here = await connections('lb2');
const digests = [await director('lb1', 'sync', 'digest'), await director('lb2', 'sync', 'digest')] as const;
const count = (host: string) => lab.run(host, ['ipvsadm', '-Ln', '--persistent-conn']);
const counts = [await count('lb1'), await count('lb2')] as const;
const buckets = Array.from({ length: 128 }, (_, bucket) => bucket).join(',');
const half: ReplayReport = JSON.parse(
  await director('lb1', 'sync', 'replay', '--json', '--buckets', buckets),
);
const isClosed = ({ state }: Connection) => state === 'TIME_WAIT' || state === 'CLOSE';
await ready('client', 'open', `closed,${VIP},80`);
let known: readonly Connection[] = [];
await waitFor(
  'lb2 to know of a closed connection',
  async () => {
    known = await connections('lb2');
    return known.some(isClosed) ? undefined : 'there is none';
  },
  UP,
);
let forgottenCount = 0;
let left: readonly Connection[] = [];
await waitFor(
  'closed connections to go',
  async () => {
    // Again and again, as a backup does: the other kernel says the same once more (`sync_retries`).
    forgottenCount += Number(await lab.run('lb2', [process.execPath, PROGRAMS, 'forget', VIP]));
    await new Promise((resolve) => setTimeout(resolve, 3000));
    left = await connections('lb2');
    return left.some(isClosed) ? JSON.stringify(left.filter(isClosed)) : undefined;
  },
  UP,
);
const forgotten = { count: forgottenCount, known, left };
await lab.destroy();
const result: SyncReplayReport = {
  there,
  before,
  here,
  counts,
  digests,
  told,
  replayed,
  report,
  half,
  watched,
  forgotten,
  refused,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
