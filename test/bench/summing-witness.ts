/** test/bench/witness.ts at work: sums of what it heard, whenever they are asked for. */
import type { Child } from '../../src/drill/process.js';
import { sleep } from '../../src/drill/wait.js';
import type { BenchLab } from './lab.js';
import type { GapSums } from './witness.js';

const ANSWER_LIMIT_MS = 5000;
const LOOK_EVERY_MS = 20;

export class SummingWitness {
  readonly #bench: BenchLab;
  readonly #answers: GapSums[] = [];
  #child: Child | undefined;

  private constructor(bench: BenchLab) {
    this.#bench = bench;
  }

  static async start(bench: BenchLab): Promise<SummingWitness> {
    const witness = new SummingWitness(bench);
    witness.#child = await bench.witness(['--sum'], (line) => witness.#answers.push(JSON.parse(line)));
    return witness;
  }

  /** What was heard since the last question. */
  async sums(): Promise<GapSums> {
    const before = this.#answers.length;
    this.#child?.write('sum\n');
    const end = performance.now() + ANSWER_LIMIT_MS;
    for (;;) {
      const answer = this.#answers[before];
      if (answer !== undefined) return answer;
      if (performance.now() > end) throw new Error('the witness does not answer');
      await sleep(LOOK_EVERY_MS, this.#bench.signal);
    }
  }
}
