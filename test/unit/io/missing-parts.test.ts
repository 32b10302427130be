import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { ipvsModules } from '../../../src/io/host/ipvs-modules.js';
import { findProgram } from '../../../src/io/host/programs.js';
import { missingNft, missingSchedulers } from '../../../src/io/operator/missing-parts.js';

const DEP = `kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/net/netfilter/nf_conntrack.ko.xz
kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz
kernel/net/netfilter/ipvs/ip_vs_pe_sip.ko: kernel/net/netfilter/ipvs/ip_vs.ko
kernel/net/netfilter/xt_ipvs.ko: kernel/net/netfilter/ipvs/ip_vs_mh.ko
`;

function modules(t: Test, files: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), 'modules-test-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, '6.1.0-test'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, '6.1.0-test', name), text);
  return ipvsModules('6.1.0-test', root);
}

await t.test('modules that can be loaded, packed or not, and those that are built in', async (t) => {
  const known = modules(t, {
    'modules.dep': DEP,
    'modules.builtin': 'kernel/net/netfilter/ipvs/ip_vs_wlc.ko\n',
  });
  const found = ['rr', 'wlc', 'pe_sip', 'mh', 'twos'].filter((name) => known?.has(name));
  t.same(found, ['rr', 'wlc', 'pe_sip']);
});

await t.test('where nothing is known of IPVS nothing is said', async (t) => {
  t.equal(modules(t, {}), undefined);
  t.equal(modules(t, { 'modules.dep': 'kernel/net/netfilter/ipvs/ip_vs_rr.ko:\n' }), undefined);
});

await t.test('a scheduler and an engine that the kernel lacks are told once, at their place', async (t) => {
  const servers = [
    {
      name: 'a',
      address: '192.0.2.1',
      ports: [80, 81],
      scheduler: 'twos',
      forwarding: 'nat',
      real_servers: [{ address: '10.0.0.9' }],
    },
    {
      name: 'b',
      address: '192.0.2.2',
      port: 80,
      scheduler: 'rr',
      forwarding: 'nat',
      real_servers: [{ address: '10.0.0.9' }],
    },
    {
      name: 'c',
      address: '192.0.2.3',
      port: 5060,
      protocol: 'udp',
      scheduler: 'rr',
      forwarding: 'nat',
      persistence: { engine: 'sip' },
      real_servers: [{ address: '10.0.0.9' }],
    },
  ];
  const file = { version: 1, directors: { lb1: { address: '10.0.0.1' } }, virtual_servers: servers };
  const parsed = parseConfig(JSON.stringify(file), { name: 'lb1' });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  const { virtualServers } = parsed.config;
  const all = { release: '6.1.0-test', has: () => true };
  t.same(missingSchedulers(virtualServers, all), []);
  t.same(missingSchedulers(virtualServers, undefined), []);
  const told = missingSchedulers(virtualServers, { ...all, has: (module) => module === 'rr' });
  t.same(
    told.map(({ path }) => path),
    [
      ['virtual_servers', 0, 'scheduler'],
      ['virtual_servers', 2, 'persistence', 'engine'],
    ],
  );
  t.match(
    told[0]?.message,
    /6\.1\.0-test has no scheduler 'twos' \(module ip_vs_twos\): .* cannot be programmed/,
  );
  t.match(told[1]?.message, /no persistence engine 'sip' \(module ip_vs_pe_sip\)/);
});

await t.test('what needs nft is told where there is none', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nft-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  t.notOk(findProgram('nft', folder));
  t.notOk(findProgram('nft', ''));
  writeFileSync(join(folder, 'nft'), '', { mode: 0o755 });
  t.ok(findProgram('nft', `/nonexistent:${folder}`));
  const web = { name: 'web', address: '192.0.2.1', ports: [80, 81], real_servers: [{ address: '10.0.0.2' }] };
  const instance = { name: 'outside', interface: 'eth0', virtual_router_id: 51, addresses: ['192.0.2.1/24'] };
  const file = {
    version: 1,
    directors: { lb1: { address: '10.0.0.1' } },
    vrrp: {
      instances: [
        instance,
        { ...instance, name: 'shy', virtual_router_id: 52, accept_mode: false, addresses: ['192.0.2.9/24'] },
      ],
    },
    virtual_servers: [
      { ...web, forwarding: 'nat' },
      { ...web, name: 'full', address: '192.0.2.9', forwarding: 'fullnat' },
    ],
    masquerade: [{ source: '10.0.0.0/24', interface: 'eth0' }],
  };
  const parsed = parseConfig(JSON.stringify(file), { name: 'lb1' });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  t.same(
    missingNft(parsed.config).map(({ path }) => path.join('.')),
    ['vrrp.instances.1.accept_mode', 'virtual_servers.1.forwarding', 'masquerade.0'],
  );
});
