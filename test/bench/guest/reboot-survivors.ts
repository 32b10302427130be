/**
 * Runs inside the VM: a pair in LVS-NAT whose master loses its power, boots with nothing in its kernel and takes its role back.
 * Tells as a line of JSON how many of the client's connections were answered in the end; test/bench/reboot.ts prints it.
 *
 * Usage: reboot-survivors.js ours|keepalived CONNECTIONS_OF_EACH_USE
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientControl } from '../../../src/drill/client/client-control.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import { startRealServer } from '../../../src/drill/lab/server-control.js';
import { TOPOLOGIES } from '../../../src/drill/lab/topology.js';
import { sleep, waitFor } from '../../../src/drill/wait.js';
import { MAIN } from '../../program.js';
import type { Contender } from '../support/contenders.js';

export interface Survivors {
  readonly who: Contender;
  readonly opened: number;
  /** Answered when the other one had taken over, and when the role was back. */
  readonly tookOver: number;
  readonly survived: number;
  /** From the boot until it held the virtual address again. */
  readonly returnMs: number;
}

const HOSTS = ['lb1', 'lb2'] as const;
type HostName = (typeof HOSTS)[number];
const PRIORITIES = { lb1: 150, lb2: 100 };
const CONFIG = join(MAIN, '../../../config/nat.yaml');
const { signal } = new AbortController();
/** A start of either under emulation, and our wait for the connection table. */
const LIMIT = { timeoutMs: 240_000, everyMs: 100, signal };
/** The kernel's sync threads have told of all connections. */
const TOLD_MS = 5000;
/** TCP's retransmission backs off while nobody answers. */
const VERIFY_MS = 15_000;

const [who = '', countText = ''] = process.argv.slice(2);
if (who !== 'ours' && who !== 'keepalived') throw new RangeError(`'${who}' is no contender`);
const topology = TOPOLOGIES.nat;
const folder = await mkdtemp(join(tmpdir(), 'reboot-'));
const lab = new Lab(topology);

/** config/nat.yaml as keepalived has it, without its health check. */
function keepalivedConf(host: HostName): string {
  const instance = (
    name: string,
    device: string,
    id: number,
    address: string,
  ): string => `vrrp_instance ${name} {
  state BACKUP
  interface ${device}
  virtual_router_id ${id}
  priority ${PRIORITIES[host]}
  advert_int 1
  virtual_ipaddress {
    ${address} dev ${device}
  }
}
`;
  const reals = lab.hosts('real-server').map(({ cables }) => {
    const address = cables[0]?.address.split('/')[0];
    return `  real_server ${address} ${topology.port} {\n    weight 1\n  }\n`;
  });
  return `global_defs {
  vrrp_version 3
  lvs_sync_daemon eth1 inside id 51
}
vrrp_sync_group pair {
  group {
    outside
    inside
  }
}
${instance('outside', 'eth0', 51, '192.168.1.253/24')}${instance('inside', 'eth1', 52, '10.10.10.1/24')}
virtual_server ${topology.vip} ${topology.port} {
  lvs_sched rr
  lvs_method NAT
  protocol TCP
${reals.join('')}}
`;
}

async function start(host: HostName): Promise<void> {
  const file = (name: string): string => join(folder, `${host}-${name}`);
  if (who === 'keepalived') {
    await writeFile(file('keepalived.conf'), keepalivedConf(host));
    const ids = ['-p', file('main.pid'), '-r', file('vrrp.pid'), '-c', file('checkers.pid')];
    lab.start(host, ['keepalived', '-n', '-l', '-f', file('keepalived.conf'), ...ids]);
    return;
  }
  const folders = ['--runtime-dir', file('run'), '--state-dir', file('state')];
  await rm(file('run'), { recursive: true, force: true });
  lab.start(host, [process.execPath, MAIN, 'run', '-c', CONFIG, '--director', host, ...folders]);
}

async function lackingRole(host: HostName): Promise<string | undefined> {
  const text = await lab.run(host, ['ip', '-4', 'addr']);
  return text.includes(` ${topology.vip}/`) ? undefined : `${host} does not hold ${topology.vip}`;
}

async function lackingTable(host: HostName): Promise<string | undefined> {
  const lines = (await lab.procNet(host, 'ip_vs')).split('\n').filter((line) => line.startsWith('  ->'));
  const wanted = lab.hosts('real-server').length + 1;
  return lines.length >= wanted ? undefined : `${host} has ${lines.length - 1} real servers`;
}

async function answered(client: ClientControl): Promise<number> {
  const { connections } = await client.send({ command: 'verify', timeoutMs: VERIFY_MS, only: null });
  return connections.filter((one) => one.survived).length;
}

try {
  await lab.build();
  const client = new ClientControl(lab, 'client');
  await Promise.all([
    client.ready(),
    ...lab.hosts('real-server').map((host) => startRealServer(lab, host)),
    ...HOSTS.map(start),
  ]);
  await waitFor('the pair', () => lackingRole('lb1'), LIMIT);
  for (const host of HOSTS) await waitFor('its table', () => lackingTable(host), LIMIT);
  await sleep(TOLD_MS, signal);
  const { vip: address, port } = topology;
  const { opened } = await client.send({ command: 'open', address, port, count: Number(countText) });
  await sleep(TOLD_MS, signal);
  await lab.switchOff('lb1');
  await waitFor('the takeover', () => lackingRole('lb2'), LIMIT);
  await sleep(TOLD_MS, signal);
  const tookOver = await answered(client);
  await lab.switchOn('lb1');
  const bootedMs = performance.now();
  await start('lb1');
  await waitFor('the return', () => lackingRole('lb1'), LIMIT);
  const returnMs = performance.now() - bootedMs;
  await sleep(TOLD_MS, signal);
  const survived = await answered(client);
  process.stdout.write(`${JSON.stringify({ who, opened: opened.length, tookOver, survived, returnMs })}\n`);
} finally {
  await lab.destroy();
  await rm(folder, { recursive: true, force: true });
}
