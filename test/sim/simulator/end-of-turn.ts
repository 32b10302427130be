/** Resolves when all promises have had their say, as at the end of a turn of an event loop: no time passes, nothing is drawn. */
export function endOfTurn(): Promise<void> {
  // oxlint-disable-next-line no-restricted-globals -- virtual time stands still meanwhile
  return new Promise((resolve) => setImmediate(resolve));
}
