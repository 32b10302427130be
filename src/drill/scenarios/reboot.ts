/** A director's host loses its power and boots again, with nothing in its kernel; then the role comes to it. */

import type { Director } from '../lab/director.js';
import { withPreemption } from '../lab/lab-config.js';
import { settles, sleep } from '../wait.js';
import { handOver } from './orders.js';
import { roleOf, timersOf } from './readiness.js';
import {
  type Course,
  lackingInTheEnd,
  QUIET_MS,
  resynchronised,
  type Setting,
  STATUS_EVERY_MS,
  step,
  takenOver,
  verifyAll,
} from './scenario-parts.js';
import type { Bench } from './site.js';

/** From a boot until the daemon has a role, under emulation. */
const START_TIMEOUT_MS = 150_000;
/** What `preempt` waits for. */
const PREEMPTION_TIMEOUT_MS = 90_000;

interface Outage {
  readonly faultMs: number;
  readonly takeoverAtMs: number | undefined;
  readonly rebooted: Director;
  readonly successor: Director;
}

/** The master's power ends, the other one takes over, the host boots. */
async function rebootMaster(bench: Bench, setting: Setting): Promise<Outage> {
  const { master: rebooted, backup: successor } = await bench.pair();
  const faultMs = Date.now();
  bench.observe(faultMs, 'drill', `the power of ${rebooted.name}, the master, fails`);
  const off = bench.switchOff(rebooted);
  step(bench, setting, `${rebooted.name} has no power; waiting for ${successor.name}`);
  const takeoverAtMs = await takenOver(bench, setting, successor, faultMs);
  await off;
  await sleep(QUIET_MS, bench.options.signal);
  bench.observe(Date.now(), 'drill', `${rebooted.name} boots: nothing is in its kernel`);
  step(bench, setting, `${rebooted.name} boots`);
  await bench.switchOn(rebooted);
  return { faultMs, takeoverAtMs, rebooted, successor };
}

function courseOf({ faultMs, takeoverAtMs }: Outage): Pick<Course, 'faultMs' | 'takeoverMs' | 'excuse'> {
  return {
    faultMs,
    takeoverMs: takeoverAtMs === undefined ? null : takeoverAtMs - faultMs,
    excuse: { of: 'resets', fromMs: faultMs, toMs: takeoverAtMs ?? Date.now() },
  };
}

/** The role comes to the rebooted director by a planned switch. */
export async function runReboot(bench: Bench, setting: Setting): Promise<Course> {
  const { signal } = bench.options;
  const complaints: string[] = [];
  const outage = await rebootMaster(bench, setting);
  const { rebooted, successor } = outage;
  const lacking = await lackingInTheEnd(bench);
  if (lacking !== undefined) {
    complaints.push(`${rebooted.name} did not come back: ${lacking}`);
  }
  const known = await resynchronised(bench, setting, rebooted);
  const pair = await bench.pair();
  // With preemption the role may have come back by itself.
  if (pair.master === successor) {
    if ((await handOver(bench, setting, pair)) === undefined) {
      complaints.push(`${rebooted.name} did not take over all virtual addresses after its return`);
    }
    await sleep(QUIET_MS, signal);
    await successor.maintenance(false);
  }
  const asked = await verifyAll(bench, setting);
  return { ...courseOf(outage), ...asked, complaints, resynchronised: known };
}

/** The director of the higher priority comes back from a reboot and takes its role back by itself. */
export async function runReturnWithPreemption(bench: Bench, setting: Setting): Promise<Course> {
  const complaints: string[] = [];
  const outage = await rebootMaster(bench, setting);
  const { rebooted } = outage;
  const bootedMs = Date.now();
  // How long a start takes says nothing of the role: that counts from when there is somebody to take it.
  await hasRole(bench, rebooted);
  step(bench, setting, `waiting for ${rebooted.name} to take its role back`);
  const back = await takenOver(bench, setting, rebooted, bootedMs, PREEMPTION_TIMEOUT_MS);
  if (back === undefined) {
    complaints.push(`${rebooted.name} did not take its role back`);
  }
  await sleep(QUIET_MS, bench.options.signal);
  const asked = await verifyAll(bench, setting);
  const lacking = await lackingInTheEnd(bench);
  if (lacking !== undefined) {
    complaints.push(`the pair is not complete: ${lacking}`);
  }
  return { ...courseOf(outage), ...asked, complaints };
}

/** Resolves when a director that starts is backup or master, or has had time enough. */
async function hasRole(bench: Bench, { name }: Director): Promise<void> {
  await settles(
    async () => {
      const role = roleOf((await bench.statuses()).get(name));
      return role === 'backup' || role === 'master' ? undefined : (role ?? 'it does not answer');
    },
    { timeoutMs: START_TIMEOUT_MS, everyMs: STATUS_EVERY_MS, signal: bench.options.signal },
  );
}

/** The director of the higher priority preempts, and is master. Returns what makes the configuration what it was. */
export async function arrangePreemption(bench: Bench): Promise<() => Promise<void>> {
  const { progress, signal, topology } = bench.options;
  progress.step(`${topology.name}, return-with-preemption: the preferred director takes its role back`);
  const before = await bench.reconfigure(withPreemption);
  const statuses = await bench.statuses();
  const [preferred] = bench.directors.toSorted((a, b) => priorityOf(b) - priorityOf(a));
  function priorityOf({ name }: Director): number {
    const status = statuses.get(name);
    return status === undefined ? 0 : timersOf(status).priority;
  }
  const deadlineMs = Date.now() + PREEMPTION_TIMEOUT_MS;
  while ((await bench.pair().catch(() => undefined))?.master !== preferred && Date.now() < deadlineMs) {
    await sleep(QUIET_MS, signal);
  }
  await bench.ready();
  return async () => {
    await bench.reconfigure(() => before);
  };
}
