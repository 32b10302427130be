/** The frames that native/guardian.c reads; the layout of orders stands at the head of native/orders.c. */

import { deleteAddressMessage, setDownMessage } from '../../netlink/address-messages.js';
import { deleteRouteMessage } from '../../netlink/route-messages.js';
import { deleteRuleMessage } from '../../netlink/rule-messages.js';
import type { GuardianFarewell, GuardianOrders } from '../../runtime/ports.js';
import { familyOf, addressBytes as parseAddress } from '../../util/ip-address.js';

const FRAME_ORDERS = 1;
const FRAME_DISARM = 2;
const FRAME_RENEWAL = 3;
const HEADER_BYTES = 8;
const FAREWELL_BYTES = 12;
/** An IPv4 address in the first four bytes, zeros behind. */
const ADDRESS_BYTES = 16;
/** Those of native/orders.h, by name: test/unit/native/guardian-limits.test.ts compares the two. */
export const ORDERS_LIMITS = {
  MAX_BODY: 1 << 20,
  MAX_FAREWELLS: 512,
  MAX_DESTINATIONS: 4096,
  MAX_DELETIONS: 8192,
  MAX_PAYLOAD: 8192,
  MAX_NETLINK_MESSAGE: 256,
  MAX_HOLD_MS: 3_600_000,
} as const;
const {
  MAX_BODY,
  MAX_FAREWELLS,
  MAX_DESTINATIONS,
  MAX_DELETIONS,
  MAX_PAYLOAD,
  MAX_NETLINK_MESSAGE,
  MAX_HOLD_MS,
} = ORDERS_LIMITS;
/** A byte counts them. */
const MAX_DESTINATIONS_EACH = 255;
const MAX_INTERFACE_NAME = 15;
const VRRP_PROTOCOL = 112;
const UDP_PROTOCOL = 17;
const UDP_HEADER_BYTES = 8;

type Family = ReturnType<typeof familyOf>;
type InterfaceIndex = (name: string) => number | undefined;

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

function nameBytes(name: string): Buffer {
  const bytes = Buffer.from(name);
  const fits = bytes.length > 0 && bytes.length <= MAX_INTERFACE_NAME && !bytes.includes(0);
  check(fits, `interface name '${name}'`);
  return bytes;
}

function ipBytes(text: string, family: Family): Uint8Array {
  const bytes = parseAddress(text);
  const length = family === 'ipv4' ? 4 : 16;
  if (bytes?.length !== length) throw new GuardianOrdersError(`'${text}' is no address of family ${family}`);
  return bytes;
}

function padded(bytes: Uint8Array): Buffer {
  const field = Buffer.alloc(ADDRESS_BYTES);
  field.set(bytes);
  return field;
}

