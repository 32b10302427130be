/** The service starts, serves, reloads and stops under each version of Node, with and without protection keys. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { cacheFolder } from '../../src/drill/vm/lab-kernel.js';
import { startVm } from '../../src/drill/vm/session.js';
import { Container, INSTALL, installPackage } from './container.js';
import { noVm } from './no-vm.js';
import { addHost } from './systemd-lab.js';

t.setTimeout(3_600_000);

/** scripts/lib/nodes.mjs fetches these; the third is the one that runs this. */
const OTHERS = ['22', '24'];

/** Alone, with a table and without a real server that answers: what the kernel is told shows that all of it runs. */
const CONFIG = `version: 1
directors: { lb: { priority: 150, address: 10.9.0.11 } }
vrrp:
  instances:
    - { name: outside, interface: eth0, virtual_router_id: 51, addresses: [10.9.0.100/24] }
virtual_servers:
  - name: web
    address: 10.9.0.100
    port: 80
    protocol: tcp
    scheduler: rr
    forwarding: nat
    real_servers: [{ address: 10.9.0.2, port: 80, weight: 1 }]
`;

async function life(t: Test, container: Container, version: string): Promise<void> {
  t.match(await container.out('node --version'), version);
  await container.out(`${INSTALL}; systemctl daemon-reload; systemctl enable --now lvs-director`);
  await container.until(
    "ip -4 addr show dev eth0 | grep -q '10.9.0.100/' && ipvsadm -Ln | grep -q '10.9.0.2:80 .* 1 '",
  );
  t.match(await container.show('StatusText'), /^master of outside/);
  await container.out("sed -i 's/weight: 1 /weight: 5 /' /etc/lvs-director/director.yaml");
  await container.out('systemctl reload lvs-director');
  await container.until("ipvsadm -Ln | grep -q '10.9.0.2:80 .* 5 '");
  await container.out('systemctl stop lvs-director');
  t.equal(await container.show('Result'), 'success');
  t.equal(await container.show('NRestarts'), '0', 'never killed');
  t.equal(await container.out('ip -4 addr show dev eth0 | grep -c 10.9.0.100/ || true'), '0');
}

await t.test('Node and processors', { skip: noVm() }, async (t) => {
  const nodes = OTHERS.map((major) => ({
    version: `v${major}.`,
    binary: join(cacheFolder(), `node-${major}`, 'bin', 'node'),
  })).filter(({ binary }) => t.ok(existsSync(binary), `${binary} is there`));
  nodes.push({ version: process.version, binary: process.execPath });
  const prefix = installPackage();
  t.teardown(() => rmSync(prefix, { recursive: true, force: true }));
  for (const feature of ['pku', '-pku']) {
    await t.test(`processor with ${feature}`, async (t) => {
      const outDir = mkdtempSync(join(tmpdir(), 'systemd-nodes-test-'));
      const vm = await startVm({
        outDir,
        processorFeatures: [feature],
        onProgress: (line) => t.comment(line),
      });
      t.teardown(async () => {
        await vm.stop();
        rmSync(outDir, { recursive: true, force: true });
      });
      const flags = await vm.run(['grep', '-c', '-w', 'pku', '/proc/cpuinfo']);
      t.equal(Number(flags.stdout) > 0, feature === 'pku', 'the processor is what it is to be');
      await Promise.all(
        nodes.map(async ({ version, binary }, index) => {
          const name = `lb-${index}`;
          await addHost(vm, name);
          const link = `ip -n ${name} link add eth0 type dummy; ip -n ${name} addr add 10.9.0.11/24 dev eth0; ip -n ${name} link set eth0 up`;
          await vm.run(['sh', '-c', link]);
          const plan = { name, node: binary, prefix, config: CONFIG.replace('lb:', `${name}:`) };
          await life(t, await Container.boot(vm, plan), version);
        }),
      );
    });
  }
});
