/**
 * The filter before a VRRP socket: what the election would take (RFC 9568 section 7.1) passes on its own way, and
 * nothing that a stranger sends in any number fills that one's buffer. Pure.
 */

import type { ExpectedRouter } from '../../runtime/ports.js';
import type { AddressFamily } from '../../util/ip-address.js';
import { knownAddressBytes } from '../../util/ip-address.js';
import { IP_PROTOCOL_VRRP } from '../../vrrp/packet.js';
import {
  Assembler,
  BPF,
  envelope,
  equalsOr,
  FROM_IP_HEADER,
  IN_IP,
  type Instruction,
} from '../sockets/bpf.js';

/** Which of two sockets a program is for: each packet passes one of them. */
export type Ear = 'expected' | 'others';

/** `whole`: addresses and checksum too; `head`: version, type, VRID and count alone, for hundreds of virtual routers. */
export type Depth = 'whole' | 'head';

/** Where the packets of a channel come from and go to. */
export interface FilterRoute {
  readonly family: AddressFamily;
  readonly source: string;
  /** The multicast group; undefined: unicast to `source`, from one of `peers`. */
  readonly group: string | undefined;
  readonly peers: readonly string[];
  readonly minTtl: number;
}

const ALL = 0xffff;
const NONE = 0;
/** Of two sockets that share a port, by the order in which they were bound. */
const FIRST_SOCKET = 0;
const SECOND_SOCKET = 1;
const VRRP_HEADER = 8;
/** RFC 3768 section 5.3.10. */
const VERSION_2_AUTHENTICATION = 8;
const HALF = 2;
const ADVERTISEMENT = 1;
/** The first word of a message but for its priority. */
const ALL_BUT_PRIORITY = 0xffff00ff;
/** Places in M[]. */
const PSEUDO_HEADER = 0;
const SCRATCH = 1;

/** What of the packet lies before the message where a program sees it. */
const BEFORE_MESSAGE = { ipv4: 20, ipv6: 0, udp: 8, payload: 0 } as const;

/** For sockets that share a port. */
export const TO_SECOND: readonly Instruction[] = [{ code: BPF.RETURN, jt: 0, jf: 0, k: SECOND_SOCKET }];

/** What a program returns for what is expected, and for the rest. */
interface Verdicts {
  readonly yes: number;
  readonly no: number;
}

const VERDICTS: Readonly<Record<Ear, Verdicts>> = {
  expected: { yes: ALL, no: NONE },
  others: { yes: NONE, no: ALL },
};

/**
 * The program for a raw socket of protocol 112, or for one of UDP: `expected` passes what the channel's virtual routers would
 * take, `others` all the rest. Never takes a packet that is too short for what it reads.
 */
export function vrrpFilter(
  ear: Ear,
  depth: Depth,
  route: FilterRoute,
  routers: readonly ExpectedRouter[],
  carrier: 'raw' | 'udp' = 'raw',
): readonly Instruction[] {
  const base = BEFORE_MESSAGE[carrier === 'udp' ? 'udp' : route.family];
  return programOf(VERDICTS[ear], base, depth, route, routers);
}

/** The program that divides what comes to a port of UDP: what `expected` would pass is for the first socket bound to it. */
export function vrrpDivision(
  depth: Depth,
  route: FilterRoute,
  routers: readonly ExpectedRouter[],
): readonly Instruction[] {
  const verdicts = { yes: FIRST_SOCKET, no: SECOND_SOCKET };
  return programOf(verdicts, BEFORE_MESSAGE.payload, depth, route, routers);
}

function programOf(
  { yes, no }: Verdicts,
  base: number,
  depth: Depth,
  route: FilterRoute,
  routers: readonly ExpectedRouter[],
): readonly Instruction[] {
  const program = new Assembler();
  fromARouter(program, route, base);
  program.do(BPF.LOAD_WORD, base).do(BPF.AND, ALL_BUT_PRIORITY);
  for (const [index, router] of routers.entries()) {
    const next = `behind ${index}`;
    program.unless(BPF.JUMP_EQUAL, headOf(router), next);
    if (depth === 'whole') messageOf(program, router, route, base);
    program.jump(depth === 'head' ? 'yes' : router.version === 2 ? 'version 2' : 'version 3').label(next);
  }
  program.jump('no');
  if (depth === 'whole') checksums(program, route.family, base);
  return program.label('yes').do(BPF.RETURN, yes).label('no').do(BPF.RETURN, no).program();
}

