/** Connections that nobody has, for tables of any size. */
import type { SyncConnection } from '../../../src/sync/message.js';

/** Long enough for every bench. */
const TIMEOUT_SECONDS = 86_400;

/** The same for the same number, 0 to 2^24 - 1; established TCP from as many clients to two real servers. */
export function syntheticConnection(number: number, addressBytes: 4 | 16): SyncConnection {
  const address = (...last: readonly number[]): Uint8Array => {
    const bytes = new Uint8Array(addressBytes);
    bytes.set(last, addressBytes - last.length);
    if (addressBytes === 16) bytes.set([0xfd], 0);
    return bytes;
  };
  return {
    protocol: 6,
    flags: 0,
    state: 1,
    clientAddress: address(11, number >>> 16, number >>> 8, number),
    clientPort: 1024 + (number % 60_000),
    virtualAddress: address(192, 0, 2, 1),
    virtualPort: 80,
    destinationAddress: address(10, 0, 0, 2 + (number % 2)),
    destinationPort: 80,
    fwmark: 0,
    timeoutSeconds: TIMEOUT_SECONDS,
  };
}
