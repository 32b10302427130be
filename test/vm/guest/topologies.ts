/**
 * Runs inside the VM: one director of each topology with its very file of `config/`, from start to SIGTERM, and what
 * `ipvsadm`, `ip` and `sysctl` say of the kernel meanwhile. Prints one JSON object, which
 * test/vm/topologies.long.test.ts judges.
 *
 * Usage: topologies.js OUT_DIR (takes the directors' logs)
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientResults } from '../../../src/drill/client/client-protocol.js';
import type { Exit } from '../../../src/drill/lab/process.js';
import {
  TOPOLOGIES,
  TOPOLOGY_NAMES,
  type Topology,
  type TopologyName,
} from '../../../src/drill/lab/topology.js';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { waitFor } from '../../../src/drill/wait.js';
import { HOST, type Port21, Site, SOON, type View } from './site.js';

/** The director is killed with connections open, comes back, and is reloaded with one weight changed. */
export interface Comeback {
  /** `ipvsadm -Ln` while the connections are open. */
  readonly open: string;
  readonly killed: View;
  /** `ipvsadm -Ln` before the second start, with the foreign service. */
  readonly abandoned: string;
  readonly adopted: View & { readonly plan: string };
  /** Tables seen from before the second start until it was ready, without counters. */
  readonly adoptionStates: readonly string[];
  /** Changes of the table by the director's own log, from its second start until it was ready. */
  readonly adoptionChanges: readonly string[];
  readonly afterAdoption: ClientResults['verify']['connections'];
  /** The services process is killed; the VRRP process goes on. */
  readonly crash: {
    readonly states: readonly string[];
    readonly changes: readonly string[];
    readonly view: View;
    readonly becameMaster: readonly (number | undefined)[];
    readonly connections: ClientResults['verify']['connections'];
  };
  /** `director plan` with the changed file, before SIGHUP. */
  readonly reloadPlan: string;
  readonly reloadStates: readonly string[];
  readonly reloadChanges: readonly string[];
  readonly reloaded: { readonly table: string; readonly plan: string };
  readonly afterReload: ClientResults['verify']['connections'];
}
export interface TopologyReport {
  readonly before: View;
  readonly running: View;
  readonly list: string;
  readonly plan: string;
  readonly spread: ClientResults['spread'];
  /** The greeting on port 21 through the VIP and the connection in `ipvsadm -Lnc`; null without that port. */
  readonly port21: Port21 | null;
  readonly comeback: Comeback | null;
  readonly exit: Exit | undefined;
  readonly after: View;
}
export type TopologiesReport = Readonly<Record<TopologyName, TopologyReport>>;

const CONFIG = join(projectFolder(), 'config');

const [outDir = '.'] = process.argv.slice(2);

/** SIGKILL of the services process, until another one does its work. */
async function servicesCrash(site: Site): Promise<Comeback['crash']> {
  const first = site.changes.length;
  const states = await site.statesDuring(async () => {
    const pid = (await site.director.status())?.services.pid;
    if (typeof pid !== 'number') throw new Error('there is no services process');
    process.kill(pid, 'SIGKILL');
    await waitFor(
      'the services are back',
      async () => {
        const services = (await site.director.status())?.services;
        const back = services?.restarts === 1 && services.state === 'running';
        return back ? undefined : JSON.stringify(services);
      },
      SOON,
    );
    await site.ready();
  });
  const instances = (await site.director.status())?.instances ?? [];
  return {
    states,
    changes: site.changes.slice(first),
    view: await site.view(),
    becameMaster: instances.map(({ counters }) => counters['became_master']),
    connections: await site.verify(),
  };
}

