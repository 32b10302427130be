/**
 * `npm run bench:regroup`: how long a client of a lone master gets no answer while reloads change which instances there
 * are and how they form groups.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Probe } from '../../src/drill/lab/witnesses.js';
import { longestGap } from '../../src/drill/report/measure.js';
import { sleep, waitFor } from '../../src/drill/wait.js';
import { type Instance, type Running, start, yaml } from './support/contenders.js';
import { BenchLab, OUTSIDE, VIP } from './support/lab.js';
import { numberWithin } from './support/options.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { mean, printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:regroup -- [OPTIONS]

  --repeats N   runs of all changes, 1 to 50, default 5
  --json        the results as JSON on standard output, progress on standard error

Exit status 1 when a change cost more than 20 ms.
`;

const INTERVAL_MS = 1000;
const PROBE_INTERVAL_MS = 2;
const LIMIT_MS = 20;
const READY_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 50;
/** Before and after a change, so that what comes late is seen. */
const AROUND_MS = 300;

const SECOND: Instance = { name: 'second', virtualRouterId: 52, address: '192.168.7.252/16' };
const MOVED: Instance = { name: 'second', virtualRouterId: 52, address: '192.168.7.251/16' };
const NEW_ID: Instance = { ...OUTSIDE, virtualRouterId: 77 };

const GROUP = ['  sync_groups:', '    - { name: pair, instances: [outside, second] }'];
const TRACKED = ['  track:', '    - { name: up, interface: eth0 }'];

interface Step {
  readonly what: string;
  readonly instances: readonly Instance[];
  readonly moreYaml?: readonly string[];
  readonly instanceYaml?: readonly string[];
}

/** One after the other, on one director. */
const STEPS: readonly Step[] = [
  { what: 'member added', instances: [OUTSIDE, SECOND], moreYaml: GROUP },
  { what: 'group dissolved', instances: [OUTSIDE, SECOND] },
  { what: 'group formed', instances: [OUTSIDE, SECOND], moreYaml: GROUP },
  { what: 'member removed', instances: [OUTSIDE] },
  { what: 'tracking added', instances: [OUTSIDE], moreYaml: TRACKED, instanceYaml: ['track: [up]'] },
  { what: 'VRID changed', instances: [NEW_ID] },
  { what: 'renamed', instances: [{ ...NEW_ID, name: 'front' }] },
  {
    what: 'VIP moved',
    instances: [
      { ...MOVED, name: 'front', virtualRouterId: 77 },
      { ...SECOND, address: OUTSIDE.address },
    ],
  },
];

interface Result {
  readonly what: string;
  readonly gapMs: number;
}

function options() {
  const { values } = parseArgs({ options: { repeats: { type: 'string', default: '5' }, ...COMMON_OPTIONS } });
  if (values.help) return undefined;
  return { repeats: numberWithin(values.repeats, 1, 50, 'repeats'), json: values.json };
}

function reloads({ output }: Running): string[] {
  return output.filter((line) => line.includes('"event":"reload"'));
}

/** Longest time without an answer while `director` takes the file of `step`, and a moment before and after. */
async function change(bench: BenchLab, director: Running, step: Step): Promise<Result> {
  const probe = await Probe.start(
    bench.lab,
    'client',
    VIP,
    PROBE_INTERVAL_MS,
    join(bench.folder, 'probe.txt'),
  );
  await sleep(AROUND_MS, bench.signal);
  const fromMs = Date.now();
  const before = reloads(director).length;
  await writeFile(join(bench.folder, 'lb1.yaml'), yaml({ intervalMs: INTERVAL_MS, ...step }));
  process.kill(director.child.pid, 'SIGHUP');
  await until(bench, `the reload '${step.what}' is done`, () => reloads(director).length > before);
  const words = reloads(director).at(-1) ?? '';
  if (!words.includes('configuration reloaded')) throw new Error(`${step.what}: ${words}`);
  await sleep(AROUND_MS, bench.signal);
  const toMs = Date.now() - AROUND_MS / 2;
  const { answersMs } = await probe.stop();
  const gap = longestGap(answersMs, { fromMs, toMs });
  return { what: step.what, gapMs: gap.toMs - gap.fromMs };
}

function until(bench: BenchLab, what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  return waitFor(what, async () => ((await done()) ? undefined : 'not yet'), {
    timeoutMs: READY_LIMIT_MS,
    everyMs: LOOK_EVERY_MS,
    signal: bench.signal,
  });
}

async function round(bench: BenchLab, tell: (result: Result) => void): Promise<void> {
  const setup = { intervalMs: INTERVAL_MS, instances: [OUTSIDE] };
  const director = await start(bench.lab, 'ours', 'lb1', setup, bench.folder);
  await until(bench, 'lb1 holds the address', async () => {
    if (!director.child.running) throw new Error(`it has ended: ${director.output.slice(-3).join(' | ')}`);
    return (await bench.holders()).includes('lb1');
  });
  for (const step of STEPS) tell(await change(bench, director, step));
}

async function run(
  { repeats, json }: { repeats: number; json: boolean },
  signal: AbortSignal,
): Promise<number> {
  const results: Result[] = [];
  for (let repeat = 1; repeat <= repeats; repeat++) {
    await BenchLab.use(signal, (bench) =>
      round(bench, (result) => {
        results.push(result);
        process.stderr.write(`[${repeat}/${repeats}] ${result.what}: ${result.gapMs.toFixed(1)} ms\n`);
      }),
    );
  }
  if (json) console.log(JSON.stringify(results, undefined, 2));
  else {
    const rows = STEPS.map(({ what }) => {
      const gaps = results.filter((result) => result.what === what).map(({ gapMs }) => gapMs);
      return [what, mean(gaps).toFixed(1), Math.max(...gaps).toFixed(1)];
    });
    printTable(['change', 'gap ms', 'worst'], rows);
    console.log('\nLongest time without an answer to a probe each 2 ms, a lone master, 1 s advertisements.');
  }
  return results.every(({ gapMs }) => gapMs <= LIMIT_MS) ? 0 : 1;
}

await runBench({ name: 'bench:regroup', usage: USAGE, options, run });
