import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseDuration } from '../config/duration.js';
import { fetchStatus, orderMaintenance } from '../io/operator/control-client.js';
import type { InstanceStatus } from '../runtime/status.js';
import { type Command, UsageError } from './command.js';
import { jsonText } from './json-text.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from './runtime-dir.js';

const USAGE = `Usage: director failover [OPTIONS]

Hands the role over to the peer and keeps this director the last choice until 'director failover --end'. Waits for the
successor and says who it is. Exit status 1: nobody took over, this director goes on as master.

  --instance NAME     this instance and its sync group; may be repeated (default all)
  --end               maintenance is over; whether the role comes back is a matter of 'preempt'
  --persist           also across a restart of the director and a reboot
  --timeout DURATION  how long to wait for the successor (default 5s, or two
                      advertisement intervals where that is longer)
  --json              the answer as JSON
${RUNTIME_OPTIONS_USAGE}`;

const DEFAULT_TIMEOUT_MS = 5000;
const POLL_MS = 100;

function durationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const parsed = parseDuration(text);
  if (parsed === undefined) throw new UsageError(`--timeout '${text}' is no duration such as 5s`);
  return parsed;
}

/** The instances as they are when none of them hands over any more, or at the end of the time. */
async function settled(
  runtimeDirectory: string,
  names: readonly string[],
  timeoutMs: number | undefined,
): Promise<readonly InstanceStatus[]> {
  const startMs = performance.now();
  for (;;) {
    const { instances } = await fetchStatus(runtimeDirectory);
    const concerned = instances.filter(({ name }) => names.includes(name));
    const intervals = concerned.map((instance) => 2 * instance.advertisement_interval_ms);
    const limitMs = timeoutMs ?? Math.max(DEFAULT_TIMEOUT_MS, ...intervals);
    const done = concerned.every(({ handing_over, state, master }) => !handing_over && isTold(state, master));
    if (done || performance.now() - startMs > limitMs) return concerned;
    await sleep(POLL_MS);
  }
}

/** A backup that has not heard its master yet has nothing to tell. */
function isTold(state: InstanceStatus['state'], master: string | null): boolean {
  return state !== 'backup' || master !== null;
}

function sentence({ name, state, master, handing_over }: InstanceStatus): string {
  if (handing_over) return `${name}: the hand-over is still under way`;
  if (state === 'master') return `${name}: nobody took over, this director goes on as master`;
  if (state === 'backup' && master !== null) return `${name}: ${master} is master`;
  return `${name}: this director is in state ${state}, no master has been heard`;
}

/** Whether the role is not here any more. */
function handedOver({ state, handing_over }: InstanceStatus): boolean {
  return state !== 'master' && !handing_over;
}

async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...RUNTIME_OPTIONS,
      instance: { type: 'string', multiple: true },
      end: { type: 'boolean', default: false },
      persist: { type: 'boolean', default: false },
      timeout: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.end && values.persist) throw new UsageError('--end and --persist exclude each other');
  const timeoutMs = durationOf(values.timeout);
  const runtimeDirectory = values['runtime-dir'];
  const order = { instances: values.instance ?? null, on: !values.end, persist: values.persist };
  const { instances: names } = await orderMaintenance(runtimeDirectory, order);
  if (values.end) {
    const text = `maintenance is over: ${names.join(', ')}\n`;
    process.stdout.write(values.json ? jsonText({ instances: names }) : text);
    return 0;
  }
  const instances = await settled(runtimeDirectory, names, timeoutMs);
  const passed = instances.every(handedOver);
  const answer = instances.map(({ name, state, master, handing_over }) => ({
    name,
    state,
    master,
    handing_over,
  }));
  process.stdout.write(
    values.json
      ? jsonText({ instances: answer, passed })
      : instances.map((instance) => `${sentence(instance)}\n`).join(''),
  );
  return passed ? 0 : 1;
}

export const command: Command = {
  name: 'failover',
  summary: 'hand over to the peer, and stay behind it until told otherwise',
  usage: USAGE,
  run,
};
