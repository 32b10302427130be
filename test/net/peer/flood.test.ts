/** What is forged, recorded or broken, in any number, is counted and changes nothing. */
import { createHmac, randomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { DISCARD_REASONS, sealDatagram } from '../../../src/peer/wire.js';
import type { PeerChannelStatus } from '../../../src/runtime/peer-status.js';
import { hello } from '../../unit/peer/helloes.js';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  type LaunchedDirector,
  settled,
  statusOf,
  test,
} from '../daemon-helpers.js';

t.setTimeout(FILE_LIMIT_MS);

const KEY = 'a key of at least thirty-two bytes';
/** For longer than a peer may be silent. */
const FLOOD = 1_000_000;
const FLOODER = join(projectFolder(), 'dist', 'test', 'net', 'peer', 'flooder.js');

async function channelOf(director: LaunchedDirector): Promise<PeerChannelStatus> {
  const channel = (await statusOf(director)).peer_channel;
  if (channel === undefined || channel === null) throw new Error(`${director.host} has no peer channel`);
  return channel;
}

/** A word that lb2 said in an earlier session, asking for a replay: its MAC is right. */
function recording(): string {
  const words = {
    session: randomBytes(8).readBigUInt64BE() | 1n,
    sequence: 40_000,
    challenge: randomBytes(8).readBigUInt64BE(),
    answer: randomBytes(8).readBigUInt64BE(),
    hello: hello({ asks: 77, sections: {}, version: 'forged' }),
  };
  return Buffer.from(
    sealDatagram(words, (bytes) => createHmac('sha256', KEY).update(bytes).digest()),
  ).toString('hex');
}

test('a flood from the address of the peer', async (t) => {
  const bench = await Bench.open(t);
  const key = await bench.file('peer.key', KEY);
  await chmod(key, 0o600);
  const yaml = directorYaml({ more: `peer_channel: { key_file: ${key} }` });
  const [lb1, lb2] = await bench.pair(yaml);
  await settled('they know each other', async () => {
    const channels = await Promise.all([channelOf(lb1), channelOf(lb2)]);
    return channels.every(({ peers }) => peers[0]?.condition === 'up');
  });
  const before = await statusOf(lb1);
  // Behind everybody else's work: it is the buffers that are to be full, not the processors.
  const argv = ['nice', '-n', '19', process.execPath, FLOODER, '10.7.0.11', '8113', String(FLOOD)];
  const sent = Number(await bench.lab.run('lb2', [...argv, ...Array.from({ length: 8 }, recording)]));
  t.equal(sent, FLOOD);

  let counted = 0;
  await settled(
    () => `every one is counted: ${counted} of ${sent}`,
    async () => {
      const { discards } = await channelOf(lb1);
      counted = DISCARD_REASONS.reduce((sum, reason) => sum + discards[reason], 0);
      return counted >= sent;
    },
  );
  const after = await statusOf(lb1);
  const { peers, discards } = await channelOf(lb1);
  t.comment(JSON.stringify(discards));
  for (const reason of ['bad-length', 'bad-mac', 'unproven', 'unread'] as const)
    t.ok(discards[reason] > 0, reason);
  t.match(peers[0], { condition: 'up', version: /^\d/ });
  const since = before.peer_channel?.peers[0]?.since_s ?? Number.NaN;
  t.ok((peers[0]?.since_s ?? 0) >= since, 'it was never silent');
  t.equal(lb1.log.filter(({ msg }) => msg.includes('lb2 is up')).length, 1, 'nor told to be');
  t.ok(lb1.log.filter(({ msg }) => msg.includes('not taken')).length <= 2, 'the log is bounded');
  t.equal(after.services.pid, before.services.pid);
  for (const [i, instance] of after.instances.entries()) {
    t.equal(instance.state, before.instances[i]?.state);
    t.equal(instance.counters['became_master'], before.instances[i]?.counters['became_master']);
  }
  t.equal((await channelOf(lb2)).peers[0]?.condition, 'up');
});
