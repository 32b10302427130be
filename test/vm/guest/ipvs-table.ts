/**
 * Runs inside the VM: drives the real kernel through the IPVS client and puts `ipvsadm` beside it.
 * Prints one JSON object, which test/vm/ipvs.test.ts judges.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCHEDULERS } from '../../../src/config/model-servers.js';
import { parseConfig } from '../../../src/config/parse.js';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { ipvsModules } from '../../../src/io/host/ipvs-modules.js';
import { openIpvs } from '../../../src/io/netlink/ipvs.js';
import { formatDaemons, formatTable, inOrder } from '../../../src/ipvs/format.js';
import { formatCounted } from '../../../src/ipvs/format-columns.js';
import type {
  Destination,
  DestinationTunnel,
  ForwardingMethod,
  Service,
  ServiceKey,
} from '../../../src/ipvs/model.js';
import { describeOp, EVERY_KEY, plan, serviceKeyText } from '../../../src/ipvs/plan.js';
import { wholeServices } from '../../../src/planning/desired.js';
import type { Ipvs } from '../../../src/runtime/services/services-ports.js';
import { ipvsadmRows } from '../ipvsadm-rows.js';

/** One state of the table: ours and theirs must be equal, and nothing may be left to do. */
export interface ComparedTable {
  readonly name: string;
  readonly ops: number;
  readonly errors: readonly string[];
  /** Ops that a second plan still wants. */
  readonly leftToDo: readonly string[];
  readonly ours: string;
  readonly theirs: string;
  /** The same with `--rate`. */
  readonly ourRates: string;
  readonly theirRates: string;
  /** The same with `--tun-info`. */
  readonly ourTunnels: string;
  readonly theirTunnels: string;
}
/** A row of docs/IPVS.md. */
export interface ConformanceRow {
  readonly option: string;
  readonly expected: string;
  /** A scheduler that this kernel does not have. */
  readonly lacking: string | undefined;
  readonly errors: readonly string[];
  readonly leftToDo: readonly string[];
  /** What `ipvsadm -Sn` prints, or `ipvsadm -Ln --thresholds` where a line of it is expected; with single blanks. */
  readonly printed: string;
}
export interface IpvsTableReport {
  readonly kernel: string;
  readonly rows: readonly ConformanceRow[];
  readonly tables: readonly ComparedTable[];
  readonly errors: Readonly<Record<string, string>>;
  /** `ipvsadm -Ln --daemon`. */
  readonly daemons: { readonly ours: string; readonly theirs: string };
  readonly afterStop: readonly string[];
}

type Opened = Awaited<ReturnType<typeof openIpvs>>;

/** Of schedulers. */
const MODULES = ipvsModules();
const isHere = (scheduler: string): boolean => MODULES?.has(scheduler) === true;

const PERSISTENT = 0x1;
const ONE_PACKET = 0x4;
const SCHED1 = 0x8;
const SCHED2 = 0x10;

const ipvsadm = (...args: readonly string[]): string => execFileSync('ipvsadm', args, { encoding: 'utf8' });

function destination(address: string, port: number, over: Partial<Destination> = {}): Destination {
  return { address, port, forwarding: 'masq', weight: 1, upperThreshold: 0, lowerThreshold: 0, ...over };
}

function tunnelled(address: string, tunnel: DestinationTunnel): Destination {
  return destination(address, 80, { forwarding: 'tunnel', tunnel });
}

function service(
  key: ServiceKey,
  destinations: readonly Destination[],
  over: Partial<Service> = {},
): Service {
  const netmask = key.family === 'ipv6' ? '128' : '255.255.255.255';
  return { key, scheduler: 'rr', flags: 0, timeoutSeconds: 0, netmask, ...over, destinations };
}

const inet = (protocol: number, address: string, port: number): ServiceKey => ({
  family: 'ipv4',
  protocol,
  address,
  port,
});

/** Every scheduler with every forwarding method and each kind of persistence. */
function combinations(): Service[] {
  const methods: readonly ForwardingMethod[] = ['masq', 'droute', 'tunnel'];
  const persistences: readonly Partial<Service>[] = [
    {},
    { flags: PERSISTENT, timeoutSeconds: 300 },
    { flags: PERSISTENT, timeoutSeconds: 60, netmask: '255.255.255.0' },
  ];
  let port = 8000;
  return SCHEDULERS.filter(isHere).flatMap((scheduler) =>
    methods.flatMap((forwarding) =>
      persistences.map((persistence) => {
        port += 1;
        const servers = [2, 3].map((host) =>
          destination(`10.10.10.${host}`, port, { forwarding, weight: host }),
        );
        return service(inet(6, '192.168.1.253', port), servers, { scheduler, ...persistence });
      }),
    ),
  );
}

