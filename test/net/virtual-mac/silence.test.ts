/** A former master of a virtual MAC address is silent, or the switch would send the clients to it. */
import t from 'tap';
import { SWITCHES } from '../../../src/drill/lab/lab-plan.js';
import { stopChild } from '../../../src/drill/lab/process.js';
import {
  type Bench,
  FILE_LIMIT_MS,
  pause,
  type RunningDirector,
  settled,
  stop,
  testUnless,
} from '../daemon-helpers.js';
import { openBench, servedBy, settledIn, skip, V6, yaml } from './routers.js';

// Most of the time these tests wait.
t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const test = testUnless(skip);

/** The kernel repeats its report of a group it joins or leaves within a second (mldv2_unsolicited_report_interval). */
const REPORTS_MS = 2500;

/** How a role goes from `director`, whose addresses must go with it. */
const WAYS: Readonly<Record<string, (bench: Bench, director: RunningDirector) => Promise<unknown>>> = {
  'is told to hand over': (bench, { host, runtimeDirectory }) =>
    bench.command(host, ['failover', '--runtime-dir', runtimeDirectory]),
  'is stopped': (_, director) => stop(director),
  'is killed': async (_, { child }) => child.kill('SIGKILL'),
  'stands still': async (_, { child }) => child.kill('SIGSTOP'),
};

for (const [way, leave] of Object.entries(WAYS)) {
  test(`a master that ${way} says nothing with the virtual MAC address afterwards`, async (t) => {
    const bench = await openBench(t);
    const [lb1, lb2] = await bench.pair(yaml([V6]));
    const heard: string[] = [];
    const said: string[] = [];
    const options = ['-Q', 'in', '-Z', 'root', '-nn', '-tt', '-l', '--immediate-mode'];
    const argv = ['-i', 'lb1-outside', ...options, `ether src ${V6.mac}`];
    const tcpdump = bench.lab.start(SWITCHES, ['tcpdump', ...argv], {
      onLine: (line) => heard.push(line),
      onErrorLine: (line) => said.push(line),
    });
    await settled('tcpdump listens', () => said.some((line) => line.includes('listening on')));
    await settled('it sees advertisements', () => heard.length > 0);
    // As master it reports the groups of its addresses, as it should.
    await pause(REPORTS_MS);
    heard.length = 0;
    await leave(bench, lb1);
    await settledIn(lb2, 'master');
    await servedBy(t, bench, 'lb2', [V6]);
    const goneMs = Date.now();
    if (way === 'stands still') {
      lb1.child.kill('SIGCONT');
      await settledIn(lb1, 'backup');
    }
    await pause(REPORTS_MS);
    await stopChild(tcpdump, 'SIGINT');
    t.strictSame(
      heard.filter((line) => line.includes('multicast listener')),
      [],
      'no report that would draw the clients here',
    );
    t.strictSame(
      heard.filter((line) => Number.parseFloat(line) * 1000 > goneMs),
      [],
      'nothing at all once the addresses are gone',
    );
    await servedBy(t, bench, 'lb2', [V6]);
  });
}
