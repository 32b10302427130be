/** Scenarios in which the network is at fault and both directors live. */
import { partitionMs } from '../report/verdict.js';
import { sleep } from '../wait.js';
import { handOver } from './orders.js';
import {
  type Course,
  lackingInTheEnd,
  QUIET_MS,
  resynchronised,
  type Setting,
  step,
  takenOver,
  verifyAll,
} from './scenario-parts.js';
import type { Bench } from './site.js';

/** Of a hundred datagrams of connection synchronisation, in `sync-loss`. */
const SYNC_LOSS_PERCENT = 30;

/** Takes some of the directors' sync datagrams from now on; returns what ends it. */
export async function loseSync(bench: Bench): Promise<() => Promise<void>> {
  const names = bench.directors.map(({ name }) => name);
  await bench.lab.lose(names, { syncPercent: SYNC_LOSS_PERCENT });
  return () => bench.lab.lose([]);
}

/** The network loses nothing any more; the backup has to know every connection before the role comes to it. */
export async function runSyncLoss(bench: Bench, setting: Setting): Promise<Course> {
  const { signal } = bench.options;
  await bench.lab.lose([]);
  bench.observe(Date.now(), 'drill', 'no sync datagram is lost any more');
  const pair = await bench.pair();
  const known = await resynchronised(bench, setting, pair.backup);
  const faultMs = Date.now();
  const takeoverMs = await handOver(bench, setting, pair);
  await sleep(QUIET_MS, signal);
  await pair.master.maintenance(false);
  const asked = await verifyAll(bench, setting);
  return { faultMs, takeoverMs: takeoverMs ?? null, ...asked, complaints: [], resynchronised: known };
}

/** What the master sends is lost: it hears everybody, and nobody hears it. */
export async function runOneWay(bench: Bench, setting: Setting): Promise<Course> {
  const { master, backup } = await bench.pair();
  const faultMs = Date.now();
  bench.observe(faultMs, 'drill', `what ${master.name}, the master, sends is lost`);
  bench.startOutage(master.name);
  await bench.lab.lose([master.name]);
  step(bench, setting, `nobody hears ${master.name}; waiting for ${backup.name}`);
  const at = await takenOver(bench, setting, backup, faultMs);
  // At once: a few seconds later the real servers would count as down on the one whose questions are lost.
  await bench.lab.lose([]);
  bench.endOutage(master.name);
  bench.observe(Date.now(), 'drill', `${master.name} is heard again`);
  return {
    ...(await healed(bench, setting, faultMs)),
    faultMs,
    takeoverMs: at === undefined ? null : at - faultMs,
  };
}

/** The directors do not hear each other, and everybody hears both; then the network heals. */
export async function runSplitBrain(bench: Bench, setting: Setting): Promise<Course> {
  const { signal } = bench.options;
  const names = bench.directors.map(({ name }) => name);
  const faultMs = Date.now();
  bench.observe(faultMs, 'drill', 'the directors do not hear each other any more');
  step(bench, setting, 'the directors do not hear each other');
  await bench.lab.isolate(names, true);
  await sleep(partitionMs(setting.intervalMs, setting.priority), signal);
  await bench.lab.isolate(names, false);
  bench.observe(Date.now(), 'drill', 'the directors hear each other again');
  const roles = bench.roles.filter(({ atMs, to }) => atMs >= faultMs && to === 'master');
  const course = await healed(bench, setting, faultMs);
  const complaints = roles.length > 0 ? [] : ['there never were two masters: the directors were not parted'];
  return { ...course, faultMs, takeoverMs: null, complaints: [...complaints, ...course.complaints] };
}

/** One of two masters has to give way; every connection is asked for an answer then. */
async function healed(
  bench: Bench,
  setting: Setting,
  faultMs: number,
): Promise<Pick<Course, 'askedMs' | 'verified' | 'complaints' | 'excuse'>> {
  step(bench, setting, 'waiting for one master and one backup');
  const lacking = await lackingInTheEnd(bench);
  const settledMs = Date.now();
  await sleep(QUIET_MS, bench.options.signal);
  const asked = await verifyAll(bench, setting);
  return {
    ...asked,
    complaints: lacking === undefined ? [] : [`the pair is not what it was: ${lacking}`],
    excuse: { of: 'resets', fromMs: faultMs, toMs: settledMs },
  };
}
