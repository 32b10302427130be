/** The drill on this kernel: one bench after the other, and the report kept up to date. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { DrillError } from './errors.js';
import { scratchFolder } from './lab/scratch-folder.js';
import type { Topology } from './lab/topology.js';
import { buildReport, type DrillReport, type ScenarioReport, titleOf } from './report/report.js';
import { htmlReport } from './report/report-html.js';
import type { FaultName, ScenarioName } from './report/verdict.js';
import { drawPauses, drawScenarios, type Lot } from './scenarios/draw.js';
import { planDrill } from './scenarios/drill-plan.js';
import { buildScenarioReport } from './scenarios/scenario-report.js';
import { recover, runScenario, strikeOnly } from './scenarios/scenarios.js';
import { Bench, type BenchOptions } from './scenarios/site.js';

export interface DrillOptions extends Omit<BenchOptions, 'topology' | 'workDir'> {
  readonly topologies: readonly Topology[];
  readonly scenarios: readonly ScenarioName[];
  /** So many of these scenarios, drawn by lot, instead of each once. */
  readonly lot: Lot | undefined;
  readonly where: 'host' | 'vm';
}

/** Of the scenarios of a long drill. */
const WRITTEN_EVERY = 20;

/** Results as they come in. */
class Results {
  readonly #options: DrillOptions;
  readonly #startedMs = Date.now();
  readonly scenarios: ScenarioReport[] = [];
  readonly baselines: DrillReport['baselines'][number][] = [];
  readonly failures: string[] = [];

  constructor(options: DrillOptions) {
    this.#options = options;
  }

  report(failures: readonly string[]): DrillReport {
    const { baselines, scenarios } = this;
    const { where, lot } = this.#options;
    return buildReport({
      release: release(),
      where,
      lot,
      startedMs: this.#startedMs,
      endedMs: Date.now(),
      baselines,
      scenarios,
      failures,
    });
  }

  async write(report: DrillReport): Promise<void> {
    const { outDir } = this.#options;
    await writeFile(join(outDir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    await writeFile(join(outDir, 'report.html'), htmlReport(report));
  }
}

async function measure(
  bench: Bench,
  results: Results,
  { name, after }: { readonly name: ScenarioName; readonly after?: FaultName },
  pauseMs: number,
): Promise<void> {
  const { probeIntervalMs, progress, topology } = bench.options;
  const { setting, course, observed } = await runScenario(bench, name, after, pauseMs);
  const { observations, changes, roles, losses, virtualAddresses, baseline } = bench;
  if (baseline !== undefined && !results.baselines.some((one) => one.topology === topology.name)) {
    results.baselines.push({
      topology: topology.name,
      client_gap_ms: baseline.gapMs,
      slowest_request_ms: baseline.requestMs,
    });
  }
  const outages = bench.outagesUntil(observed.window.toMs);
  const record = { observations, changes, roles, outages, losses, virtualAddresses };
  const report = buildScenarioReport({ topology, setting, course, observed, record, probeIntervalMs });
  results.scenarios.push(report);
  const kept = Object.values(report.connections);
  const survived = kept.reduce((sum, kind) => sum + kind.survived, 0);
  const opened = kept.reduce((sum, kind) => sum + kind.opened, 0);
  progress.note(
    `${topology.name}, ${titleOf(report)}: ${report.passed ? 'passed' : 'FAILED'}, gap ${Math.round(report.client_gap_ms)} ms, ` +
      `${survived} of ${opened} connections survived${report.passed ? '' : `: ${report.reason}`}`,
  );
  // Interrupted later, the drill leaves what it has found, and does not claim to be complete. A long one's report takes its time.
  if (
    report.passed &&
    results.scenarios.length % WRITTEN_EVERY > 0 &&
    results.scenarios.length > WRITTEN_EVERY
  )
    return;
  await results.write(results.report([...results.failures, 'the drill has not been finished']));
}

async function drillTopology(bench: Bench, options: DrillOptions, results: Results): Promise<void> {
  await bench.open();
  const { lot, scenarios } = options;
  const steps = planDrill(lot === undefined ? scenarios : [...drawScenarios(lot, scenarios), 'return']);
  const pause = lot === undefined ? () => 0 : drawPauses(lot);
  for (const step of steps) {
    if (step.step === 'measure') {
      await measure(bench, results, step, pause());
    } else if (step.step === 'recover') {
      await recover(bench, step.after);
    } else {
      await strikeOnly(bench, step.fault);
    }
  }
}

/**
 * Runs the drill on this machine's kernel and writes `report.json` and `report.html`.
 * What fails in one topology is in the report and does not keep the others from their turn.
 * Rejects with DrillInterrupted when `signal` was aborted; everything has ended then too.
 */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const results = new Results(options);
  await mkdir(options.outDir, { recursive: true });
  const workDir = scratchFolder();
  try {
    for (const topology of options.topologies) {
      const { name } = topology;
      const bench = new Bench({ ...options, topology, workDir });
      try {
        await drillTopology(bench, options, results);
      } catch (error) {
        if (!(error instanceof DrillError)) {
          throw error;
        }
        results.failures.push(`${name}: ${error.message}`);
        options.progress.note(`${name}: the drill could not be finished: ${error.message}`);
      } finally {
        options.progress.step(`${name}: taking the lab down`);
        await bench.close();
      }
    }
  } finally {
    options.progress.end();
    await rm(workDir, { recursive: true, force: true });
  }
  const report = results.report(results.failures);
  await results.write(report);
  return report;
}
