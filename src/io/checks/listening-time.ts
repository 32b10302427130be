/** A time-out that a standstill of this process does not use up. */

/** Of a time-out. Each is one turn of the event loop at least, and its sockets are read in each. */
const PARTS = 8;

/**
 * Calls `expired` when `timeoutMs` have passed in which this process could hear an answer; the returned function
 * cancels it. However long the process stood still, that counts as one part: after a standstill timers act before the
 * sockets are read, and an answer that came meanwhile would be judged as none. At most `PARTS` ms too late otherwise.
 */
export function afterListening(timeoutMs: number, expired: () => void): () => void {
  let left = PARTS;
  const timer = setInterval(
    () => {
      left -= 1;
      if (left > 0) return;
      clearInterval(timer);
      expired();
    },
    Math.ceil(timeoutMs / PARTS),
  );
  return () => clearInterval(timer);
}
