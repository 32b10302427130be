/** Tells the peer of this host's connections again: one replay at a time, however many are asked for. */

export interface ReplayReport {
  /** Connections and templates that were sent. */
  readonly connections: number;
  /** Datagrams. */
  readonly messages: number;
  /** Connections that the protocol cannot tell of, such as those of a real server that was removed. */
  readonly untellable: number;
}

/** What replays: the kernel's table is read and sent apart from this process. */
export type RunReplay = (buckets: ReadonlySet<number> | undefined) => Promise<ReplayReport>;

export interface ConnectionReplay {
  /**
   * Sends the connections of these buckets (`bucketOf`), of all without any, as they are when it begins. Resolves when all
   * are sent, which says nothing of what arrived. While one runs, what is asked for meanwhile is done together behind it.
   */
  replay(buckets?: ReadonlySet<number>): Promise<ReplayReport>;
}

interface Waiting {
  /** Undefined: all. */
  buckets: Set<number> | undefined;
  readonly done: Promise<ReplayReport>;
}

export class OneReplayAtATime implements ConnectionReplay {
  readonly #run: RunReplay;
  #running: Promise<unknown> | undefined;
  #waiting: Waiting | undefined;

  constructor(run: RunReplay) {
    this.#run = run;
  }

  replay(buckets?: ReadonlySet<number>): Promise<ReplayReport> {
    if (this.#running === undefined) return this.#start(buckets);
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      if (buckets === undefined) waiting.buckets = undefined;
      else for (const bucket of buckets) waiting.buckets?.add(bucket);
      return waiting.done;
    }
    const next: Waiting = {
      buckets: buckets === undefined ? undefined : new Set(buckets),
      done: this.#running.then(() => {
        this.#waiting = undefined;
        return this.#start(next.buckets);
      }),
    };
    this.#waiting = next;
    return next.done;
  }

  #start(buckets: ReadonlySet<number> | undefined): Promise<ReplayReport> {
    const report = this.#run(buckets);
    const running = report
      .catch(() => {})
      .then(() => {
        if (this.#running === running) this.#running = undefined;
      });
    this.#running = running;
    return report;
  }
}
