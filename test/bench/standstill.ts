/**
 * `npm run bench:standstill`: how often the role moves when the whole machine stands still for a moment, as a virtual
 * machine does that is moved, saved, or denied its processors; ours beside keepalived. Nobody failed, so nobody should
 * take over.
 */
import { parseArgs } from 'node:util';
import { sleep } from '../../src/drill/wait.js';
import { monotonicMs } from './support/clock.js';
import type { Contender } from './support/contenders.js';
import { BenchLab, OUTSIDE } from './support/lab.js';
import { contendersOf, numberWithin } from './support/options.js';
import type { Hogging } from './support/processor-hog.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { SummingWitness } from './support/summing-witness.js';
import { printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:standstill -- [OPTIONS]

  --lengths LIST  milliseconds that all processors stand still, 1 to 200 each, default 30,45,60,90
  --times N       standstills of each length, 1 to 500, default 60
  --interval MS   advertisement interval in milliseconds, 10 to 50, default 10
  --only WHO      ours or keepalived; default both
  --json          the results as JSON on standard output

Needs the right to real-time priority (CAP_SYS_NICE).
`;

const SETTLE_MS = 3000;
/** Between two standstills at least: who moved the role shall be done with it. */
const CALM_INTERVALS = 20;
/** No multiple of an interval, so that they come at all moments of one. */
const EVERY_MS = 507;
const LEAD_MS = 500;

interface Result {
  readonly contender: Contender;
  readonly lengthMs: number;
  readonly times: number;
  /** Standstills after which another director was heard, if only for a moment. */
  readonly moved: number;
  readonly longestGapMs: number;
}

interface Chosen {
  readonly lengths: readonly number[];
  readonly times: number;
  readonly intervalMs: number;
  readonly contenders: readonly Contender[];
  readonly json: boolean;
}

function options(): Chosen | undefined {
  const { values } = parseArgs({
    options: {
      lengths: { type: 'string', default: '30,45,60,90' },
      times: { type: 'string', default: '60' },
      interval: { type: 'string', default: '10' },
      only: { type: 'string' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  return {
    lengths: values.lengths.split(',').map((text) => numberWithin(text, 1, 200, 'lengths')),
    times: numberWithin(values.times, 1, 500, 'times'),
    intervalMs: numberWithin(values.interval, 10, 50, 'interval'),
    contenders: contendersOf(values.only),
    json: values.json,
  };
}

function measure(
  contender: Contender,
  { lengths, times, intervalMs }: Chosen,
  signal: AbortSignal,
): Promise<Result[]> {
  return BenchLab.use(signal, async (bench) => {
    await bench.pair(contender, { intervalMs, instances: [OUTSIDE] });
    const witness = await SummingWitness.start(bench);
    const hogs = await bench.processorHogs();
    const everyMs = Math.max(EVERY_MS, CALM_INTERVALS * intervalMs + EVERY_MS / 2);
    const results: Result[] = [];
    for (const lengthMs of lengths) {
      await sleep(SETTLE_MS, signal);
      await witness.sums();
      const fromMs = monotonicMs() + LEAD_MS;
      const hogging: Hogging = { fromMs, lengthMs, everyMs, times };
      for (const hog of hogs) hog.write(`${JSON.stringify(hogging)}\n`);
      await sleep(LEAD_MS + everyMs * times, signal);
      const { sourceChanges, maxMs } = await witness.sums();
      const moved = new Set(sourceChanges.map(({ toMs }) => Math.floor((toMs - fromMs) / everyMs))).size;
      results.push({ contender, lengthMs, times, moved, longestGapMs: maxMs });
      process.stderr.write(
        `${contender}, ${lengthMs} ms: the role moved after ${moved} of ${times} standstills; ` +
          `advertisements at most ${maxMs.toFixed(1)} ms apart\n`,
      );
    }
    return results;
  });
}

async function run(chosen: Chosen, signal: AbortSignal): Promise<number> {
  const results: Result[] = [];
  for (const contender of chosen.contenders) results.push(...(await measure(contender, chosen, signal)));
  if (chosen.json) console.log(JSON.stringify(results, undefined, 2));
  else {
    printTable(
      ['standstill ms', ...chosen.contenders.map((contender) => `${contender}: role moved`)],
      chosen.lengths.map((lengthMs) => [
        String(lengthMs),
        ...results
          .filter((one) => one.lengthMs === lengthMs)
          .map(({ moved, times }) => `${moved} of ${times}`),
      ]),
    );
  }
  return 0;
}

await runBench({ name: 'bench:standstill', usage: USAGE, options, run });