/** Protocols, IPv6, firewall marks, flags, and what sorts in an odd way. */
function assortment(): Service[] {
  const v6: ServiceKey = { family: 'ipv6', protocol: 6, address: '2001:db8::80', port: 80 };
  const both = [destination('10.10.10.3', 80), destination('10.10.10.2', 8000, { weight: 0 })];
  const addresses = ['10.0.0.1', '192.0.2.1', '172.16.0.1', '127.0.0.9', '223.255.255.1', '100.64.0.1'];
  return [
    ...addresses.map((address) => service(inet(6, address, 80), both)),
    service(
      inet(6, '192.0.2.1', 443),
      addresses.map((address) => destination(address, 443)),
    ),
    service(inet(17, '192.0.2.1', 53), [destination('10.10.10.2', 53)], { flags: ONE_PACKET }),
    service(inet(132, '192.0.2.1', 9), [destination('10.10.10.2', 9)]),
    service(inet(6, '192.0.2.7', 80), [
      destination('10.10.10.2', 80, { forwarding: 'tunnel' }),
      tunnelled('10.10.10.3', { type: 'gue', port: 6080, checksum: 'none' }),
      tunnelled('10.10.10.4', { type: 'gue', port: 65_535, checksum: 'remcsum' }),
      tunnelled('10.10.10.5', { type: 'gre', port: 0, checksum: 'csum' }),
    ]),
    service(inet(6, '192.0.2.2', 80), both, { scheduler: 'sh', flags: SCHED1 | SCHED2 }),
    service(inet(6, '192.0.2.3', 80), both, { scheduler: 'mh', flags: SCHED1 }),
    service(inet(6, '192.0.2.4', 80), both, {
      scheduler: 'wlc',
      flags: SCHED2 | PERSISTENT,
      timeoutSeconds: 90,
    }),
    service(inet(6, '192.0.2.5', 80), [
      destination('10.10.10.2', 80, { upperThreshold: 100, lowerThreshold: 50 }),
    ]),
    // A destination on an address of this host.
    service(inet(6, '192.0.2.6', 80), [
      destination('127.0.0.1', 80),
      destination('127.0.0.2', 80, { forwarding: 'droute' }),
    ]),
    service(v6, [destination('2001:db8::2', 80, { forwarding: 'droute' })], {
      flags: PERSISTENT,
      timeoutSeconds: 120,
      netmask: '64',
    }),
    service({ family: 'ipv6', fwmark: 4 }, [destination('2001:db8::3', 0)]),
    service({ family: 'ipv4', fwmark: 3 }, [destination('10.10.10.2', 0)], {
      flags: PERSISTENT,
      timeoutSeconds: 10,
    }),
  ];
}

/** The same services, every other one changed in all that can be edited, with destinations come and gone. */
function edited(services: readonly Service[]): Service[] {
  return services.map((one, index) => {
    if (index % 2 === 0) return one;
    const [first] = one.destinations;
    const kept =
      first === undefined ? [] : [{ ...first, weight: first.weight + 5, forwarding: 'masq' as const }];
    const added = one.key.family === 'ipv6' ? destination('2001:db8::9', 81) : destination('10.10.10.9', 81);
    const persistent = (one.flags & PERSISTENT) !== 0;
    return {
      ...one,
      scheduler: one.scheduler === 'wrr' ? 'lc' : 'wrr',
      flags: persistent ? 0 : PERSISTENT,
      timeoutSeconds: persistent ? 0 : 30,
      destinations: [...kept, added],
    };
  });
}

async function reconcile(ipvs: Opened, name: string, desired: readonly Service[]): Promise<ComparedTable> {
  const before = await ipvs.dump();
  const ownedKeys = new Set(
    before.map(({ key }) => serviceKeyText(key)).filter((text) => !text.includes('198.51.100.')),
  );
  const ops = plan(desired, before, { ownedKeys, prune: true });
  const results = await ipvs.apply(ops);
  const after = await ipvs.dump();
  return {
    name,
    ops: ops.length,
    errors: results.flatMap(({ error }) => (error === undefined ? [] : [error.message])),
    leftToDo: plan(desired, after, { ownedKeys, prune: true }).map(describeOp),
    ours: formatTable(inOrder(after), await ipvs.info()),
    theirs: ipvsadm('-Ln'),
    ourRates: formatCounted(inOrder(await ipvs.read()), await ipvs.info(), 'rate', false),
    theirRates: ipvsadm('-Ln', '--rate'),
    ourTunnels: formatTable(inOrder(after), await ipvs.info(), true),
    theirTunnels: ipvsadm('-Ln', '--tun-info'),
  };
}

/** The same table once more, made by the command lines that `describeOp` names. */
async function byCommandLines(
  ipvs: Opened,
  name: string,
  desired: readonly Service[],
): Promise<ComparedTable> {
  ipvsadm('-C');
  const ops = plan(desired, [], { ownedKeys: new Set(), prune: true });
  const errors = ops.map(describeOp).flatMap((line) => {
    const [command = '', ...args] = line.split(' ');
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    return status === 0 ? [] : [`${line}: ${stderr}`];
  });
  const after = await ipvs.dump();
  return {
    name,
    ops: ops.length,
    errors,
    leftToDo: plan(desired, after, { ownedKeys: new Set(), prune: true }).map(describeOp),
    ours: formatTable(inOrder(after), await ipvs.info()),
    theirs: ipvsadm('-Ln'),
    ourRates: formatCounted(inOrder(await ipvs.read()), await ipvs.info(), 'rate', false),
    theirRates: ipvsadm('-Ln', '--rate'),
    ourTunnels: formatTable(inOrder(after), await ipvs.info(), true),
    theirTunnels: ipvsadm('-Ln', '--tun-info'),
  };
}

