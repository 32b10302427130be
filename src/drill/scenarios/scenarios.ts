/** The scenarios: what is done to the pair, and what is waited for. Numbers are made elsewhere. */

import { DrillError } from '../errors.js';
import type { Director } from '../lab/director.js';
import { heldAllAt, heldNow } from '../report/measure.js';
import {
  type Baseline,
  type Expectation,
  expectationOf,
  type FaultName,
  LEASE_MS,
  type ScenarioName,
} from '../report/verdict.js';
import { settles, sleep } from '../wait.js';
import { loseSync, runOneWay, runSplitBrain, runSyncLoss } from './network-faults.js';
import { type Observed, openWindow } from './observation-window.js';
import { runReloads, runSwitch } from './orders.js';
import { timersOf } from './readiness.js';
import { runRealServerDown } from './real-server-down.js';
import { arrangePreemption, runReboot, runReturnWithPreemption } from './reboot.js';
import {
  type Course,
  lackingInTheEnd,
  QUIET_MS,
  type Setting,
  step,
  takenOver,
  toldOf,
  verifyAll,
} from './scenario-parts.js';
import { openServices } from './service-clients.js';
import type { Bench } from './site.js';

/** In which this machine shows its own jitter. */
const BASELINE_MS = 2500;
/** What the other director knows of connections is no matter there. */
const NOBODY_SUCCEEDS: readonly ScenarioName[] = ['return', 'reload-under-load', 'real-server-down'];
const EXIT_TIMEOUT_MS = 10_000;
const STRIKE_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/** Opens the connections and sees to it that the backup knows them. */
async function prepare(
  bench: Bench,
  name: ScenarioName,
  after: FaultName | undefined,
): Promise<Omit<Setting, 'expectation'>> {
  const { connections, topology } = bench.options;
  const pair = await bench.pair();
  const setting = { name, after };
  step(bench, setting, `${pair.master.name} is master; opening ${3 * connections} connections`);
  await bench.client.send({ command: 'close' });
  const first = await bench.client.send({
    command: 'open',
    address: topology.vip,
    port: topology.port,
    count: connections,
  });
  const others = await openServices(bench);
  const opened = [...first.opened, ...others.opened];
  const failed = [...first.failed, ...others.failed];
  let synchronised: Setting['synchronised'] = null;
  if (!NOBODY_SUCCEEDS.includes(name)) {
    // A client with persistence is no connection of its own; its template has another place in the table.
    const told = toldOf(opened);
    step(bench, setting, `waiting for ${pair.backup.name} to know ${told.length} connections`);
    synchronised = {
      opened: told.length,
      known: await bench.synchronised(pair.backup.name, told),
    };
  }
  const master = await pair.master.status();
  // Whoever takes over, the pair's limit is that of its lower priority.
  const backup = name === 'return' ? master : await pair.backup.status();
  if (master === undefined || backup === undefined) {
    throw new DrillError('ERR_DRILL_TIMEOUT', 'a director does not answer on its control socket');
  }
  const { intervalMs } = timersOf(master);
  const priority = Math.min(timersOf(master).priority, timersOf(backup).priority);
  return {
    name,
    after,
    pair,
    opened,
    failedToOpen: failed,
    synchronised,
    intervalMs,
    priority,
  };
}

/** What ends a master. */
async function strike(bench: Bench, master: Director, fault: FaultName): Promise<void> {
  switch (fault) {
    case 'planned':
      bench.observe(Date.now(), 'drill', `SIGTERM to ${master.name}, the master`);
      master.signal('SIGTERM');
      return;
    case 'crash':
      bench.observe(Date.now(), 'drill', `SIGKILL to ${master.name}, the master`);
      master.signal('SIGKILL');
      return;
    case 'power':
      bench.observe(Date.now(), 'drill', `all links of ${master.name}, the master, are down`);
      await bench.cables(master.name, 'down');
      return;
    case 'hang':
      bench.observe(Date.now(), 'drill', `SIGSTOP to ${master.name}, the master`);
      bench.hang(master, 'stopped');
      return;
    case 'crash-all':
      bench.observe(Date.now(), 'drill', `SIGKILL to all processes of ${master.name}, the master`);
      await bench.killEverything(master);
      return;
  }
}

async function runFault(bench: Bench, setting: Setting, fault: FaultName): Promise<Course> {
  const { signal } = bench.options;
  const complaints: string[] = [];
  // Preparing takes a while; whom the fault must hit is whoever is master now.
  const { master, backup } = await bench.pair();
  if (master !== setting.pair.master) {
    complaints.push(`${setting.pair.master.name} lost its role before the fault, with nothing done to it`);
  }
  const faultMs = Date.now();
  await strike(bench, master, fault);
  step(bench, setting, `${master.name} is struck; waiting for ${backup.name}`);
  const at = await takenOver(bench, setting, backup, faultMs);
  const asked = await verifyAll(bench, setting);
  if (fault === 'crash-all') {
    complaints.push(...(await addressesLeft(bench, master, faultMs)));
  }
  if (fault === 'planned') {
    const exit = await settles(() => (master.running ? 'runs' : undefined), {
      timeoutMs: EXIT_TIMEOUT_MS,
      everyMs: POLL_MS,
      signal,
    });
    if (!exit.done) {
      complaints.push(`${master.name} did not end within ${EXIT_TIMEOUT_MS / 1000} s after SIGTERM`);
      master.signal('SIGKILL');
    }
  }
  await sleep(QUIET_MS, signal);
  const takeoverMs = at === undefined ? null : at - faultMs;
  const course = { faultMs, takeoverMs, ...asked, complaints };
  return fault === 'planned'
    ? course
    : { ...course, excuse: { of: 'resets', fromMs: faultMs, toMs: at ?? Date.now() } };
}

