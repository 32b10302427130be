/** Every kind of rule is one that nft and this kernel take, and what is listed again is the same. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { openNft } from '../../../src/io/host/nft.js';
import {
  SOURCE_NAT_REMOVAL,
  SOURCE_NAT_TABLE,
  sourceNatChain,
  sourceNatRuleset,
} from '../../../src/planning/source-nat.js';
import { onPort, realServer, virtualServer } from '../../unit/config/servers.js';
import { runInNamespace } from '../namespace.js';

t.setTimeout(300_000);

const real = (address: string, port = 80) => realServer(address, { port, forwarding: 'fullnat' });
const WEB = virtualServer({ realServers: [real('10.0.0.2'), real('10.0.0.3', 8000)] });
const V6 = virtualServer({
  service: { protocol: 'udp', address: '2001:db8::1', port: 53 },
  realServers: [real('fd00::2', 53)],
});
const SERVERS = [
  WEB,
  { ...WEB, snatAddress: '10.0.0.1', service: { protocol: 'sctp' as const, address: '192.0.2.51', port: 9 } },
  V6,
  { ...V6, snatAddress: 'fd00::1' },
  { ...WEB, service: { fwmark: 7, family: 'ipv4' as const }, realServers: [real('10.0.0.2', 0)] },
  { ...V6, service: { fwmark: 8, family: 'ipv6' as const }, realServers: [real('fd00::2', 0)] },
  onPort({ ...WEB, realServers: [real('10.0.0.2', 0)] }, 0),
];
const MASQUERADES = [
  { source: '10.10.10.0/24', interface: 'eth0', snatAddress: undefined },
  { source: 'fd00::/64', interface: 'eth0.100', snatAddress: '2001:db8::1' },
];

await runInNamespace(import.meta.url, async () => {
  if (spawnSync('nft', ['--version']).error !== undefined) {
    t.plan(0, 'nft(8) is not here');
    return;
  }
  const nft = openNft('this test');
  const list = () => nft.list(SOURCE_NAT_TABLE);
  t.equal(await list(), undefined);
  const ruleset = sourceNatRuleset({ virtualServers: SERVERS, masquerades: MASQUERADES }) ?? '';
  await nft.set(ruleset);
  const listed = await list();
  t.equal(listed?.match(/ (masquerade|snat ip6? to \S+)$/gm)?.length, SERVERS.length + MASQUERADES.length);
  t.equal(sourceNatChain(listed), sourceNatChain(ruleset), 'known by its chain');
  await nft.set(ruleset);
  t.equal(await list(), listed, 'the same again, by the same words');
  await nft.set(sourceNatRuleset({ virtualServers: [WEB], masquerades: [] }) ?? '');
  t.not(await list(), listed);
  await nft.set(SOURCE_NAT_REMOVAL);
  await nft.set(SOURCE_NAT_REMOVAL);
  t.equal(await list(), undefined, 'gone, and once more is no fault');
  await t.rejects(nft.set('nonsense'), { code: 'ERR_NFT', message: /what this test needs: .*syntax error/ });
  await t.rejects(openNft('this test', 'no-such-nft').set(''), { code: 'ERR_NO_NFT' });
});
