/**
 * Runs inside the VM: one table of many services, programmed by `ipvsadm -R`, by keepalived and by a director. Tells each
 * measurement as a line of JSON, which test/bench/ipvs.ts prints.
 *
 * Usage: ipvs-scale.js COUNT REAL_SERVERS [ipvsadm|keepalived|ours|'ours, telling its messages' ...]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, waitFor } from '../../../src/drill/wait.js';
import { openIpvs } from '../../../src/io/netlink/ipvs.js';
import type { ServiceKey } from '../../../src/ipvs/model.js';
import { MAIN } from '../../program.js';
import { cpuSeconds, nameOf, residentKiB, tree } from '../support/processes.js';

export interface ScaleResult {
  readonly who: string;
  readonly services: number;
  /** Until the kernel has the last real server; a bare table from nothing. */
  readonly startMs: number;
  /** Until the kernel has one weight that the file changed. */
  readonly reloadMs?: number;
  /** Messages that changed the table at that reload, by the program's own log. */
  readonly reloadChanges?: number;
  /** Until the kernel has the weight that `director weight` gave, and how many messages that were. */
  readonly orderMs?: number;
  readonly orderChanges?: number;
  /** All processes together. */
  readonly residentMiB?: number;
  readonly processes?: readonly string[];
  /** Of all processes from the start until the table was whole, and of the reload. */
  readonly startCpuS?: number;
  readonly reloadCpuS?: number;
}

const [countText = '', realsText = '', ...chosen] = process.argv.slice(2);
const COUNT = Number(countText);
const REALS = Number(realsText);
const { signal } = new AbortController();
const LIMIT = { timeoutMs: 900_000, everyMs: 50, signal };
/** Ours with a log that names every change of the table, which takes its time. */
const MESSAGES = 'ours, telling its messages';
const folder = mkdtempSync(join(tmpdir(), 'ipvs-scale-'));
const ipvs = await openIpvs();

function vip(index: number): string {
  return `10.${100 + Math.floor(index / 62_500)}.${Math.floor(index / 250) % 250}.${(index % 250) + 1}`;
}

function rip(index: number, real: number): string {
  return `172.16.${index % 250}.${real + 1}`;
}

const keyOf = (index: number): ServiceKey => ({ family: 'ipv4', protocol: 6, address: vip(index), port: 80 });
/** Whose first real server changes. */
const CHANGED = Math.floor(COUNT / 2);

/** What `ipvsadm -R` reads. */
function rules(): string {
  const lines: string[] = [];
  for (let i = 0; i < COUNT; i += 1) {
    lines.push(`-A -t ${vip(i)}:80 -s wrr`);
    for (let r = 0; r < REALS; r += 1) lines.push(`-a -t ${vip(i)}:80 -r ${rip(i, r)}:80 -m -w ${r + 1}`);
  }
  return `${lines.join('\n')}\n`;
}

