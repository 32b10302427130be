import { spawnSync } from 'node:child_process';
import t from 'tap';
import {
  ACCEPT_FILTER_SET,
  acceptFilterRuleset,
  openAcceptFilter,
} from '../../../src/io/host/accept-filter.js';
import { openNftSets } from '../../../src/io/netlink/nft-sets.js';
import { KeptAcceptFilter } from '../../../src/runtime/kept-accept-filter.js';
import { LOOK_MS } from '../../../src/runtime/looks.js';
import { HandClock } from '../../unit/hand-clock.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

/** Programs start slowly in the VM (test/vm/network.test.ts). */
t.setTimeout(300_000);

const CLIENT = `accept-filter-${process.pid}`;

function nft(...args: string[]): string {
  const { stdout, stderr } = spawnSync('nft', args, { encoding: 'utf8' });
  return stdout + stderr;
}

/** Whether the client gets an answer from `address`, its neighbour entry forgotten before. */
function answers(address: string): boolean {
  ip(`-n ${CLIENT} neigh flush dev c0`);
  const args = ['netns', 'exec', CLIENT, 'ping', '-n', '-c1', '-W1', address];
  return spawnSync('ip', args).status === 0;
}

function neighbour(address: string): string {
  return ip(`-n ${CLIENT} neigh show ${address} dev c0`);
}

await runInNamespace(import.meta.url, async () => {
  if (spawnSync('nft', ['--version']).error !== undefined) {
    t.plan(0, 'nft(8) is not here');
    return;
  }
  ip(`netns add ${CLIENT}`);
  t.teardown(() => ip(`netns del ${CLIENT}`));
  ip(`link add d0 type veth peer name c0 netns ${CLIENT}`);
  ip('link set d0 up');
  ip(`-n ${CLIENT} link set c0 up`);
  for (const address of ['10.1.1.5/24', '10.1.1.7/24']) ip(`addr add ${address} dev d0`);
  for (const address of ['fd01::5/64', 'fd01::7/64']) ip(`addr add ${address} dev d0 nodad`);
  ip(`-n ${CLIENT} addr add 10.1.1.99/24 dev c0`);
  ip(`-n ${CLIENT} addr add fd01::99/64 dev c0 nodad`);
  const mac = / link\/ether (\S+)/.exec(ip('link show dev d0'))?.[1] ?? 'none';
  const filter = openAcceptFilter();
  const vips = ['10.1.1.7', 'fd01::7'];

  await t.test('packets to the addresses are dropped, others not, neighbours are told', async (t) => {
    t.ok(answers('10.1.1.7') && answers('fd01::7'), 'before');
    await filter.drop(vips);
    for (const vip of vips) {
      t.notOk(answers(vip), `${vip} does not answer`);
      t.match(neighbour(vip), `lladdr ${mac}`, 'but is found on the link');
    }
    t.ok(answers('10.1.1.5'));
    t.ok(answers('fd01::5'));
  });

  await t.test(
    'a neighbour that asks the address itself, whether it is still there, is answered',
    async (t) => {
      for (const vip of vips) {
        // Neighbour unreachability detection: solicitations to the address and not to a group (RFC 4861 section 7.3.3).
        ip(`-n ${CLIENT} neigh replace ${vip} lladdr ${mac} dev c0 nud probe`);
        await eventually(`${vip} is confirmed`, () => /REACHABLE|FAILED/.test(neighbour(vip)));
        t.match(neighbour(vip), 'REACHABLE');
      }
    },
  );

  await t.test('a new list takes the place of the old one', async (t) => {
    await filter.drop(['10.1.1.5']);
    t.ok(answers('10.1.1.7'));
    t.ok(answers('fd01::7'));
    t.notOk(answers('10.1.1.5'));
  });

  await t.test('calls without waiting: the last one counts', async (t) => {
    await Promise.all([filter.drop(['10.1.1.5']), filter.drop([]), filter.drop(vips)]);
    t.notMatch(nft('list', 'table', 'inet', 'lvs_director'), '10.1.1.5');
    t.match(nft('list', 'table', 'inet', 'lvs_director'), '10.1.1.7');
  });

  await t.test('no address: no table, and those of others stay', async (t) => {
    nft('add', 'table', 'inet', 'somebody');
    await filter.drop([]);
    t.equal(nft('list', 'tables').trim(), 'table inet somebody');
    t.ok(answers('10.1.1.7'));
    await filter.drop([]);
    t.equal(nft('list', 'tables').trim(), 'table inet somebody', 'again, nothing to do');
  });

  await t.test('somebody flushes all rules: it comes back, until it is not wanted any more', async (t) => {
    const clock = new HandClock();
    const said: string[] = [];
    const say = (_fields: object, words: string) => void said.push(words);
    const log = { debug: () => {}, info: () => {}, warn: say, error: say };
    const { table, set } = ACCEPT_FILTER_SET;
    const find = () => openNftSets().find(table, set);
    const kept = new KeptAcceptFilter({ filter, find, clock, log });
    await kept.drop(vips);
    await clock.advance(LOOK_MS);
    t.same(said, [], 'it is there');
    nft('flush', 'ruleset');
    t.ok(answers('10.1.1.7'));
    await clock.advance(LOOK_MS);
    await kept.drop(vips);
    t.match(said, [/somebody removed the filter/]);
    t.notOk(answers('10.1.1.7'));
    t.notOk(answers('fd01::7'));
    await kept.drop([]);
    await clock.advance(10 * LOOK_MS);
    t.equal(nft('list', 'tables'), '');
  });

  await t.test('a thousand addresses', async (t) => {
    const many = Array.from({ length: 1_000 }, (_, index) => `10.3.${index >> 8}.${index & 255}`);
    await filter.drop([...many, ...many]);
    t.match(nft('list', 'set', 'inet', 'lvs_director', 'ipv4'), '10.3.3.231');
    await filter.drop([]);
  });

  await t.test('what can go wrong', async (t) => {
    await t.rejects(openAcceptFilter('no-such-nft').drop(vips), {
      code: 'ERR_NO_NFT',
      message: 'accept_mode: false needs the nft program (package nftables)',
    });
    await t.resolves(openAcceptFilter('no-such-nft').drop([]), 'nothing to remove without nft');
    await t.rejects(openAcceptFilter('false').drop(vips), { code: 'ERR_NFT' });
    t.throws(() => acceptFilterRuleset(['10.1.1.7 } ; flush ruleset']), RangeError);
    await t.rejects(filter.drop(['10.1.1.7; flush ruleset']), RangeError);
    await t.resolves(filter.drop(vips), 'and goes on');
    await filter.drop([]);
  });
});
