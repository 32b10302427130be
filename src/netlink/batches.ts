/** Several requests in one datagram. */

/** For a message's header and what pads it. */
const HEADER_ALLOWANCE_BYTES = 32;

/** Cuts requests into what one datagram carries: at least one, at most `most` and `maxBytes`. */
export function* batches<Request extends { readonly payload: Uint8Array }>(
  requests: readonly Request[],
  most: number,
  maxBytes: number,
): Generator<readonly Request[]> {
  let start = 0;
  let bytes = 0;
  for (const [index, request] of requests.entries()) {
    const length = request.payload.length + HEADER_ALLOWANCE_BYTES;
    if (index > start && (index - start >= most || bytes + length > maxBytes)) {
      yield requests.slice(start, index);
      start = index;
      bytes = 0;
    }
    bytes += length;
  }
  if (start < requests.length) yield requests.slice(start);
}
