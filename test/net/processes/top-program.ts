/**
 * `director top` on a table that is made up, since this host's kernel has none: everything else is real.
 *
 * Usage: top-program.js LOOKS kernel|director (after so many looks the kernel refuses, or the director's answer is one that
 * nobody foresaw)
 */
import { watch } from '../../../src/cli/top.js';
import { Screen } from '../../../src/io/operator/screen.js';
import type { CountedService, TrafficStats } from '../../../src/ipvs/model.js';

const LOOKS = Number(process.argv[2]);
const WHO = process.argv[3];
const SECOND_MS = 1000;
/** The clock is one of looks, a second each, so that rates are known beforehand: a look is followed by the rest of this. */
const INTERVAL_MS = SECOND_MS + 50;

let looks = 0;

function stats(each: number): TrafficStats {
  return {
    connections: each * looks,
    incomingPackets: 2 * each * looks,
    outgoingPackets: 3 * each * looks,
    incomingBytes: 100 * each * looks,
    outgoingBytes: 200 * each * looks,
    connectionsPerSecond: 0,
    incomingPacketsPerSecond: 0,
    outgoingPacketsPerSecond: 0,
    incomingBytesPerSecond: 0,
    outgoingBytesPerSecond: 0,
  };
}

function service(last: number): CountedService {
  return {
    key: { family: 'ipv4', protocol: 6, address: `192.0.2.${last}`, port: 80 },
    stats: stats(last),
    destinations: [
      {
        address: '10.0.0.2',
        port: 80,
        weight: 1,
        activeConnections: 10 - last,
        inactiveConnections: last,
        persistentConnections: 0,
        stats: stats(last),
      },
    ],
  };
}

await watch(
  {
    nowMs: () => looks * SECOND_MS,
    date: () => new Date(0),
    read: async () => {
      looks += 1;
      if (WHO === 'kernel' && looks > LOOKS) throw new Error('the kernel refuses');
      return [1, 2, 3].map(service);
    },
    status: async () => {
      if (WHO === 'director' && looks > LOOKS) throw new Error('nobody foresaw this');
      return undefined;
    },
  },
  new Screen(process.stdin, process.stdout),
  { intervalMs: INTERVAL_MS, sort: 'CPS' },
);
