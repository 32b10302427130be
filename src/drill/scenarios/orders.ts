/** Scenarios in which an operator gives an order that no client may feel. */
import { withOtherWeight } from '../lab/lab-config.js';
import { sleep } from '../wait.js';
import {
  type Course,
  lackingInTheEnd,
  QUIET_MS,
  type Setting,
  step,
  takenOver,
  verifyAll,
} from './scenario-parts.js';
import type { Bench, Pair } from './site.js';

/** Each gives a real server another weight; the last one the weight that it had. */
const WEIGHTS = [3, 2, 3, 1];

/** `director failover` on the master; resolves with the time from the order to the takeover, undefined without one. */
export async function handOver(
  bench: Bench,
  setting: Setting,
  { master, backup }: Pair,
): Promise<number | undefined> {
  const orderedMs = Date.now();
  bench.observe(orderedMs, 'drill', `director failover on ${master.name}, the master`);
  step(bench, setting, `${master.name} hands over to ${backup.name}`);
  await master.maintenance(true);
  const at = await takenOver(bench, setting, backup, orderedMs);
  return at === undefined ? undefined : at - orderedMs;
}

/** There and back. */
export async function runSwitch(bench: Bench, setting: Setting): Promise<Course> {
  const { signal } = bench.options;
  const complaints: string[] = [];
  const pair = await bench.pair();
  const faultMs = Date.now();
  const takeoverMs = await handOver(bench, setting, pair);
  await sleep(QUIET_MS, signal);
  await pair.master.maintenance(false);
  const lacking = await lackingInTheEnd(bench);
  if (lacking !== undefined) {
    complaints.push(`the pair was not complete between the switches: ${lacking}`);
  }
  // With preemption the role may have come back by itself.
  const again = await bench.pair();
  if (again.master === pair.backup) {
    if ((await handOver(bench, setting, again)) === undefined) {
      complaints.push(`${pair.master.name} did not take over all virtual addresses again`);
    }
    await sleep(QUIET_MS, signal);
    await again.master.maintenance(false);
  }
  const asked = await verifyAll(bench, setting);
  await sleep(QUIET_MS, signal);
  return { faultMs, takeoverMs: takeoverMs ?? null, ...asked, complaints };
}

/** Both directors reload again and again. */
export async function runReloads(bench: Bench, setting: Setting): Promise<Course> {
  const { signal } = bench.options;
  const faultMs = Date.now();
  let original = '';
  for (const weight of WEIGHTS) {
    bench.observe(Date.now(), 'drill', `SIGHUP to both directors: a real server has weight ${weight}`);
    step(bench, setting, `reloading with weight ${weight}`);
    const before = await bench.reconfigure((text) => withOtherWeight(text, weight));
    original ||= before;
  }
  await bench.reconfigure(() => original);
  await sleep(QUIET_MS, signal);
  const asked = await verifyAll(bench, setting);
  const complaints = bench.roles
    .filter(({ atMs }) => atMs >= faultMs)
    .map(({ director, instance, to }) => `${director}: ${instance} became ${to} by a reload`);
  return { faultMs, takeoverMs: null, ...asked, complaints };
}
