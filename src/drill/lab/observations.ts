/** What the drill's witnesses write, made into observations. Pure: text in, values out; times are wall-clock ms. */
import { canonicalAddress } from '../../util/ip-address.js';

/** Answers to the probe. */
export interface ProbeResult {
  readonly sent: number;
  readonly received: number;
  /** When each answer came, ascending. */
  readonly answersMs: readonly number[];
}

/** A virtual address came to or went from a director's interface. */
export interface AddressChange {
  readonly atMs: number;
  readonly director: string;
  /** Without prefix length. */
  readonly address: string;
  readonly held: boolean;
}

/** One on a device; that an address's lifetime is renewed looks like that it came. */
export interface AddressLine extends AddressChange {
  readonly interface: string;
}

/** A line of a director's log that carries an `event`. */
export interface DirectorEvent {
  readonly atMs: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** One entry of /proc/net/ip_vs_conn. */
export interface TableEntry {
  readonly protocol: 'tcp' | 'udp';
  readonly clientPort: number;
  readonly virtualAddress: string;
  readonly virtualPort: number;
  /** RIP as text. */
  readonly realServer: string;
  readonly state: string;
}

const FPING_SUMMARY = /xmt\/rcv\/%loss = (\d+)\/(\d+)\//;
const PING_SUMMARY = /^(\d+) packets transmitted, (\d+) received/m;

/**
 * Parses what `fping -D -l` or `ping -D -n` wrote; both write `[epoch seconds] ... N bytes ...` for an answer.
 * Without their summary (a probe that was killed) what was sent is what the answers' numbers tell.
 */
export function parseProbe(output: string, errors: string): ProbeResult {
  const answersMs: number[] = [];
  let highest = 0;
  for (const line of output.split('\n')) {
    const answer = /^\[(\d+(?:\.\d+)?)\] .*\b\d+ bytes\b/.exec(line)?.[1];
    if (answer !== undefined) {
      answersMs.push(Number(answer) * 1000);
      highest = Math.max(highest, Number(/: \[(\d+)\]|icmp_seq=(\d+)/.exec(line)?.[1] ?? -1) + 1);
    }
  }
  answersMs.sort((a, b) => a - b);
  const summary = FPING_SUMMARY.exec(errors) ?? FPING_SUMMARY.exec(output) ?? PING_SUMMARY.exec(output);
  const sent = summary === null ? Math.max(highest, answersMs.length) : Number(summary[1]);
  return { sent, received: answersMs.length, answersMs };
}

/** Parses one line of `ip -o -ts monitor address` written with TZ=UTC; undefined when it is none. */
export function parseAddressLine(director: string, line: string): AddressLine | undefined {
  const match = /^\[([^\]]+)\] (Deleted )?\d+: (\S+) +inet6? ([\da-f.:]+)(?:\/\d+)?/.exec(line);
  const atMs = match === null ? Number.NaN : parseTimestamp(match[1] ?? '');
  if (match === null || Number.isNaN(atMs)) {
    return undefined;
  }
  const [, , deleted, device = '', address = ''] = match;
  return { atMs, director, address, interface: device, held: deleted === undefined };
}

/** `2026-11-21T00:23:17.495812` in UTC, to a fraction of a millisecond. */
function parseTimestamp(text: string): number {
  const [seconds = '', fraction = '0'] = text.split('.');
  return Date.parse(`${seconds}Z`) + Number(`0.${fraction}`) * 1000;
}

/** Parses one line of a director's JSON log; undefined when it is not JSON or carries no event. */
export function parseDirectorLine(line: string): DirectorEvent | undefined {
  if (!line.startsWith('{')) {
    return undefined;
  }
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { event, time, msg } = fields;
  const atMs = typeof time === 'string' ? Date.parse(time) : Number(time);
  if (typeof event !== 'string' || Number.isNaN(atMs)) {
    return undefined;
  }
  return { atMs, event, fields, message: typeof msg === 'string' ? msg : '' };
}

/** IPv4 as eight hexadecimal digits, IPv6 as eight groups of four. */
function addressText(text: string): string {
  return text.length === 8
    ? [0, 2, 4, 6].map((at) => Number.parseInt(text.slice(at, at + 2), 16)).join('.')
    : canonicalAddress(text);
}

/** Parses /proc/net/ip_vs_conn (`ip_vs_conn_seq_show`): TCP and UDP; templates, of protocol IP, are left out. */
export function parseConnectionTable(text: string): TableEntry[] {
  const entries: TableEntry[] = [];
  for (const line of text.split('\n')) {
    const [protocol, , fromPort = '', to = '', toPort = '', destination = '', , state = ''] = line
      .trim()
      .split(/\s+/);
    if (protocol === 'TCP' || protocol === 'UDP') {
      entries.push({
        protocol: protocol === 'TCP' ? 'tcp' : 'udp',
        clientPort: Number.parseInt(fromPort, 16),
        virtualAddress: addressText(to),
        virtualPort: Number.parseInt(toPort, 16),
        realServer: addressText(destination),
        state,
      });
    }
  }
  return entries;
}
