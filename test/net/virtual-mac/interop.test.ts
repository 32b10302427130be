/**
 * A director and a keepalived or another director, with a virtual MAC address on both sides or on one. The cases at 10 ms
 * and most of those at 1 s are left to `npm run interop`, those of two directors alike to virtual-mac-pair.test.ts.
 */
import t from 'tap';
import { CASES, caseName, type InteropCase } from '../../interop/cases.js';
import { startKeepalived } from '../../interop/peer-keepalived.js';
import { startOurs } from '../../interop/peer-ours.js';
import { runCase } from '../../interop/run-case.js';
import { Bench, FILE_LIMIT_MS, skipWithout } from '../daemon-helpers.js';
import { skip as noMacvlan } from './routers.js';

// Most of the time these tests wait.
t.jobs = 3;
t.setTimeout(FILE_LIMIT_MS);
const START = { keepalived: startKeepalived, ours: startOurs } as const;

function isHere({ peer, version, virtualMac, intervalMs }: InteropCase): boolean {
  if (virtualMac === 'none' || (virtualMac === 'both' && peer === 'ours')) return false;
  return intervalMs === 100 || (version === 2 && virtualMac === 'both');
}

for (const which of CASES.filter(isHere)) {
  const { peer } = which;
  if (peer === 'frr') continue;
  const skip = noMacvlan || (peer === 'keepalived' && skipWithout('keepalived'));
  void t.test(caseName(which), { skip, timeout: FILE_LIMIT_MS }, async (t) => {
    const result = await runCase(await Bench.open(t), which, START[peer]);
    t.equal(result.failure, undefined);
    t.strictSame(result.complaints, []);
  });
}
