/** BFD: sessions with FRR's bfdd, both ways; and two directors, one of which goes without a word. */
import t from 'tap';
import type { BfdStatus } from '../../../src/runtime/status.js';
import { type FrrDaemons, startFrrDaemons } from '../../interop/frr.js';
import {
  Bench,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  instanceOf,
  type RunningDirector,
  settled,
  skipWithout,
  statusOf,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const LB1 = '192.168.7.11';
const LB2 = '192.168.7.12';

async function sessionOf(director: RunningDirector, peer = LB2): Promise<BfdStatus> {
  const { bfd = [] } = await statusOf(director);
  const found = bfd.find((one) => one.peer === peer);
  if (found === undefined) throw new Error(`${director.host} has no BFD session with ${peer}`);
  return found;
}

function sessionIs(
  director: RunningDirector,
  state: BfdStatus['state'],
  reason: string | null,
): Promise<void> {
  let last: BfdStatus | undefined;
  return settled(
    () => `the session is ${state} (${reason}): ${JSON.stringify(last)}`,
    async () => {
      last = await sessionOf(director);
      return last.state === state && last.reason === reason;
    },
  );
}

void t.test("with FRR's bfdd", { skip: skipWithout('zebra', 'bfdd') }, async (t) => {
  const bench = await Bench.open(t);
  const peer = `peer ${LB1} local-address ${LB2} interface eth0`;
  const configuration = [
    'log stdout',
    'bfd',
    ` ${peer}`,
    '  detect-multiplier 4',
    '  receive-interval 60',
    '  transmit-interval 80',
    '',
  ].join('\n');
  const startFrr = (): Promise<FrrDaemons> => startFrrDaemons(bench, 'lb2', 'bfdd', configuration);
  const yaml = [
    directorYaml().replace('addresses: [', 'track: [neighbour]\n      addresses: [').trimEnd(),
    `  track: [{ name: neighbour, bfd: { peer: ${LB2}, interface: eth0, interval: 50ms, multiplier: 3 } }]`,
    '',
  ].join('\n');

  const director = await bench.start('lb1', yaml);
  t.equal((await instanceOf(director)).state, 'fault', 'no peer yet');
  let frr = await startFrr();
  const theirs = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await frr.command('show bfd peers json'))[0] ?? {};
  const theySay = (expected: Record<string, unknown>): Promise<void> => {
    let last: Record<string, unknown> = {};
    return settled(
      () => `FRR says ${JSON.stringify(expected)}: ${JSON.stringify(last)}`,
      async () => {
        last = await theirs().catch(() => ({}));
        return Object.entries(expected).every(([key, value]) => last[key] === value);
      },
    );
  };

  await sessionIs(director, 'up', null);
  await inState(director, 'master');
  await theySay({
    status: 'up',
    'remote-detect-multiplier': 3,
    'remote-receive-interval': 50,
    'remote-transmit-interval': 50,
  });
  await settled('the intervals are those of both', async () => {
    const { transmit_ms, detection_ms } = await sessionOf(director);
    return transmit_ms === 60 && detection_ms === 320;
  });

  await t.test('their link goes', async () => {
    await bench.lab.cables('lb2', 'down');
    await sessionIs(director, 'down', 'control detection time expired');
    await inState(director, 'fault');
    await bench.lab.cables('lb2', 'up');
    await sessionIs(director, 'up', null);
    await theySay({ status: 'up' });
    await inState(director, 'master');
  });

  await t.test('they shut it down', async (t) => {
    await frr.command('configure terminal', 'bfd', peer, 'shutdown');
    await sessionIs(director, 'down', 'neighbor signaled session down');
    t.equal((await sessionOf(director)).peer_state, 'admin-down');
    await frr.command('configure terminal', 'bfd', peer, 'no shutdown');
    await sessionIs(director, 'up', null);
    await theySay({ status: 'up' });
  });

  await t.test('they are killed and start again', async () => {
    await frr.kill();
    await sessionIs(director, 'down', 'control detection time expired');
    frr = await startFrr();
    await sessionIs(director, 'up', null);
    await theySay({ status: 'up' });
  });

  await t.test('our director is killed, and starts again', async () => {
    director.child.kill('SIGKILL');
    await director.child.exited;
    await theySay({ status: 'down', diagnostic: 'control detection time expired' });
  });
  const again = await bench.start('lb1', yaml);
  await sessionIs(again, 'up', null);
  await theySay({ status: 'up' });
  const { counters } = await sessionOf(again);
  t.same(
    Object.entries(counters).filter(([name, n]) => name.startsWith('discarded') && n > 0),
    [],
    'nothing of theirs was refused',
  );

  await t.test('our director leaves', async (t) => {
    await stop(again);
    await theySay({ status: 'down', 'remote-diagnostic': 'administratively down' });
    t.same(complaints(again), []);
  });
  await frr.stop();
});

/** Advertisements once a second: without BFD a dead master is missed after three and more. */
function pairYaml(more = ''): string {
  return directorYaml({ interval: '1s' }).replace(
    'addresses: [',
    `bfd: { peers: { lb1: ${LB1}, lb2: ${LB2} }, interval: 50ms, multiplier: 3${more} }\n      addresses: [`,
  );
}

async function bfdPair(bench: Bench): Promise<readonly [RunningDirector, RunningDirector]> {
  const [lb1, lb2] = await bench.pair(pairYaml());
  await settled('lb2 has a session', async () => (await sessionOf(lb2, LB1)).state === 'up');
  await settled('lb1 has a session', async () => (await sessionOf(lb1, LB2)).state === 'up');
  return [lb1, lb2];
}

const roleReasons = (director: RunningDirector): unknown[] =>
  director.log.filter(({ event, to }) => event === 'role' && to === 'master').map(({ reason }) => reason);

test('a master without power is succeeded because of its BFD session', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bfdPair(bench);
  await bench.lab.cables('lb1', 'down');
  await inState(lb2, 'master');
  t.same(roleReasons(lb2), [`BFD session with ${LB1} expired`]);
  await bench.heldBy('lb2', VIP);
  await bench.lab.cables('lb1', 'up');
  await settled('one master in the end', async () => {
    const states = [(await instanceOf(lb1)).state, (await instanceOf(lb2)).state];
    return states.filter((state) => state === 'master').length === 1 && states.includes('backup');
  });
  await stop(lb2);
  await stop(lb1);
});
