/** Streams of bytes in pieces, for property tests. */
import fc from 'fast-check';

/** Where a stream is cut, as shares of its length. */
export const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });

export function pieces(stream: Uint8Array, at: readonly number[]): readonly Uint8Array[] {
  const ends = at.map((share) => Math.floor(share * stream.length)).sort((a, b) => a - b);
  return [0, ...ends].map((from, index) => stream.subarray(from, ends[index] ?? stream.length));
}