/** Says which addresses a director on whose host nothing runs any more holds when the kernel's lease is over. */
async function addressesLeft(bench: Bench, { name }: Director, faultMs: number): Promise<string[]> {
  const held = (): string[] => heldNow(bench.changes, name, bench.virtualAddresses);
  await settles(() => (held().length > 0 ? 'held' : undefined), {
    timeoutMs: Math.max(0, faultMs + LEASE_MS - Date.now()),
    everyMs: POLL_MS,
    signal: bench.options.signal,
  });
  const left = held();
  return left.length === 0
    ? []
    : [`${name} still held ${left.join(' and ')} ${LEASE_MS / 1000} s after the fault`];
}

/** Brings a director back from a fault. */
async function bringBack(bench: Bench, director: Director, after: FaultName): Promise<void> {
  if (after === 'power') {
    bench.observe(Date.now(), 'drill', `the links of ${director.name} are up again`);
    await bench.cables(director.name, 'up');
  } else if (after === 'hang') {
    bench.observe(Date.now(), 'drill', `SIGCONT to ${director.name}`);
    bench.hang(director, 'goes on');
  } else {
    bench.observe(Date.now(), 'drill', `${director.name} is started again`);
    await director.start();
  }
}

async function runReturn(bench: Bench, setting: Setting, after: FaultName): Promise<Course> {
  const { signal } = bench.options;
  const { master, backup: returning } = setting.pair;
  const faultMs = Date.now();
  await bringBack(bench, returning, after);
  step(bench, setting, `${returning.name} comes back`);
  const lacking = await lackingInTheEnd(bench);
  await sleep(QUIET_MS, signal);
  const asked = await verifyAll(bench, setting);
  const complaints = lacking === undefined ? [] : [`${returning.name} did not come back: ${lacking}`];
  // With preemption the role comes back with the preferred director, and is to be felt as little.
  for (const role of bench.preempts ? [] : bench.roles) {
    if (role.atMs >= faultMs && (role.director === master.name || role.to === 'master')) {
      complaints.push(
        `${role.director}: ${role.instance} became ${role.to}, though nothing was wrong with the master`,
      );
    }
  }
  return { faultMs, takeoverMs: null, ...asked, complaints };
}

function carryOut(bench: Bench, setting: Setting): Promise<Course> {
  const { name } = setting;
  switch (name) {
    case 'planned':
    case 'crash':
    case 'hang':
    case 'power':
    case 'crash-all':
      return runFault(bench, setting, name);
    case 'return':
      return runReturn(bench, setting, setting.after ?? 'planned');
    case 'switch':
      return runSwitch(bench, setting);
    case 'reboot':
      return runReboot(bench, setting);
    case 'return-with-preemption':
      return runReturnWithPreemption(bench, setting);
    case 'reload-under-load':
      return runReloads(bench, setting);
    case 'sync-loss':
      return runSyncLoss(bench, setting);
    case 'one-way':
      return runOneWay(bench, setting);
    case 'split-brain':
      return runSplitBrain(bench, setting);
    case 'real-server-down':
      return runRealServerDown(bench, setting);
  }
}

/** What has to be so before the connections are opened; returns what undoes it. */
async function arrange(bench: Bench, name: ScenarioName): Promise<() => Promise<void>> {
  switch (name) {
    case 'return-with-preemption':
      return arrangePreemption(bench);
    case 'sync-loss':
      return loseSync(bench);
    default:
      return async () => undefined;
  }
}

/**
 * Runs one scenario under observation. The pair must be in the state that the one before left.
 *
 * @param pauseMs waited before the fault beyond what the picture needs
 */
export async function runScenario(
  bench: Bench,
  name: ScenarioName,
  after?: FaultName,
  pauseMs = 0,
): Promise<{ readonly setting: Setting; readonly course: Course; readonly observed: Observed }> {
  const undo = await arrange(bench, name);
  const prepared = await prepare(bench, name, after);
  const { intervalMs, priority } = prepared;
  const limits = (baseline: Baseline): Expectation =>
    expectationOf(name, intervalMs, priority, baseline, bench.preempts);
  const window = await openWindow(bench, limits({ gapMs: 0, requestMs: 0 }).request_limit_ms);
  if (bench.baseline === undefined) {
    // The same load with nothing done to the pair.
    step(bench, prepared, 'measuring the undisturbed lab');
    await sleep(BASELINE_MS, bench.options.signal);
    bench.baseline = await window.baseline();
  } else {
    await sleep(QUIET_MS + pauseMs, bench.options.signal);
  }
  const setting = { ...prepared, expectation: limits(bench.baseline) };
  const course = await carryOut(bench, setting);
  const observed = await window.finish();
  await undo();
  return { setting, course, observed };
}

/** A failed director comes back without being looked at, for the next scenario. */
export async function recover(bench: Bench, after: FaultName): Promise<void> {
  const { backup } = await bench.pair();
  await bringBack(bench, backup, after);
  await bench.ready();
}

/** A master ends and is not looked at: `return` alone needs somebody who comes back. */
export async function strikeOnly(bench: Bench, fault: FaultName): Promise<void> {
  const { master, backup } = await bench.pair();
  await strike(bench, master, fault);
  await settles(
    () => (heldAllAt(bench.changes, backup.name, bench.virtualAddresses, 0) === undefined ? 'no' : undefined),
    {
      timeoutMs: STRIKE_TIMEOUT_MS,
      everyMs: POLL_MS,
      signal: bench.options.signal,
    },
  );
  await settles(() => (fault === 'planned' && master.running ? 'runs' : undefined), {
    timeoutMs: EXIT_TIMEOUT_MS,
    everyMs: POLL_MS,
    signal: bench.options.signal,
  });
}