function yaml(weight: number): string {
  const lines = ['version: 1', 'directors: { lb1: { address: 127.0.0.1 } }', 'virtual_servers:'];
  for (let i = 0; i < COUNT; i += 1) {
    lines.push(
      `  - name: web-${i}`,
      `    address: ${vip(i)}`,
      '    port: 80',
      '    scheduler: wrr',
      '    forwarding: nat',
    );
    lines.push('    real_servers:');
    for (let r = 0; r < REALS; r += 1) {
      const own = i === CHANGED && r === 0 ? weight : r + 1;
      lines.push(`      - { address: ${rip(i, r)}, port: 80, weight: ${own} }`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function keepalivedConf(weight: number): string {
  const lines = ['global_defs {', '}'];
  for (let i = 0; i < COUNT; i += 1) {
    lines.push(`virtual_server ${vip(i)} 80 {`, '  lvs_sched wrr', '  lvs_method NAT', '  protocol TCP');
    for (let r = 0; r < REALS; r += 1) {
      const own = i === CHANGED && r === 0 ? weight : r + 1;
      lines.push(`  real_server ${rip(i, r)} 80 {`, `    weight ${own}`, '  }');
    }
    lines.push('}');
  }
  return `${lines.join('\n')}\n`;
}

/** What is missing, as `waitFor` has it. */
type Missing = string | undefined;

async function lastService(): Promise<Missing> {
  try {
    return (await ipvs.destinations(keyOf(COUNT - 1))).length === REALS ? undefined : 'real servers';
  } catch {
    return 'the last service';
  }
}

async function weightIs(weight: number): Promise<Missing> {
  const found = (await ipvs.destinations(keyOf(CHANGED))).find(({ address }) => address === rip(CHANGED, 0));
  return found?.weight === weight ? undefined : `weight ${found?.weight}`;
}

async function timed(what: string, until: () => Promise<Missing>): Promise<number> {
  const start = performance.now();
  await waitFor(what, until, LIMIT);
  return performance.now() - start;
}

async function clear(): Promise<void> {
  spawnSync('ipvsadm', ['-C']);
  await waitFor(
    'an empty table',
    () => (readFileSync('/proc/net/ip_vs', 'utf8').split('\n').length < 5 ? undefined : 'services are left'),
    LIMIT,
  );
}

function tell(result: ScaleResult): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function byIpvsadm(): Promise<void> {
  const file = join(folder, 'rules');
  writeFileSync(file, rules());
  const start = performance.now();
  const { status, stderr } = spawnSync('ipvsadm', ['-R'], { stdio: [openSync(file, 'r'), 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`ipvsadm -R: ${String(stderr)}`);
  tell({ who: 'ipvsadm', services: COUNT, startMs: performance.now() - start });
}

interface Program {
  readonly who: string;
  readonly start: () => ChildProcess;
  readonly writeFile: (weight: number) => void;
  /** Changing messages that its log tells of so far; undefined where it does not. */
  readonly changes: () => number | undefined;
  readonly order?: () => void;
}

function costs(pid: number | undefined) {
  const pids = tree(pid ?? 0);
  return {
    cpuS: pids.reduce((sum, each) => sum + cpuSeconds(each), 0),
    residentMiB: pids.reduce((sum, each) => sum + residentKiB(each), 0) / 1024,
    processes: pids.map((each) => `${nameOf(each)} ${Math.round(residentKiB(each) / 1024)}`),
  };
}

async function byProgram({ who, start, writeFile, changes, order }: Program): Promise<void> {
  writeFile(1);
  const child = start();
  try {
    const startMs = await timed(`${who} has the table`, lastService);
    const started = costs(child.pid);
    // What follows a start is not part of a reload.
    await sleep(15_000, signal);
    const before = costs(child.pid);
    const said = changes();
    writeFile(7);
    child.kill('SIGHUP');
    const reloadMs = await timed(`${who} has reloaded`, () => weightIs(7));
    await sleep(10_000, signal);
    const after = costs(child.pid);
    const reloaded = changes();
    let ordered: Partial<ScaleResult> = {};
    if (order !== undefined) {
      const began = performance.now();
      order();
      await waitFor(`${who} has obeyed`, () => weightIs(9), LIMIT);
      const orderMs = performance.now() - began;
      await sleep(3000, signal);
      const obeyed = changes();
      ordered = {
        orderMs,
        ...(obeyed !== undefined && reloaded !== undefined && { orderChanges: obeyed - reloaded }),
      };
    }
    tell({
      who,
      services: COUNT,
      startMs,
      reloadMs,
      ...(said !== undefined && reloaded !== undefined && { reloadChanges: reloaded - said }),
      ...ordered,
      residentMiB: after.residentMiB,
      processes: after.processes,
      startCpuS: started.cpuS,
      reloadCpuS: after.cpuS - before.cpuS,
    });
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}

function ours(level: 'info' | 'debug'): Program {
  const config = join(folder, 'director.yaml');
  const log = join(folder, 'director.log');
  const where = ['--runtime-dir', join(folder, 'run')];
  return {
    who: level === 'debug' ? MESSAGES : 'ours',
    writeFile: (weight) => writeFileSync(config, yaml(weight)),
    start: () => {
      // What the operator said in the run before lies over the file.
      rmSync(join(folder, 'state'), { recursive: true, force: true });
      const fd = openSync(log, 'w');
      const argv = [
        MAIN,
        'run',
        '-c',
        config,
        '--director',
        'lb1',
        ...where,
        '--state-dir',
        join(folder, 'state'),
      ];
      return spawn(process.execPath, [...argv, '--log', 'json', '--log-level', level], {
        stdio: ['ignore', fd, fd],
      });
    },
    changes: () =>
      level === 'info' ? undefined : readFileSync(log, 'utf8').split('"event":"ipvs","op"').length - 1,
    order: () => {
      const real = `${rip(CHANGED, 0)}:80`;
      const argv = [MAIN, 'weight', real, '9', '--virtual-server', `web-${CHANGED}`, ...where];
      const { status, stderr } = spawnSync(process.execPath, argv);
      if (status !== 0) throw new Error(`director weight: ${String(stderr)}`);
    },
  };
}

function keepalived(): Program {
  const config = join(folder, 'keepalived.conf');
  const file = (name: string): string => join(folder, `${name}.pid`);
  return {
    who: 'keepalived',
    writeFile: (weight) => writeFileSync(config, keepalivedConf(weight)),
    start: () =>
      spawn('keepalived', ['--check', '-n', '-l', '-f', config, '-p', file('main'), '-c', file('checkers')], {
        stdio: 'ignore',
      }),
    changes: () => undefined,
  };
}

try {
  for (const who of chosen) {
    await clear();
    if (who === 'ipvsadm') await byIpvsadm();
    else if (who === 'keepalived') await byProgram(keepalived());
    else await byProgram(ours(who === MESSAGES ? 'debug' : 'info'));
  }
} finally {
  await clear();
  ipvs.close();
  rmSync(folder, { recursive: true, force: true });
}
