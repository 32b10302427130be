/**
 * A director and a keepalived as one pair: each in each role, both directions of a planned failover and of a crash. The
 * cases at 10 ms are left to `npm run interop`: on a busy machine a role may move for good reasons.
 */
import t from 'tap';
import { CASES, caseName, type InteropCase } from '../../interop/cases.js';
import { startKeepalived } from '../../interop/peer-keepalived.js';
import { runCase } from '../../interop/run-case.js';
import { Bench, skipWithout } from '../daemon-helpers.js';

// Most of the time these tests wait.
t.jobs = 3;
t.setTimeout(300_000);
const skip = skipWithout('keepalived');

function isHere({ peer, virtualMac, intervalMs }: InteropCase): boolean {
  return peer === 'keepalived' && virtualMac === 'none' && intervalMs >= 100;
}

for (const which of CASES.filter(isHere)) {
  void t.test(caseName(which), { skip, timeout: 250_000 }, async (t) => {
    const result = await runCase(await Bench.open(t), which, startKeepalived);
    t.equal(result.failure, undefined);
    t.strictSame(result.complaints, []);
  });
}