function fromARouter(program: Assembler, route: FilterRoute, base: number): void {
  const { family, source, group, peers, minTtl } = route;
  const at = IN_IP[family];
  envelope(program, family, base + VRRP_HEADER, minTtl);
  equalsOr(program, FROM_IP_HEADER + at.destination, knownAddressBytes(group ?? source), 'no');
  if (group !== undefined) {
    // Reflected, or another host has this address.
    equalsOr(program, FROM_IP_HEADER + at.source, knownAddressBytes(source), 'another source');
    program.jump('no').label('another source');
    return;
  }
  for (const [index, peer] of peers.entries()) {
    equalsOr(program, FROM_IP_HEADER + at.source, knownAddressBytes(peer), `not peer ${index}`);
    program.jump('of a peer').label(`not peer ${index}`);
  }
  program.jump('no').label('of a peer');
}

function headOf({ version, virtualRouterId, addresses }: ExpectedRouter): number {
  return ((version << 28) | (ADVERTISEMENT << 24) | (virtualRouterId << 16) | addresses.length) >>> 0;
}

/** The rest of one virtual router's message; leaves the sum of what is known in X and the pseudo-header's in M[]. */
function messageOf(program: Assembler, router: ExpectedRouter, route: FilterRoute, base: number): void {
  const { version, addresses } = router;
  const { family, source, group } = route;
  const said = addresses.map(knownAddressBytes);
  const authenticationAt = VRRP_HEADER + said.reduce((sum, bytes) => sum + bytes.length, 0);
  const length = authenticationAt + (version === 2 ? VERSION_2_AUTHENTICATION : 0);
  program.do(BPF.LOAD_LENGTH).unless(BPF.JUMP_AT_LEAST, base + length, 'no');
  let at = base + VRRP_HEADER;
  for (const bytes of said) {
    equalsOr(program, at, bytes, 'no');
    at += bytes.length;
  }
  if (version === 2) equalsOr(program, at, new Uint8Array(VERSION_2_AUTHENTICATION), 'no');
  const destination = sumOf(knownAddressBytes(group ?? source));
  const known = (headOf(router) >>> 16) + said.reduce((sum, bytes) => sum + sumOf(bytes), 0);
  const pseudoHeader = destination + IP_PROTOCOL_VRRP + length;
  program.do(BPF.LOAD_X, family === 'ipv6' ? known + pseudoHeader : known);
  if (family === 'ipv4' && version === 3) {
    program.do(BPF.X_TO_A).do(BPF.STORE, SCRATCH);
    program.do(BPF.LOAD_X, pseudoHeader).do(BPF.X_TO_A).do(BPF.STORE, PSEUDO_HEADER);
    program.do(BPF.LOAD_MEMORY, SCRATCH).do(BPF.A_TO_X);
  }
}

function sumOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += HALF) sum += view.getUint16(at);
  return sum;
}

/** Interval and checksum of the versions, with X as `messageOf` left it. */
function checksums(program: Assembler, family: AddressFamily, base: number): void {
  const right = 0xffff;
  program.label('version 3').do(BPF.LOAD_HALF, base + 4);
  program.unless(BPF.JUMP_ANY_BIT, 0x0fff, 'no');
  if (family === 'ipv4') {
    addHalves(program, base + 2, 3);
    fold(program);
    program.when(BPF.JUMP_EQUAL, right, 'yes').do(BPF.A_TO_X);
    addHalves(program, FROM_IP_HEADER + IN_IP.ipv4.source, 2);
    program.do(BPF.LOAD_MEMORY, PSEUDO_HEADER).do(BPF.ADD_X).do(BPF.A_TO_X);
  } else {
    addHalves(program, base + 2, 3);
    addHalves(program, FROM_IP_HEADER + IN_IP.ipv6.source, 8);
  }
  fold(program);
  program.when(BPF.JUMP_EQUAL, right, 'yes').jump('no');
  // No authentication, and an interval (RFC 3768 section 5.3).
  program.label('version 2').do(BPF.LOAD_HALF, base + 4);
  program.when(BPF.JUMP_ANY_BIT, 0xff00, 'no').when(BPF.JUMP_EQUAL, 0, 'no');
  addHalves(program, base + 2, 3);
  fold(program);
  program.when(BPF.JUMP_EQUAL, right, 'yes').jump('no');
}

/** Adds 16-bit words of the packet to X. */
function addHalves(program: Assembler, at: number, count: number): void {
  for (let i = 0; i < count; i++)
    program
      .do(BPF.LOAD_HALF, at + i * HALF)
      .do(BPF.ADD_X)
      .do(BPF.A_TO_X);
}

/** Folds the sum in X to 16 bits in A. */
function fold(program: Assembler): void {
  for (let i = 0; i < 2; i++) {
    program.do(BPF.X_TO_A).do(BPF.AND, 0xffff).do(BPF.STORE, SCRATCH);
    program.do(BPF.X_TO_A).do(BPF.SHIFT_RIGHT, 16).do(BPF.A_TO_X);
    program.do(BPF.LOAD_MEMORY, SCRATCH).do(BPF.ADD_X).do(BPF.A_TO_X);
  }
}
