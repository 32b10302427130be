/** Directors on this kernel that know each other beside VRRP: what they tell, and who is not believed. */
import { chmod, writeFile } from 'node:fs/promises';
import t from 'tap';
import type { PeerChannelStatus, PeerReport } from '../../../src/runtime/peer-status.js';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  type LaunchedDirector,
  type RunningDirector,
  settled,
  statusOf,
  test,
} from '../daemon-helpers.js';

t.jobs = 4;
t.setTimeout(FILE_LIMIT_MS);

const KEY = 'a key of at least thirty-two bytes';
const CLIENT = '192.168.7.100';

async function channelOf(director: LaunchedDirector): Promise<PeerChannelStatus | undefined> {
  return (await statusOf(director)).peer_channel ?? undefined;
}

async function peerOf(director: LaunchedDirector): Promise<PeerReport | undefined> {
  return (await channelOf(director))?.peers[0];
}

/** Resolves when the director says so of its peer. */
async function sees(director: LaunchedDirector, what: string, holds: (peer: PeerReport) => boolean) {
  let last: PeerReport | undefined;
  await settled(
    () => `${director.host} sees ${what}; it sees ${JSON.stringify(last)}`,
    async () => {
      last = await peerOf(director);
      return last !== undefined && holds(last);
    },
  );
}

function condition(director: LaunchedDirector, wanted: PeerReport['condition']): Promise<void> {
  return sees(director, wanted, (peer) => peer.condition === wanted);
}

async function reload(director: RunningDirector, yaml: string): Promise<void> {
  await writeFile(director.configFile, yaml);
  process.kill(director.child.pid, 'SIGHUP');
}

function logged(director: LaunchedDirector, words: RegExp): number {
  return director.log.filter(({ msg }) => words.test(msg)).length;
}

test('two directors tell each other who they are, and where their files differ', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml({ more: 'peer_channel: {}' });
  const lb1 = await bench.start('lb1', yaml);
  const lb2 = await bench.start('lb2', `${yaml}masquerade: []\n`);
  for (const director of [lb1, lb2]) {
    await sees(director, 'a difference', (peer) => peer.differing_sections.join() === 'masquerade');
    await sees(director, 'a round trip', (peer) => peer.round_trip_ms !== null);
  }
  const peer = await peerOf(lb1);
  t.match(peer, { name: 'lb2', address: '10.7.0.12', condition: 'up', version: /^\d/, complete: false });
  t.ok(Math.abs(peer?.clock_offset_ms ?? Number.NaN) < 1000, `${peer?.clock_offset_ms} ms`);
  t.match(await channelOf(lb1), {
    authenticated: false,
    faults: [],
    table: { complete: false, text: 'nothing is synchronised' },
  });
  const shown = await bench.command('lb1', ['status', '--runtime-dir', lb1.runtimeDirectory]);
  t.match(shown.output.join('\n'), /lb2 +up .*differs: masquerade/);

  await reload(lb2, yaml);
  for (const director of [lb1, lb2]) {
    await sees(director, 'no difference', (peer) => peer.differing_sections.length === 0);
    await settled('both are in the log', () => logged(director, /says the same/) > 0);
    t.equal(logged(director, /differs from this one's in masquerade/), 1, 'told once');
    t.equal(logged(director, /says the same/), 1);
  }
});

test('with a key nobody else is believed, and a new key is taken up', async (t) => {
  const bench = await Bench.open(t);
  const keyFile = async (host: string, key: string): Promise<string> => {
    const path = await bench.file(`${host}.key`, `${key}\n`);
    await chmod(path, 0o600);
    return path;
  };
  const yamlOf = (path: string) => directorYaml({ more: `peer_channel: { key_file: ${path} }` });
  const lb1 = await bench.start('lb1', yamlOf(await keyFile('lb1', KEY)));
  const lb2 = await bench.start('lb2', yamlOf(await keyFile('lb2', `${KEY}, and another one`)));
  await settled('both count what does not verify', async () => {
    const channels = await Promise.all([channelOf(lb1), channelOf(lb2)]);
    return channels.every((channel) => (channel?.discards['bad-mac'] ?? 0) > 2);
  });
  t.match(await peerOf(lb1), { version: null, condition: /waiting|peer-silent/ });
  await condition(lb2, 'channel-silent');

  await reload(lb2, yamlOf(await keyFile('lb2', KEY)));
  await condition(lb1, 'up');
  await condition(lb2, 'up');
  t.match(await channelOf(lb2), { authenticated: true, faults: [] });

  const path = await keyFile('lb2', KEY);
  await chmod(path, 0o644);
  await reload(lb2, yamlOf(path));
  await settled('a key that others can read is refused', async () => {
    return /can be read by others than root: run 'chmod 600/.test((await channelOf(lb2))?.faults[0] ?? '');
  });
  // Never without a key instead.
  await condition(lb1, 'peer-silent');
  await chmod(path, 0o600);
  await condition(lb1, 'up');
});

test('a dead peer, an isolated one and a silent channel are told apart', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml({ more: `peer_channel: { gateway: ${CLIENT} }` });
  const [lb1, lb2] = await bench.pair(yaml);
  await condition(lb1, 'up');
  await condition(lb2, 'up');

  // Its services process stands still: advertisements go on.
  const services = (await statusOf(lb1)).services.pid ?? 0;
  process.kill(services, 'SIGSTOP');
  await condition(lb2, 'channel-silent');
  await settled('its parent has started another', async () => {
    const { state, pid } = (await statusOf(lb1)).services;
    return state === 'running' && pid !== services;
  });
  await condition(lb2, 'up');
  t.match(await statusOf(lb2), { instances: [{ state: 'backup' }] }, 'no election has come of it');

  // Nothing of the other one arrives, though the gateway answers.
  await bench.partition('on');
  await condition(lb1, 'peer-dead');
  await inState(lb2, 'master');
  await condition(lb2, 'peer-dead');
  await bench.partition('off');
  await condition(lb1, 'up');

  // lb2's outer network is cut: it says so itself, by the inner one.
  await bench.switches('ip', 'link', 'set', 'lb2-outside', 'down');
  await condition(lb1, 'peer-isolated');
  await bench.switches('ip', 'link', 'set', 'lb2-inside', 'down');
  await condition(lb2, 'self-isolated');
  await condition(lb1, 'peer-dead');
});
