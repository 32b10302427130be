/** Runs pieces of work one after the other. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * A queue of its own: each piece starts when the one before has ended, in the order of the calls. One that fails
 * rejects its own promise and does not stop the next.
 */
export function workInTurn(): InTurn {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = tail.then(work);
    tail = turn.catch(() => undefined);
    return turn;
  };
}
