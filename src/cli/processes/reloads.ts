/** Reloads one at a time: however many are asked for while one is under way, one more follows, which sees all changes. */
export class Reloads {
  readonly #reload: () => Promise<void>;
  #underWay = false;
  #wanted = false;
  #closed = false;

  /** `reload` never rejects. */
  constructor(reload: () => Promise<void>) {
    this.#reload = reload;
  }

  request(): void {
    this.#wanted = true;
    if (!this.#underWay) void this.#run();
  }

  /** None begins any more; one that is under way is not waited for. */
  close(): void {
    this.#closed = true;
  }

  async #run(): Promise<void> {
    this.#underWay = true;
    while (this.#wanted && !this.#closed) {
      this.#wanted = false;
      await this.#reload();
    }
    this.#underWay = false;
  }
}
