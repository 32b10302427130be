/** A time-out that a standstill of this process does not use up. */

/** Of a time-out. Each is one turn of the event loop at least, and its sockets are read in each. */
const PARTS = 8;
/** That a turn of a busy event loop may last, and still counts whole. */
const MOST_PARTS_A_TURN = 2;

/**
 * Calls `expired` when `timeoutMs` have passed in which this process could hear an answer; the returned function
 * cancels it. However long the process stood still, that counts as two parts: after a standstill timers act before the
 * sockets are read, and an answer that came meanwhile would be judged as none. Turns that are merely long do not add up.
 */
export function afterListening(timeoutMs: number, expired: () => void): () => void {
  const partMs = timeoutMs / PARTS;
  let leftMs = timeoutMs;
  let sinceMs = performance.now();
  const listen = (): NodeJS.Timeout => setTimeout(heard, Math.ceil(Math.min(partMs, leftMs)));
  const heard = (): void => {
    const nowMs = performance.now();
    leftMs -= Math.min(nowMs - sinceMs, MOST_PARTS_A_TURN * partMs);
    sinceMs = nowMs;
    if (leftMs > 0) timer = listen();
    else expired();
  };
  let timer = listen();
  return () => clearTimeout(timer);
}
