/** Signals to the daemon. */

/** A terminal and a supervisor may both pass on one Ctrl-C: so soon after the first it is no second wish. */
const SAME_SIGNAL_MS = 500;

export interface DaemonSignals {
  /** Name of the first SIGTERM or SIGINT. */
  readonly stop: Promise<string>;
  /** Whether it has come. */
  stopping(): boolean;
  /** A later SIGTERM or SIGINT that is a wish of its own. */
  onHurry(callback: () => void): void;
  /** SIGHUP; called at once when one has come before. */
  onReload(callback: () => void): void;
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
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        if (stoppedAtMs === undefined) {
          stoppedAtMs = nowMs();
          resolve(name);
        } else if (nowMs() - stoppedAtMs > SAME_SIGNAL_MS) hurry();
      });
    }
  });
  process.on('SIGHUP', () => reload());
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
  };
}