/** Each row as a director programs it. */
async function conformance(ipvs: Ipvs): Promise<ConformanceRow[]> {
  const table = readFileSync(join(projectFolder(), 'docs', 'IPVS.md'), 'utf8');
  const rows: ConformanceRow[] = [];
  ipvsadm('-C');
  for (const { option, config, printed: expected } of ipvsadmRows(table)) {
    await ipvs.apply(plan([], await ipvs.dump(), { ownedKeys: EVERY_KEY, prune: true }));
    const parsed = parseConfig(config, { name: 'lb1' });
    if (!parsed.ok) throw new Error(`${option}: ${parsed.faults.map(({ message }) => message).join('; ')}`);
    const desired = wholeServices(parsed.config.virtualServers);
    const none = { ownedKeys: new Set<string>(), prune: true };
    const results = await ipvs.apply(plan(desired, [], none));
    rows.push({
      option,
      expected,
      lacking: desired.map(({ scheduler }) => scheduler).find((scheduler) => !isHere(scheduler)),
      errors: results.flatMap(({ error }) => error?.message ?? []),
      leftToDo: plan(desired, await ipvs.dump(), none).map(describeOp),
      printed: (expected.startsWith('->') ? ipvsadm('-Ln', '--thresholds') : ipvsadm('-Sn')).replaceAll(
        / +/g,
        ' ',
      ),
    });
  }
  ipvsadm('-C');
  return rows;
}

async function daemons(ipvs: Ipvs): Promise<Pick<IpvsTableReport, 'daemons' | 'afterStop'>> {
  spawnSync('ip', ['link', 'add', 'sync0', 'type', 'dummy']);
  spawnSync('ip', ['addr', 'add', '10.99.0.1/24', 'dev', 'sync0']);
  spawnSync('ip', ['link', 'set', 'sync0', 'up', 'multicast', 'on']);
  for (const state of ['master', 'backup'] as const) {
    await ipvs.startSyncDaemon({ state, interface: 'sync0', syncid: 51 });
    await ipvs.startSyncDaemon({ state, interface: 'sync0', syncid: 51 });
  }
  const ours = formatDaemons(await ipvs.syncDaemons());
  const theirs = ipvsadm('-Ln', '--daemon');
  for (const state of ['master', 'backup'] as const) {
    await ipvs.stopSyncDaemon(state, 51, 'sync0');
    await ipvs.stopSyncDaemon(state, 51, 'sync0');
  }
  return { daemons: { ours, theirs }, afterStop: (await ipvs.syncDaemons()).map(({ state }) => state) };
}

/** What the kernel says to ops that make no sense, in our words. */
async function refusals(ipvs: Ipvs): Promise<Record<string, string>> {
  const key = inet(6, '192.0.2.77', 80);
  const results = await ipvs.apply([
    { op: 'add-service', service: service(key, [], { scheduler: 'nonesuch' }) },
    { op: 'add-destination', key, destination: destination('10.0.0.1', 80) },
    { op: 'edit-destination', key, destination: destination('10.0.0.1', 80) },
    { op: 'delete-service', key },
    { op: 'delete-destination', key, destination: destination('10.0.0.1', 80) },
  ]);
  return Object.fromEntries(results.map(({ op, error }) => [op.op, error?.message ?? 'done']));
}

async function main(): Promise<void> {
  const ipvs = await openIpvs();
  ipvsadm('-C');
  ipvsadm('-A', '-t', '198.51.100.1:80', '-s', 'rr');
  ipvsadm('-a', '-t', '198.51.100.1:80', '-r', '10.0.0.1:80', '-m');
  const tables: ComparedTable[] = [];
  tables.push(await reconcile(ipvs, 'combinations', combinations()));
  tables.push(await reconcile(ipvs, 'combinations, edited', edited(combinations())));
  tables.push(await reconcile(ipvs, 'combinations gone, assortment in', assortment()));
  tables.push(await reconcile(ipvs, 'assortment, edited', edited(assortment())));
  tables.push(await reconcile(ipvs, 'all deleted', []));
  tables.push(await byCommandLines(ipvs, 'assortment by command lines', assortment()));
  ipvsadm('-C');
  const rows = await conformance(ipvs);
  const errors = await refusals(ipvs);
  const report: IpvsTableReport = {
    kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(),
    rows,
    tables,
    errors,
    ...(await daemons(ipvs)),
  };
  ipvs.close();
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

await main();
