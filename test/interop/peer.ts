/** Another implementation of VRRP on lb2. */
import type { Bench } from '../net/daemons.js';
import type { InteropCase } from './cases.js';

export const VRID = 51;
/** What moves, by family; under IPv6 the link-local address comes first. */
export const VIRTUAL_ADDRESSES = {
  ipv4: ['192.168.7.253/24'],
  ipv6: ['fe80::7:253/64', 'fd00:7::253/64'],
} as const;
/** RFC 9568 section 7.3. */
export const VIRTUAL_MACS = {
  ipv4: `00:00:5e:00:01:${VRID.toString(16)}`,
  ipv6: `00:00:5e:00:02:${VRID.toString(16)}`,
} as const;
/** The directors' own addresses, for unicast. */
export const OWN_ADDRESSES = {
  ipv4: { lb1: '192.168.7.11', lb2: '192.168.7.12' },
  ipv6: { lb1: 'fe80::7:11', lb2: 'fe80::7:12' },
} as const;

/** As our director has one: without it a busy machine keeps a peer from 10 ms advertisements long enough to lose its role. */
export const REAL_TIME_PRIORITY = 20;

export interface Peer {
  /** What it said so far. */
  readonly output: readonly string[];
  readonly state: 'master' | 'backup' | 'unknown';
  /** Lines in which it finds fault with our packets. */
  complaints(): string[];
  stop(): Promise<void>;
  /** Kills all its processes at once and removes what it leaves behind. */
  kill(): Promise<void>;
}

export type StartPeer = (bench: Bench, which: InteropCase) => Promise<Peer>;

/** Words in which keepalived (vrrp_check_packet) and FRR (vrrp_pkt_parse_datagram) refuse a packet. */
const FAULT =
  /invalid|checksum|bad ttl|ttl.*(?:is|not)|mismatch|wrong|bogus|incorrect|too short|discard|unexpected|conflict|malformed|failed/i;

export function faultsIn(lines: readonly string[], innocent: RegExp): string[] {
  return lines.filter((line) => FAULT.test(line) && !innocent.test(line));
}
