/**
 * Hears VRRP multicasts (IPv4) on `eth0` of the namespace it runs in, with the kernel's receive times. Prints
 * each packet as a line, or with `--sum` adds up and prints the sums for each line on stdin.
 */
import { createInterface } from 'node:readline';
import { RawSocket } from '../../src/io/raw-socket.js';
import { SOL_SOCKET } from '../../src/io/socket-constants.js';
import type { SourceChange } from './standstills.js';

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
}

const VRRP_PROTOCOL = 112;
const GROUP = '224.0.0.18';
const INTERFACE = 'eth0';
const SO_RCVBUFFORCE = 33;
/** Seconds of 250 virtual routers at 100 ms: this process may come late, the kernel's stamps do not. */
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;
const HISTOGRAM_MS = 5000;

const summing = process.argv.includes('--sum');
const last = new Map<number, Heard>();
let packets = 0;
let maxMs = 0;
let sourceChanges: SourceChange[] = [];
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
  };
  process.stdout.write(`${JSON.stringify(sums)}\n`);
  packets = maxMs = 0;
  sourceChanges = [];
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
