/** What the services process of one life of a director says of its connection table. Its random numbers are its own. */
import type { Random } from './random.js';

export interface ComparisonPlan {
  /** Between two comparisons of the tables. */
  readonly everyMs: number;
  /** From a start until the table is complete, at most. */
  readonly learnMs: number;
  /** How often a comparison finds that something is missing after all. */
  readonly doubt: number;
  /** By director: one that has nothing to compare with, and never says a word. */
  readonly isMute: readonly boolean[];
}

export interface ComparisonsPorts {
  readonly random: Random;
  after(delayMs: number, run: () => void): void;
  /** The sync is broken, as a comparison finds; the process says nothing. */
  isBroken(): boolean;
  isSilent(): boolean;
  say(complete: boolean): void;
}

export class Comparisons {
  readonly #plan: ComparisonPlan;
  readonly #ports: ComparisonsPorts;
  #hasLearned = false;

  constructor(plan: ComparisonPlan, ports: ComparisonsPorts) {
    this.#plan = plan;
    this.#ports = ports;
  }

  start(): void {
    const ports = this.#ports;
    ports.after(ports.random.between(0, this.#plan.learnMs), () => {
      this.#hasLearned = true;
      if (!ports.isSilent()) ports.say(!ports.isBroken());
    });
    ports.after(ports.random.unit() * this.#plan.everyMs, () => this.#compare());
  }

  say(): void {
    if (this.#ports.isSilent()) return;
    const isComplete = this.#hasLearned && !this.#ports.random.chance(this.#plan.doubt);
    this.#ports.say(isComplete && !this.#ports.isBroken());
  }

  #compare(): void {
    this.say();
    this.#ports.after(this.#plan.everyMs, () => this.#compare());
  }
}
