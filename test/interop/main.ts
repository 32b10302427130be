/**
 * Runs the pairs and writes docs/INTEROP.md. Started by `npm run interop`; where this kernel has no macvlan, it
 * starts itself again in the VM.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { projectFolder, startVm } from '../../src/drill/vm/session.js';
import { Bench } from '../net/daemons.js';
import { MAIN } from '../program.js';
import { CASES, caseName, type InteropCase, PEERS, type PeerName } from './cases.js';
import { documentText, type PeerResults } from './document.js';
import { hasMacvlan, startFrr } from './peer-frr.js';
import { startKeepalived } from './peer-keepalived.js';
import { startOurs } from './peer-ours.js';
import { type CaseResult, runCase } from './run-case.js';

/** Most of the time a case waits; more would disturb those at 10 ms. */
const AT_ONCE = 2;
const VM_LIMIT_MS = 30 * 60_000;
const START = { ours: startOurs, keepalived: startKeepalived, frr: startFrr } as const;
const VERSION_COMMAND = {
  ours: [process.execPath, MAIN, '--version'],
  keepalived: ['keepalived', '--version'],
  frr: ['vrrpd', '--version'],
} as const;

const USAGE = `Usage: npm run interop -- [OPTIONS]

Pairs of a director and another implementation, or another director, each in each role. All of them together are written
to docs/INTEROP.md; a part of them is printed.

  --peer NAME     ${PEERS.join(', ')}: pairs with this one alone
  --case TEXT     cases with this text in their names
  --not TEXT      none with this text in their names
  --here          in this kernel, whatever it can do
  --json          the results as JSON on standard output
  --output FILE   into this file instead
  --help

Exit status: 0 every case passed, 1 one failed, 2 wrong arguments.
`;

function choose() {
  const { values } = parseArgs({
    options: {
      peer: { type: 'string' },
      case: { type: 'string', default: '' },
      not: { type: 'string' },
      here: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      output: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const peers = PEERS.filter((peer) => values.peer === undefined || values.peer === peer);
  if (peers.length === 0) throw new RangeError(`--peer is one of ${PEERS.join(', ')}, not '${values.peer}'`);
  return { ...values, peers };
}

function say(words: string): void {
  process.stderr.write(`${words}\n`);
}

function chosen(): ReturnType<typeof choose> {
  try {
    const choice = choose();
    if (!choice.help) return choice;
    process.stdout.write(USAGE);
    process.exit(0);
  } catch (error) {
    say(`interop: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}

const values = chosen();

function versionOf(peer: PeerName): string {
  const [program, ...args] = VERSION_COMMAND[peer];
  const text = execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', program, ...args], { encoding: 'utf8' });
  return text.split('\n')[0]?.replace(/ \(.*$/, '') ?? '';
}

async function runOne(which: InteropCase): Promise<CaseResult> {
  const closings: (() => unknown)[] = [];
  const bench = await Bench.open({ teardown: (close) => void closings.push(close) });
  try {
    const result = await runCase(bench, which, START[which.peer]);
    say(`${caseName(which)}: ${result.failure ?? 'passed'} ${result.complaints.join('; ')}`);
    return result;
  } finally {
    for (const close of closings.toReversed()) await close();
  }
}

/** In this kernel's namespaces. */
async function runHere(peer: PeerName): Promise<PeerResults> {
  const wanted = (name: string) =>
    name.includes(values.case) && (values.not === undefined || !name.includes(values.not));
  const cases = CASES.filter((one) => one.peer === peer && wanted(caseName(one)));
  const results = new Map<InteropCase, CaseResult>();
  const queue = [...cases];
  const worker = async () => {
    for (let which = queue.shift(); which !== undefined; which = queue.shift()) {
      results.set(which, await runOne(which));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const ordered = cases.flatMap((which) => results.get(which) ?? []);
  return { peer, version: versionOf(peer), kernel: release(), results: ordered };
}

async function runInVm(peer: PeerName): Promise<PeerResults> {
  const outDir = mkdtempSync(join(tmpdir(), 'interop-'));
  const vm = await startVm({ outDir, memoryMiB: 3072, onProgress: say });
  try {
    const file = join(outDir, 'results.json');
    const inner = [fileURLToPath(import.meta.url), '--here', '--peer', peer, '--case', values.case];
    if (values.not !== undefined) inner.push('--not', values.not);
    const command = [process.execPath, ...inner];
    const result = await vm.run([...command, '--output', join(vm.outDir, 'results.json')], {
      timeoutMs: VM_LIMIT_MS,
      onOutput: (line) => say(`VM: ${line}`),
    });
    if (result.status !== 0) throw new Error(`in the VM: status ${result.status}`);
    return JSON.parse(readFileSync(file, 'utf8'));
  } finally {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  }
}

const all: PeerResults[] = [];
for (const peer of values.peers) {
  const here = values.here || hasMacvlan();
  all.push(here ? await runHere(peer) : await runInVm(peer));
}
if (values.here && values.output !== undefined) {
  writeFileSync(values.output, JSON.stringify(all[0]));
} else {
  const complete = values.peer === undefined && values.case === '' && values.not === undefined;
  const output = values.output ?? (complete ? join(projectFolder(), 'docs', 'INTEROP.md') : undefined);
  if (values.json) process.stdout.write(JSON.stringify(all));
  else if (output === undefined) process.stdout.write(documentText(all));
  else writeFileSync(output, documentText(all));
  const failed = all.flatMap(({ results }) => results).filter(({ failure }) => failure !== undefined);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