/** Bytes with a u16 length before them. */
function measured(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function deletion(message: Uint8Array): Buffer {
  check(message.length <= MAX_NETLINK_MESSAGE, `a netlink message of ${message.length} bytes`);
  return measured(message);
}

function onesComplement(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A UDP datagram from and to one port, with its checksum (RFC 768; RFC 8200 section 8.1 demands it). */
export function udpDatagram(
  port: number,
  source: Uint8Array,
  destination: Uint8Array,
  payload: Uint8Array,
): Buffer {
  const header = Buffer.alloc(UDP_HEADER_BYTES);
  const length = UDP_HEADER_BYTES + payload.length;
  header.writeUInt16BE(port, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(length, 4);
  // Protocol and length fill whole 16-bit words in the pseudo-headers of both families.
  const pseudoEnd = Buffer.from([0, UDP_PROTOCOL, length >>> 8, length & 0xff]);
  const sum = onesComplement(Buffer.concat([source, destination, pseudoEnd, header, payload]));
  header.writeUInt16BE(sum === 0 ? 0xffff : sum, 6);
  return Buffer.concat([header, payload]);
}

function destinationBytes(farewell: GuardianFarewell, family: Family): Buffer[] {
  const { source, destinations, udpPort } = farewell;
  return destinations.map(({ address, payload }) => {
    check(payload.length > 0 && payload.length <= MAX_PAYLOAD, `a payload of ${payload.length} bytes`);
    const to = ipBytes(address, family);
    const bytes =
      udpPort === undefined ? payload : udpDatagram(udpPort, ipBytes(source, family), to, payload);
    check(bytes.length <= MAX_PAYLOAD, `a datagram of ${bytes.length} bytes`);
    return Buffer.concat([padded(to), measured(bytes)]);
  });
}

/**
 * Routes before addresses: one that goes takes some of them with it, and the kernel's answer would be an error. A virtual
 * MAC device is set down before its IPv6 addresses go, for the kernel would report that with the MAC address that is the
 * successor's (MLD), and the switch would send the clients here. Whoever adopts the device sets it up again.
 */
function deletionBytes({ rules, routes, addresses }: GuardianFarewell, index: InterfaceIndex): Buffer[] {
  const messages: Buffer[] = [];
  for (const rule of rules) messages.push(deletion(deleteRuleMessage(rule, messages.length + 1)));
  for (const route of routes) {
    const interfaceIndex = route.interface === undefined ? undefined : index(route.interface);
    if (interfaceIndex === undefined && route.interface !== undefined) continue;
    messages.push(deletion(deleteRouteMessage(route, interfaceIndex, messages.length + 1)));
  }
  const talkative = addresses.filter(
    ({ virtualMac, address }) => virtualMac === true && familyOf(address) === 'ipv6',
  );
  for (const name of new Set(talkative.map((address) => address.interface))) {
    const interfaceIndex = index(name);
    if (interfaceIndex !== undefined) {
      messages.push(deletion(setDownMessage(interfaceIndex, messages.length + 1)));
    }
  }
  for (const { address, prefixLength, interface: name } of addresses) {
    const interfaceIndex = index(name);
    if (interfaceIndex === undefined) continue;
    messages.push(deletion(deleteAddressMessage(address, prefixLength, interfaceIndex, messages.length + 1)));
  }
  return messages;
}

function farewellBytes(farewell: GuardianFarewell, deletions: readonly Buffer[]): Buffer {
  const { virtualRouterId, source, udpPort, minTtl, destinations } = farewell;
  check(
    Number.isInteger(virtualRouterId) && virtualRouterId >= 1 && virtualRouterId <= 255,
    `virtual router ${virtualRouterId}`,
  );
  check(
    udpPort === undefined || (Number.isInteger(udpPort) && udpPort >= 1 && udpPort <= 65535),
    `UDP port ${udpPort}`,
  );
  check(Number.isInteger(minTtl) && minTtl >= 1 && minTtl <= 255, `least TTL ${minTtl}`);
  check(destinations.length <= MAX_DESTINATIONS_EACH, `${destinations.length} destinations`);
  const family = familyOf(source);
  const sourceBytes = ipBytes(source, family);
  check(
    sourceBytes.some((byte) => byte !== 0),
    `source '${source}'`,
  );
  const listen = nameBytes(farewell.interface);
  const send = nameBytes(farewell.sendInterface);
  const head = Buffer.alloc(FAREWELL_BYTES);
  head.set([
    virtualRouterId,
    family === 'ipv4' ? 4 : 6,
    udpPort === undefined ? VRRP_PROTOCOL : UDP_PROTOCOL,
    destinations.length,
  ]);
  head.writeUInt16LE(udpPort ?? 0, 4);
  head.writeUInt16LE(deletions.length, 6);
  head.set([listen.length, send.length, minTtl], 8);
  const said = destinationBytes(farewell, family);
  return Buffer.concat([head, padded(sourceBytes), listen, send, ...said, ...deletions]);
}

/**
 * The frame that arms the guardian.
 *
 * @param interfaceIndex of an interface by its name, undefined when there is none: its addresses went with it
 * @throws {GuardianOrdersError} when the orders break a limit of the guardian's
 */
export function encodeOrders(orders: GuardianOrders, interfaceIndex: InterfaceIndex): Buffer {
  const { farewells } = orders;
  check(farewells.length <= MAX_FAREWELLS, `${farewells.length} farewells`);
  const destinationCount = farewells.reduce((count, farewell) => count + farewell.destinations.length, 0);
  check(destinationCount <= MAX_DESTINATIONS, `${destinationCount} destinations`);
  const deletions = farewells.map((farewell) => deletionBytes(farewell, interfaceIndex));
  const deletionCount = deletions.reduce((count, each) => count + each.length, 0);
  check(deletionCount <= MAX_DELETIONS, `${deletionCount} addresses, routes and rules`);
  const head = Buffer.alloc(12);
  head.writeUInt32LE(milliseconds(orders.holdMs, 'holdMs'), 0);
  head.writeUInt32LE(milliseconds(orders.leaseMs, 'leaseMs'), 4);
  head.writeUInt32LE(farewells.length, 8);
  const bodies = farewells.map((farewell, at) => farewellBytes(farewell, deletions[at] ?? []));
  return frame(FRAME_ORDERS, Buffer.concat([head, ...bodies]));
}

/** The frame after which the guardian ends without acting; while it acts, without removing addresses. */
export function encodeDisarm(): Buffer {
  return frame(FRAME_DISARM, new Uint8Array());
}

/** The frame that renews the lease of orders in force. */
export function encodeRenewal(): Buffer {
  return frame(FRAME_RENEWAL, new Uint8Array());
}
