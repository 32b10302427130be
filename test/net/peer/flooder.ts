/**
 * Somebody who sends from a peer's address: garbage, a peer's words with a byte changed, and words that were true once.
 * `node flooder.js TO PORT COUNT HEX...`, where each HEX is a datagram that was recorded. Tells how many left.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';

const [to = '', port = '', count = '', ...hex] = process.argv.slice(2);
const recorded = hex.map((text) => Buffer.from(text, 'hex'));
/** Sent without a pause: more fill the own send buffer. */
const BATCH = 200;

function datagram(i: number): Buffer {
  const kind = i % 4;
  if (kind === 0) return randomBytes(randomInt(0, 1300));
  const one = Buffer.from(recorded[i % recorded.length] ?? '');
  if (kind === 1) return one;
  if (kind === 2) one.writeUInt8(randomInt(256), randomInt(one.length));
  // A session of its own, as one that starts would have.
  else randomBytes(8).copy(one, 8);
  return one;
}

const socket = createSocket('udp4');
let sent = 0;
const wanted = Number(count);
while (sent < wanted) {
  const batch = Array.from({ length: Math.min(BATCH, wanted - sent) }, (_, i) => datagram(sent + i));
  const outcomes = await Promise.all(
    batch.map((bytes) => new Promise((resolve) => socket.send(bytes, Number(port), to, resolve))),
  );
  sent += outcomes.filter((error) => error === null).length;
}
socket.close();
process.stdout.write(`${sent}\n`);
