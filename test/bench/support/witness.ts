/**
 * Hears VRRP multicasts (IPv4) on `eth0` of the namespace it runs in, with the kernel's receive times. Prints
 * each packet as a line, or with `--sum` adds up and prints the sums for each line on stdin; with `--long MS` also each
 * gap that was longer.
 */
import { createInterface } from 'node:readline';
import { RawSocket } from '../../../src/io/sockets/raw-socket.js';
import { SO_RCVBUFFORCE, SOL_SOCKET } from '../../../src/io/sockets/socket-constants.js';
import type { Gap, SourceChange } from './standstills.js';

/** One advertisement on the wire. */
export interface Heard {
  /** CLOCK_MONOTONIC. */
  readonly atMs: number;
  readonly source: string;
  readonly virtualRouterId: number;
  readonly priority: number;
}

/** Gaps between two advertisements of one virtual router, since the last question. */
export interface GapSums {
  readonly virtualRouters: number;
  readonly packets: number;
  readonly maxMs: number;
  /** Gaps by whole milliseconds: the last entry is all above. */
  readonly histogram: readonly number[];
  readonly sourceChanges: readonly SourceChange[];
  /** At most MAX_LONG_GAPS. */
  readonly longGaps: readonly Gap[];
}

const VRRP_PROTOCOL = 112;
const GROUP = '224.0.0.18';
const INTERFACE = 'eth0';
/** Seconds of 250 virtual routers at 100 ms: this process may come late, the kernel's stamps do not. */
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;
const HISTOGRAM_MS = 5000;
const MAX_LONG_GAPS = 1000;

const summing = process.argv.includes('--sum');
const longMs = process.argv.includes('--long')
  ? Number(process.argv[process.argv.indexOf('--long') + 1])
  : Number.POSITIVE_INFINITY;
const last = new Map<number, Heard>();
let packets = 0;
let maxMs = 0;
let sourceChanges: SourceChange[] = [];
let longGaps: Gap[] = [];
let histogram = new Uint32Array(HISTOGRAM_MS + 1);

function add(heard: Heard): void {
  packets += 1;
  const before = last.get(heard.virtualRouterId);
  last.set(heard.virtualRouterId, heard);
  if (before === undefined) return;
  if (before.source !== heard.source)
    sourceChanges.push({ fromMs: before.atMs, toMs: heard.atMs, source: heard.source });
  const gapMs = heard.atMs - before.atMs;
  maxMs = Math.max(maxMs, gapMs);
  if (gapMs > longMs && longGaps.length < MAX_LONG_GAPS)
    longGaps.push({ fromMs: before.atMs, toMs: heard.atMs });
  const bin = Math.min(HISTOGRAM_MS, Math.floor(gapMs));
  histogram[bin] = (histogram[bin] ?? 0) + 1;
}

function answer(): void {
  const sums: GapSums = {
    virtualRouters: last.size,
    packets,
    maxMs,
    histogram: [...histogram],
    sourceChanges,
    longGaps,
  };
  process.stdout.write(`${JSON.stringify(sums)}\n`);
  packets = maxMs = 0;
  sourceChanges = [];
  longGaps = [];
  histogram = new Uint32Array(HISTOGRAM_MS + 1);
}

const socket = new RawSocket({ type: 'raw4', protocol: VRRP_PROTOCOL });
socket.bindToDevice(INTERFACE);
socket.setIntOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
socket.addMembership(GROUP, INTERFACE);
socket.on('message', (packet, info) => {
  const at = ((packet[0] ?? 0) & 0x0f) * 4;
  const heard: Heard = {
    atMs: info.receivedAtMs,
    source: info.address,
    virtualRouterId: packet[at + 1] ?? 0,
    priority: packet[at + 2] ?? 0,
  };
  if (summing) add(heard);
  else process.stdout.write(`${JSON.stringify(heard)}\n`);
});
socket.on('listening', () => process.stdout.write('{"ready":true}\n'));
socket.bind();
createInterface({ input: process.stdin })
  .on('line', () => answer())
  .on('close', () => process.exit());
