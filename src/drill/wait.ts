/** Waiting that ends: by the condition, by its time limit, or because the user ended the drill. */
import { DrillError, DrillInterrupted } from './errors.js';

/** Resolves after `ms` milliseconds. Rejects with DrillInterrupted when `signal` is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new DrillInterrupted());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) {
      stop();
    }
    signal.addEventListener('abort', stop, { once: true });
  });
}

/**
 * Asks `missing` until it returns undefined, every `everyMs`. What it returns otherwise says what is lacking.
 * Resolves with false when `timeoutMs` is over.
 */
export async function settles(
  missing: () => Promise<string | undefined> | string | undefined,
  limits: { readonly timeoutMs: number; readonly everyMs: number; readonly signal: AbortSignal },
): Promise<{ readonly done: boolean; readonly lacking: string }> {
  const deadline = performance.now() + limits.timeoutMs;
  for (;;) {
    const lacking = await missing();
    if (lacking === undefined) {
      return { done: true, lacking: '' };
    }
    if (performance.now() >= deadline) {
      return { done: false, lacking };
    }
    await sleep(limits.everyMs, limits.signal);
  }
}

/** As `settles`, but rejects with DrillError when the time is over. */
export async function waitFor(
  what: string,
  missing: () => Promise<string | undefined> | string | undefined,
  limits: { readonly timeoutMs: number; readonly everyMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const { done, lacking } = await settles(missing, limits);
  if (!done) {
    throw new DrillError(
      'ERR_DRILL_TIMEOUT',
      `${what}: not within ${limits.timeoutMs / 1000} s (${lacking})`,
    );
  }
}

/** Rejects with DrillInterrupted as soon as `signal` is aborted; the promise itself runs on unheeded. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new DrillInterrupted());
    if (signal.aborted) {
      stop();
    }
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
