/**
 * Runs inside the VM: a director that is reloaded again and again while a client asks at a steady rate. Prints one JSON object,
 * which test/vm/reload-load.long.test.ts judges.
 *
 * Usage: reload-load.js OUT_DIR SECONDS RATE (OUT_DIR takes the director's log; SECONDS at least, until the last reload is done)
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Load } from '../../../src/drill/client/load.js';
import { Director } from '../../../src/drill/lab/director.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import { TOPOLOGIES } from '../../../src/drill/lab/topology.js';
import {
  type RequestSummary,
  requestComplaints,
  summarizeRequests,
} from '../../../src/drill/report/requests.js';
import { sleep, waitFor } from '../../../src/drill/wait.js';
import { nativeFile } from '../../../src/io/sockets/native.js';
import { MAIN } from '../../program.js';

export interface ReloadLoadReport {
  readonly asked: RequestSummary;
  /** What is wrong with it. */
  readonly complaints: readonly string[];
  /** One from each real server; the second one leaves meanwhile. */
  readonly downloads: readonly { readonly lastedMs: number; readonly whole: boolean; readonly end: string }[];
  /** How long the client asked. */
  readonly seconds: number;
  /** By the director's own log. */
  readonly reloads: number;
  /** `ipvsadm -Sn` while the removed one drains, and in the end. */
  readonly draining: string;
  readonly table: string;
}

const [outDir = '.', seconds = '60', rate = '150'] = process.argv.slice(2);
const { signal } = new AbortController();
const UP = { timeoutMs: 240_000, everyMs: 100, signal };
const VIP = '192.168.1.253';
/** A request that loses its SYN is answered a second later: it is late, and not failed. */
const ANSWER_LIMIT_MS = 2500;

/** What the file says of things that no client of `web` sees, by the number of the reload. */
interface Version {
  readonly other: number;
  readonly web: readonly string[];
  readonly files: readonly string[];
}

const both = ['{ address: 10.10.10.2 }', '{ address: 10.10.10.3 }'];
const FIRST: Version = { other: 0, web: both, files: both };
const others = (from: number, count: number, version: Version): Version[] =>
  Array.from({ length: count }, (_, index) => ({ ...version, other: from + index }));
const ADDED = { ...FIRST, web: [...both, '{ address: 10.10.10.3, port: 81 }'] };
const WEIGHED = { ...ADDED, web: ['{ address: 10.10.10.2, weight: 3 }', ...ADDED.web.slice(1)] };
/** The second real server of both leaves, with a download on it. */
const REMOVED = { ...WEIGHED, web: [WEIGHED.web[0] ?? '', WEIGHED.web[2] ?? ''], files: both.slice(0, 1) };
/** Ten that change other things and three that add, weigh anew and remove. */
const VERSIONS: readonly Version[] = [
  ...others(1, 3, FIRST),
  ADDED,
  ...others(4, 3, ADDED),
  WEIGHED,
  REMOVED,
  ...others(7, 4, REMOVED),
];

function config({ other, web, files }: Version): string {
  const check = 'health_check: { tcp: {}, port: 80, interval: 1s, timeout: 1s, rise: 1, fall: 3 }';
  return `version: 1
directors: { lb1: { address: 10.10.10.11 } }
ipvs: { timeouts: { udp: ${30 + other}s } }
virtual_servers:
  - { name: web, address: ${VIP}, port: 80, scheduler: wrr, forwarding: nat, drain: 60s, ${check}, real_servers: [${web.join(', ')}] }
  - { name: files, address: ${VIP}, port: 81, scheduler: rr, forwarding: nat, drain: 60s, ${check}, real_servers: [${files.join(', ')}] }
  - { name: other, address: ${VIP}, port: 82, scheduler: rr, forwarding: nat, real_servers: [{ address: 10.10.10.2, weight: ${other + 1} }] }
`;
}

const lab = new Lab(TOPOLOGIES.nat);
const workDir = mkdtempSync(join(tmpdir(), 'reload-load-'));
const configFile = join(workDir, 'director.yaml');
let reloads = 0;
const director = new Director(lab, {
  name: 'lb1',
  command: [process.execPath, MAIN],
  configFile,
  runtimeDir: workDir,
  logFile: join(outDir, 'lb1.log'),
  onEvent: ({ event }) => {
    if (event === 'reload') reloads += 1;
  },
  onExit: () => {},
});
const table = (): Promise<string> => lab.run('lb1', ['ipvsadm', '-Sn']);

/** A program of the lab; `first` resolves with its first line, `last` with its last one. */
function start(host: string, ...argv: readonly string[]): { first: Promise<void>; last: Promise<string> } {
  let line = '';
  let begun: () => void = () => {};
  const first = new Promise<void>((resolve) => (begun = resolve));
  const child = lab.start(host, [nativeFile('load'), ...argv], {
    onLine: (one) => {
      line = one;
      begun();
    },
  });
  const last = child.exited.then(() => {
    process.stderr.write(`${argv.join(' ')}: ${line}\n`);
    return line;
  });
  return { first, last };
}

async function reload(version: Version): Promise<void> {
  const wanted = reloads + 1;
  writeFileSync(configFile, config(version));
  director.signal('SIGHUP');
  await waitFor('a reload', () => (reloads >= wanted ? undefined : 'not yet'), UP);
}

await lab.build();
const ip = (...lines: readonly string[]) => lab.run('lb1', ['ip', '-batch', '-'], `${lines.join('\n')}\n`);
await ip(`addr add ${VIP}/24 dev eth0`, 'addr add 10.10.10.1/24 dev eth1');
for (const host of ['rs1', 'rs2']) {
  await start(host, 'serve', host, '--http', '80', '--http', '81').first;
}
writeFileSync(configFile, config(FIRST));
await director.start();
await waitFor(
  'all real servers are in the table',
  async () => ((await table().catch(() => '')).match(/^-a /gm)?.length === 5 ? undefined : 'not yet'),
  UP,
);
const beganMs = performance.now();
const asking = await Load.start(lab, 'client', {
  addresses: [VIP],
  port: 80,
  rate: Number(rate),
  limitMs: ANSWER_LIMIT_MS,
  file: join(workDir, 'load.txt'),
});
let draining = '';
let downloads: ReturnType<typeof start>[] = [];
for (const version of VERSIONS) {
  if (version === REMOVED) {
    downloads = [start('client', 'download', VIP, '81'), start('client', 'download', VIP, '81')];
    await Promise.all(downloads.map(({ first }) => first));
  }
  await reload(version);
  process.stderr.write(`${reloads} reloads are done\n`);
  if (version === REMOVED) draining = await table();
}
const left = Number(seconds) * 1000 - (performance.now() - beganMs);
if (left > 0) await sleep(left, signal);
const askedMs = performance.now() - beganMs;
const samples = await asking.stop();
const report: ReloadLoadReport = {
  asked: summarizeRequests(samples),
  complaints: requestComplaints(samples),
  downloads: await Promise.all(downloads.map(async ({ last }) => JSON.parse(await last))),
  seconds: askedMs / 1000,
  reloads,
  draining,
  table: await table(),
};
await director.stop();
await lab.destroy();
director.closeLog();
rmSync(workDir, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(report)}\n`);
