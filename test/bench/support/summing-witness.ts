/** test/bench/support/witness.ts at work: sums of what it heard, whenever they are asked for. */
import type { Child } from '../../../src/drill/lab/process.js';
import { waitFor } from '../../../src/drill/wait.js';
import type { BenchLab } from './lab.js';
import type { GapSums } from './witness.js';

const ANSWER_LIMIT_MS = 5000;
const LOOK_EVERY_MS = 20;

export class SummingWitness {
  readonly #child: Child;
  readonly #signal: AbortSignal;
  readonly #answers: readonly GapSums[];

  private constructor(child: Child, signal: AbortSignal, answers: readonly GapSums[]) {
    this.#child = child;
    this.#signal = signal;
    this.#answers = answers;
  }

  static async start(bench: BenchLab, more: readonly string[] = []): Promise<SummingWitness> {
    const answers: GapSums[] = [];
    const child = await bench.witness(['--sum', ...more], (line) => answers.push(JSON.parse(line)));
    return new SummingWitness(child, bench.signal, answers);
  }

  /** What was heard since the last question. */
  async sums(): Promise<GapSums> {
    const before = this.#answers.length;
    const answer = (): GapSums | undefined => this.#answers[before];
    this.#child.write('sum\n');
    await waitFor('the witness answers', () => (answer() === undefined ? 'not yet' : undefined), {
      timeoutMs: ANSWER_LIMIT_MS,
      everyMs: LOOK_EVERY_MS,
      signal: this.#signal,
    });
    return answer() as GapSums;
  }
}
