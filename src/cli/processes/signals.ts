/** Signals to the daemon. */

/** A terminal and a supervisor may both pass on one Ctrl-C: so soon after the first it is no second wish. */
const SAME_SIGNAL_MS = 500;

export interface DaemonSignals {
  /** Name of the first SIGTERM, SIGINT or SIGQUIT. */
  readonly stop: Promise<string>;
  /** Whether it has come. */
  stopping(): boolean;
  /** A later one of them that is a wish of its own. */
  onHurry(callback: () => void): void;
  /** SIGHUP; called at once when one has come before. */
  onReload(callback: () => void): void;
  /** SIGUSR1 or SIGUSR2, by which keepalived writes files about itself. */
  onQuestion(callback: (name: string) => void): void;
}

/** The default actions of Node.js: a debugger that listens, and an end. */
const QUESTIONS = ['SIGUSR1', 'SIGUSR2'] as const;
const STOPS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/** For a process whose parent takes them: they go to the whole control group, or to all of a terminal. */
export function leaveSignalsToParent(): void {
  for (const name of [...STOPS, ...QUESTIONS, 'SIGHUP'] as const) process.on(name, () => {});
}

/**
 * Takes the signals from now on. To be called before anything is opened: the default action of one that comes
 * during the start would leave socket, state file, sysctls and table behind.
 */
export function takeSignals(nowMs: () => number): DaemonSignals {
  let hurry = (): void => {};
  let reloadWanted = false;
  let reload = (): void => {
    reloadWanted = true;
  };
  let stoppedAtMs: number | undefined;
  const stop = new Promise<string>((resolve) => {
    for (const name of STOPS) {
      process.on(name, () => {
        if (stoppedAtMs === undefined) {
          stoppedAtMs = nowMs();
          resolve(name);
        } else if (nowMs() - stoppedAtMs > SAME_SIGNAL_MS) hurry();
      });
    }
  });
  let question = (_name: string): void => {};
  process.on('SIGHUP', () => reload());
  for (const name of QUESTIONS) process.on(name, () => question(name));
  return {
    stop,
    stopping: () => stoppedAtMs !== undefined,
    onHurry(callback) {
      hurry = callback;
    },
    onReload(callback) {
      reload = callback;
      if (reloadWanted) callback();
    },
    onQuestion(callback) {
      question = callback;
    },
  };
}
