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
  testUnless,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const LB1 = '192.168.7.11';
const LB2 = '192.168.7.12';
const LB1_V6 = 'fd00:7::11';
const LB2_V6 = 'fd00:7::12';

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
  peer = LB2,
): Promise<void> {
  let last: BfdStatus | undefined;
  return settled(
    () => `the session is ${state} (${reason}): ${JSON.stringify(last)}`,
    async () => {
      last = await sessionOf(director, peer);
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
    ` peer ${LB1_V6} local-address ${LB2_V6} interface eth0`,
    '',
  ].join('\n');
  const startFrr = (): Promise<FrrDaemons> => startFrrDaemons(bench, 'lb2', 'bfdd', configuration);
  const yaml = [
    directorYaml().replace('addresses: [', 'track: [neighbour]\n      addresses: [').trimEnd(),
    '  track:',
    `    - { name: neighbour, bfd: { peer: ${LB2}, interface: eth0, interval: 50ms, multiplier: 3 } }`,
    `    - { name: six, bfd: { peer: "${LB2_V6}", source: "${LB1_V6}", interface: eth0 } }`,
    '',
  ].join('\n');

  for (const [host, address] of [
    ['lb1', LB1_V6],
    ['lb2', LB2_V6],
  ] as const)
    await bench.lab.run(host, ['ip', 'addr', 'add', `${address}/64`, 'dev', 'eth0', 'nodad']);

  const director = await bench.start('lb1', yaml);
  t.equal((await instanceOf(director)).state, 'fault', 'no peer yet');
  let frr = await startFrr();
  const theirs = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await frr.command('show bfd peers json')).find((one: { peer: string }) => one.peer === LB1) ??
    {};
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

  await sessionIs(director, 'up', null, LB2_V6);

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

test('a planned stop is no failure', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bfdPair(bench);
  await stop(lb1);
  await inState(lb2, 'master');
  const { counters, reason } = await sessionOf(lb2, LB1);
  t.equal(counters['expirations'], 0);
  t.equal(reason, 'neighbor signaled session down');
  t.notMatch(roleReasons(lb2)[0], /BFD/);
  await stop(lb2);
  t.same(
    complaints(lb2).filter((line) => !line.startsWith('BFD session')),
    [],
  );
});

test('a master that hangs is succeeded, and the guardian takes its addresses', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bfdPair(bench);
  lb1.child.kill('SIGSTOP');
  await inState(lb2, 'master');
  t.same(roleReasons(lb2), [`BFD session with ${LB1} expired`]);
  await bench.heldBy('lb2', VIP);
  lb1.child.kill('SIGCONT');
  await inState(lb1, 'backup');
  await bench.heldBy('lb2', VIP);
  await stop(lb1);
  await stop(lb2);
});

testUnless(skipWithout('nft'))('BFD alone is lost: the master that lives keeps the role', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bfdPair(bench);
  const nft = (text: string) => bench.lab.run('lb2', ['nft', '-f', '-'], text);
  const loseIt = async (expirations: number): Promise<void> => {
    await nft('table inet deaf { chain in { type filter hook input priority 0; udp dport 3784 drop; }; }');
    await settled(`the session expires (${expirations})`, async () => {
      const { counters } = await sessionOf(lb2, LB1);
      return counters['expirations'] === expirations;
    });
  };
  await loseIt(1);
  await settled('lb2 has heard that lb1 lives', async () => {
    const { state, counters, master } = await instanceOf(lb2);
    return state === 'backup' && master === LB1 && counters['became_master'] === 1;
  });
  t.equal((await instanceOf(lb1)).state, 'master');
  await bench.heldBy('lb1', VIP);
  await nft('delete table inet deaf');
  await sessionIs(lb2, 'up', null, LB1);
  await loseIt(2);
  const { state, counters } = await instanceOf(lb2);
  t.match({ state, ...counters }, { state: 'backup', became_master: 1, bfd_expired: 1, bfd_doubted: 1 });
  t.notOk((await instanceOf(lb1)).counters['released_master'], 'it was master all the time');
  await stop(lb2);
  await stop(lb1);
});

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
