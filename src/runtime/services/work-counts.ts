/** What the services process has done since its start, counted for metrics. */
import type { IpvsOp } from '../../ipvs/model.js';
import { Histogram, type HistogramCounts } from '../histogram.js';
import type { ProbeOutcome } from './services-ports.js';

/** Upper bounds in milliseconds. */
const RECONCILE_BOUNDS_MS: readonly number[] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

export interface WorkReport {
  /** Comparisons of the table with what is wanted. */
  readonly reconciles: { readonly done: number; readonly failed: number };
  /** How long they took, in milliseconds. */
  readonly reconcileMs: HistogramCounts;
  /** How long ago the last one was done that did not fail; undefined: none was. */
  readonly sinceReconciledMs: number | undefined;
  /** Changes that the kernel took. */
  readonly changes: Readonly<Record<IpvsOp['op'], number>>;
  /** Changes that it refused. */
  readonly refusals: number;
  /** Times that the table was found changed by somebody else, and how many changes put it right. */
  readonly drifts: number;
  readonly repairs: number;
  /** Sync daemons that somebody had stopped or deafened. */
  readonly syncRepairs: number;
  /** Health probes; `unasked`: this host could not ask. */
  readonly probes: { readonly good: number; readonly bad: number; readonly unasked: number };
  readonly verdicts: { readonly up: number; readonly down: number };
}

export class WorkCounts {
  readonly #reconciles = { done: 0, failed: 0 };
  readonly #reconcileMs = new Histogram(RECONCILE_BOUNDS_MS);
  #reconciledMs: number | undefined;
  readonly #changes: Record<IpvsOp['op'], number> = {
    'add-service': 0,
    'edit-service': 0,
    'delete-service': 0,
    'add-destination': 0,
    'edit-destination': 0,
    'delete-destination': 0,
  };
  #refusals = 0;
  #drifts = 0;
  #repairs = 0;
  #syncRepairs = 0;
  readonly #probes = { good: 0, bad: 0, unasked: 0 };
  readonly #verdicts = { up: 0, down: 0 };

  /** A comparison from `begunMs` to `endedMs`. */
  reconciled(begunMs: number, endedMs: number, result: 'done' | 'failed'): void {
    this.#reconciles[result] += 1;
    this.#reconcileMs.record(endedMs - begunMs);
    if (result === 'done') this.#reconciledMs = endedMs;
  }

  applied({ op }: IpvsOp, error: Error | undefined): void {
    if (error === undefined) this.#changes[op] += 1;
    else this.#refusals += 1;
  }

  repaired(changes: number): void {
    this.#drifts += 1;
    this.#repairs += changes;
  }

  syncDaemonRepaired(): void {
    this.#syncRepairs += 1;
  }

  probed({ ok }: ProbeOutcome): void {
    if (ok === undefined) this.#probes.unasked += 1;
    else this.#probes[ok ? 'good' : 'bad'] += 1;
  }

  verdict(to: 'up' | 'down'): void {
    this.#verdicts[to] += 1;
  }

  report(nowMs: number): WorkReport {
    return {
      reconciles: { ...this.#reconciles },
      reconcileMs: this.#reconcileMs.counts(),
      sinceReconciledMs: this.#reconciledMs === undefined ? undefined : nowMs - this.#reconciledMs,
      changes: { ...this.#changes },
      refusals: this.#refusals,
      drifts: this.#drifts,
      repairs: this.#repairs,
      syncRepairs: this.#syncRepairs,
      probes: { ...this.#probes },
      verdicts: { ...this.#verdicts },
    };
  }
}
