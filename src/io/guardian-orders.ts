/** The frames that native/guardian.c reads; their layout stands in its head comment. */
import { isIPv4 } from 'node:net';
import type { GuardianOrders } from '../runtime/ports.js';
import { deleteAddressMessage } from './rtnetlink-messages.js';
import { addressBytes } from './socket-address.js';
import { AF_INET } from './socket-constants.js';

const FRAME_ORDERS = 1;
const FRAME_DISARM = 2;
const HEADER_BYTES = 8;
const MAX_BODY = 1_048_576;
const MAX_FAREWELLS = 256;
const MAX_ADDRESSES = 4096;
const MAX_PAYLOAD = 2048;
const MAX_INTERFACE_NAME = 15;
const MAX_HOLD_MS = 3_600_000;

/** Orders that the guardian could not take. */
export class GuardianOrdersError extends RangeError {
  override readonly name = 'GuardianOrdersError';
  readonly code = 'ERR_GUARDIAN_ORDERS';
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new GuardianOrdersError(message);
}

function frame(type: number, body: Uint8Array): Buffer {
  check(body.length <= MAX_BODY, `orders of ${body.length} bytes are longer than ${MAX_BODY}`);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt32LE(type, 4);
  return Buffer.concat([header, body]);
}

function milliseconds(value: number, name: string): number {
  check(value >= 0 && value <= MAX_HOLD_MS, `${name} ${value} is not within 0 to ${MAX_HOLD_MS}`);
  return Math.ceil(value);
}

function farewellBytes(farewell: GuardianOrders['farewells'][number]): Buffer {
  const { virtualRouterId, source } = farewell;
  const payload = farewell.destinations[0]?.payload ?? new Uint8Array();
  const name = Buffer.from(farewell.interface);
  check(
    Number.isInteger(virtualRouterId) && virtualRouterId >= 1 && virtualRouterId <= 255,
    `virtual router ${virtualRouterId}`,
  );
  check(name.length > 0 && name.length <= MAX_INTERFACE_NAME, `interface name '${farewell.interface}'`);
  check(payload.length > 0 && payload.length <= MAX_PAYLOAD, `a payload of ${payload.length} bytes`);
  check(isIPv4(source) && source !== '0.0.0.0', `source '${source}'`);
  const head = Buffer.alloc(4);
  head.writeUInt8(virtualRouterId, 0);
  head.writeUInt8(name.length, 1);
  head.writeUInt16LE(payload.length, 2);
  return Buffer.concat([head, addressBytes(source, AF_INET), name, payload]);
}

/**
 * The frame that arms the guardian.
 *
 * @param interfaceIndex of an interface by its name, undefined when there is none: its addresses went with it
 * @throws {GuardianOrdersError} when the orders break a limit of the guardian's
 */
export function encodeOrders(
  orders: GuardianOrders,
  interfaceIndex: (name: string) => number | undefined,
): Buffer {
  check(orders.farewells.length <= MAX_FAREWELLS, `${orders.farewells.length} farewells`);
  const deletions: Buffer[] = [];
  for (const { address, prefixLength, interface: name } of orders.farewells.flatMap((f) => f.addresses)) {
    const index = interfaceIndex(name);
    if (index === undefined) continue;
    const message = deleteAddressMessage(address, prefixLength, index, deletions.length + 1);
    const length = Buffer.alloc(2);
    length.writeUInt16LE(message.length);
    deletions.push(Buffer.concat([length, message]));
  }
  check(deletions.length <= MAX_ADDRESSES, `${deletions.length} addresses`);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(milliseconds(orders.holdMs, 'holdMs'), 0);
  head.writeUInt32LE(milliseconds(orders.leaseMs, 'leaseMs'), 4);
  head.writeUInt32LE(orders.farewells.length, 8);
  head.writeUInt32LE(deletions.length, 12);
  return frame(FRAME_ORDERS, Buffer.concat([head, ...orders.farewells.map(farewellBytes), ...deletions]));
}

/** The frame after which the guardian ends without acting; while it acts, without removing addresses. */
export function encodeDisarm(): Buffer {
  return frame(FRAME_DISARM, new Uint8Array());
}
