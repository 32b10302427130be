/** Connections as sync messages tell of them, for property tests. */
import fc from 'fast-check';
import type { SyncConnection } from '../../src/sync/message.js';
import { PE_DATA_MAX, PE_NAME_MAX, SEQUENCES_BYTES } from '../../src/sync/uapi.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const upTo = (maxLength: number) => fc.uint8Array({ minLength: 1, maxLength });
const port = fc.integer({ min: 0, max: 0xffff });
const word = fc.integer({ min: 0, max: 0xffff_ffff });

function connectionOf(addressLength: 4 | 16): fc.Arbitrary<SyncConnection> {
  return fc.record(
    {
      protocol: fc.integer({ min: 0, max: 255 }),
      flags: word,
      state: port,
      clientAddress: bytes(addressLength),
      clientPort: port,
      virtualAddress: bytes(addressLength),
      virtualPort: port,
      destinationAddress: bytes(addressLength),
      destinationPort: port,
      fwmark: word,
      timeoutSeconds: word,
      sequences: bytes(SEQUENCES_BYTES),
      persistenceData: upTo(PE_DATA_MAX),
      persistenceEngine: upTo(PE_NAME_MAX),
    },
    {
      requiredKeys: [
        'protocol',
        'flags',
        'state',
        'clientAddress',
        'clientPort',
        'virtualAddress',
        'virtualPort',
        'destinationAddress',
        'destinationPort',
        'fwmark',
        'timeoutSeconds',
      ],
    },
  );
}

export const syncConnection = fc.oneof(connectionOf(4), connectionOf(16));
