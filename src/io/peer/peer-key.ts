/** The key of the peer channel: a file that root alone can read and change. */

import { createHmac } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import type { Mac } from '../../peer/wire.js';
import { messageOf } from '../../util/error-message.js';
import { untrustedPart } from '../host/trusted-path.js';

const MIN_KEY_BYTES = 32;
/** The block of SHA-256: a longer key is no better. */
const MAX_KEY_BYTES = 64;
const FOR_OTHERS = 0o077;
const NEWLINE = 0x0a;

/** The key file is not as it must be; the message ends a sentence. */
export class PeerKeyError extends Error {
  override readonly name = 'PeerKeyError';
  readonly code = 'ERR_PEER_KEY';
}

/** @throws PeerKeyError */
export async function readPeerKey(path: string): Promise<Mac> {
  const key = await readKey(path);
  return (bytes) => createHmac('sha256', key).update(bytes).digest();
}

/** A newline at its end, as editors and `openssl rand -base64` leave it, is none of the key. */
async function readKey(path: string): Promise<Uint8Array> {
  try {
    const untrusted = await untrustedPart(path);
    if (untrusted !== undefined) throw new PeerKeyError(untrusted);
    if (((await stat(path)).mode & FOR_OTHERS) !== 0)
      throw new PeerKeyError(`${path} can be read by others than root: run 'chmod 600 ${path}'`);
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_KEY_BYTES + 2));
      const text = buffer.subarray(0, bytesRead);
      const key = text.at(-1) === NEWLINE ? text.subarray(0, -1) : text;
      if (key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES) return key;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof PeerKeyError) throw error;
    throw new PeerKeyError(`the key cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new PeerKeyError(
    `${path} must hold a key of ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes: 'openssl rand -base64 32' makes one`,
  );
}