/** SIGKILL and a second start, then SIGHUP with another weight for 10.10.10.3. */
async function comeback(site: Site): Promise<Comeback> {
  const { vip, port } = site.topology;
  await site.client.send({ command: 'open', address: vip, port, count: 2 });
  const open = await site.on('ipvsadm', '-Ln');
  site.director.signal('SIGKILL');
  await waitFor(
    'the guardian withdraws the addresses',
    async () => ((await site.on('ip', '-o', 'addr')).includes(vip) ? `${vip} is there` : undefined),
    SOON,
  );
  const killed = await site.view();
  await site.on('ipvsadm', '-A', '-t', '192.0.2.99:99', '-s', 'rr');
  const abandoned = await site.on('ipvsadm', '-Ln');
  const beforeAdoption = site.changes.length;
  const adoptionStates = await site.statesDuring(async () => {
    await site.director.start();
    await site.ready();
  });
  const adopted = { ...(await site.view()), plan: await site.plan() };
  const adoptionChanges = site.changes.slice(beforeAdoption);
  const afterAdoption = await site.verify();
  const crash = await servicesCrash(site);

  const text = readFileSync(site.configFile, 'utf8');
  writeFileSync(
    site.configFile,
    text.replace('10.10.10.3, port: 80, weight: 1', '10.10.10.3, port: 80, weight: 3'),
  );
  const reloadPlan = await site.plan();
  const beforeReload = site.changes.length;
  const reloadStates = await site.statesDuring(async () => {
    site.director.signal('SIGHUP');
    await waitFor(
      'the reload',
      async () => {
        const weights = (await site.director.status())?.virtual_servers.flatMap((server) =>
          server.real_servers.map((real) => real.weight),
        );
        const inKernel = / 3 +\d+ +\d+ *$/m.test(await site.lab.procNet(HOST, 'ip_vs'));
        return weights?.includes(3) === true && inKernel ? undefined : `weights ${weights?.join(', ')}`;
      },
      SOON,
    );
  });
  const reloaded = {
    plan: await site.plan(),
    table: await site.on('ipvsadm', '-Ln'),
  };
  const reloadChanges = site.changes.slice(beforeReload);
  const afterReload = await site.verify();
  return {
    open,
    killed,
    abandoned,
    adopted,
    adoptionStates,
    adoptionChanges,
    afterAdoption,
    crash,
    reloadPlan,
    reloadStates,
    reloadChanges,
    reloaded,
    afterReload,
  };
}

async function inspect(site: Site): Promise<TopologyReport> {
  // The other labs' start may have kept the machine busy enough to fail a check.
  await site.ready();
  const running = await site.view();
  const [list, plan] = await Promise.all([site.list(), site.plan()]);
  const spread = await site.spread();
  const hasPort21 = site.topology.hosts.some((host) => host.tcpPorts?.includes(21));
  const port21 = hasPort21 ? await site.port21() : null;
  const back = site.topology.name === 'nat' ? await comeback(site) : null;
  const exit = await site.stop();
  const { before } = site;
  return { before, running, list, plan, spread, port21, comeback: back, exit, after: await site.view() };
}

async function main(): Promise<void> {
  const workDir = mkdtempSync(join(tmpdir(), 'topologies-'));
  const sites = TOPOLOGY_NAMES.map((name) => {
    const topology = TOPOLOGIES[name];
    const original = join(CONFIG, topology.configFile);
    // The reload of this one needs a file that can be changed; it starts as a copy, byte for byte.
    if (name !== 'nat') return new Site(topology, original, workDir, outDir);
    const copy = join(workDir, topology.configFile);
    writeFileSync(copy, readFileSync(original));
    return new Site(topology, copy, workDir, outDir);
  });
  const started = performance.now();
  const say = (what: string): void => {
    process.stderr.write(`${Math.round((performance.now() - started) / 1000)} s: ${what}\n`);
  };
  await Promise.all(sites.map((site) => site.open()));
  say('all labs are up');
  const reports = new Map<Topology['name'], TopologyReport>();
  // One after the other: each start of Node takes seconds under emulation, and what is judged has a second for a check.
  for (const site of sites) {
    const { name } = site.topology;
    reports.set(name, await inspect(site));
    say(`${name} is done`);
  }
  await Promise.all(sites.map((site) => site.close()));
  rmSync(workDir, { recursive: true, force: true });
  process.stdout.write(`${JSON.stringify(Object.fromEntries(reports))}\n`);
}

await main();
