/** The services process's own part: what it does with the kernel, told by a fake of it. */
import t from 'tap';
import type { DirectorConfig } from '../../../src/config/model.js';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import type { DumpedService, IpvsTimeouts, SyncDaemon } from '../../../src/ipvs/model.js';
import { describeOp, serviceKeyText } from '../../../src/ipvs/plan.js';
import { wholeServices } from '../../../src/planning/desired.js';
import type { Override, OverrideOrder } from '../../../src/planning/overrides.js';
import { SOURCE_NAT_REMOVAL } from '../../../src/planning/source-nat.js';
import { loadFailed } from '../../../src/runtime/configuration.js';
import type { Log, StateFile } from '../../../src/runtime/ports.js';
import type { MetricsPorts } from '../../../src/runtime/services/metrics-keeper.js';
import type { MetricsSnapshot } from '../../../src/runtime/services/metrics-snapshot.js';
import { ServicesHost } from '../../../src/runtime/services/services-host.js';
import type { FromServices, Roles, ToServices } from '../../../src/runtime/services/services-messages.js';
import type { Ipvs, ServicesLeftovers } from '../../../src/runtime/services/services-ports.js';
import { oneCheck, onPort, realServer, tcpCheck, virtualServer } from '../config/servers.js';
import { countedService, electionReport } from '../observe/snapshots.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';

const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const WEB = virtualServer({
  vrrpInstance: 'outside',
  realServers: [realServer('10.0.0.2', { forwarding: 'dr' })],
});
const KEY = 'tcp 192.0.2.51:80';
const CONFIG = directorConfig({ instances: [vrrpInstance()], virtualServers: [WEB] });

/** For a configuration without them. */
const NO_METRICS: MetricsPorts = {
  serve: () => Promise.reject(new Error('not asked for')),
  write: () => Promise.reject(new Error('not asked for')),
  openCounters: () => Promise.reject(new Error('not asked for')),
};

interface Kernel {
  services: DumpedService[];
  daemons: SyncDaemon[];
  timeouts: IpvsTimeouts;
  /** All that was done, as ipvsadm would. */
  readonly ops: string[];
  readonly sysctls: Map<string, string>;
  rules?: string | undefined;
  /** Whether /proc/sys cannot be written. */
  sealed: boolean;
}

function kernelWith(services: readonly VirtualServer[]): Kernel {
  return {
    services: wholeServices(services).map((service) => ({
      ...service,
      destinations: service.destinations.map((one) => ({
        ...one,
        activeConnections: 1,
        inactiveConnections: 0,
        persistentConnections: 0,
      })),
    })),
    daemons: [],
    timeouts: { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 },
    ops: [],
    sysctls: new Map(),
    sealed: false,
  };
}

/** Takes additions and removals of whole services; that is all these tests look at. */
function ipvsOf(kernel: Kernel): Ipvs {
  return {
    dump: async () => [...kernel.services],
    destinations: async (key) => [
      ...(kernel.services.find((one) => serviceKeyText(one.key) === serviceKeyText(key))?.destinations ?? []),
    ],
    apply: async (ops) => {
      for (const op of ops) {
        kernel.ops.push(describeOp(op));
        if (op.op === 'add-service') kernel.services.push({ ...op.service, destinations: [] });
        if (op.op === 'delete-service') {
          const gone = serviceKeyText(op.key);
          kernel.services = kernel.services.filter(({ key }) => serviceKeyText(key) !== gone);
        }
      }
      return ops.map((op) => ({ op, error: undefined }));
    },
    syncDaemons: async () => [...kernel.daemons],
    startSyncDaemon: async (daemon) => void kernel.daemons.push(daemon),
    stopSyncDaemon: async (state) => {
      kernel.daemons = kernel.daemons.filter((daemon) => daemon.state !== state);
    },
    timeouts: async () => kernel.timeouts,
    setTimeouts: async (timeouts) => {
      kernel.timeouts = timeouts;
    },
    info: async () => ({ version: '1.2.1', connectionTableSize: 4096 }),
    close: () => {},
  };
}

function memoryFile(first: Partial<ServicesLeftovers>) {
  const file: StateFile<ServicesLeftovers> & { state: ServicesLeftovers | undefined } = {
    state: { ownedServices: [], sysctls: {}, syncDaemons: [], ...first },
    load: async () => file.state ?? { ownedServices: [], sysctls: {}, syncDaemons: [] },
    save: async (state) => {
      file.state = state;
    },
    remove: async () => {
      file.state = undefined;
    },
  };
  return file;
}

/** A services process without a process. */
function host(
  kernel: Kernel,
  left: Partial<ServicesLeftovers>,
  openIpvs?: () => Promise<Ipvs>,
  overrides: readonly Override[] = [],
  metrics = NO_METRICS,
) {
  const answers: FromServices[] = [];
  const stateFile = memoryFile(left);
  const overridesFile = {
    saved: overrides,
    load: async () => ({ overrides: overridesFile.saved }),
    save: async ({ overrides }: { readonly overrides: readonly Override[] }) => {
      overridesFile.saved = overrides;
    },
    remove: async () => {},
  };
  let stopped = false;
  const process = new ServicesHost(
    {
      clock: { nowMs: () => 0, at: () => () => {} },
      openIpvs: openIpvs ?? (async () => ipvsOf(kernel)),
      prober: { probe: async () => ({ ok: true }) },
      syncInterfaces: { index: () => 1, socketFault: () => undefined },
      sysctls: {
        read: async (key) => kernel.sysctls.get(key) ?? '1',
        write: async (key, value) => {
          if (kernel.sealed) throw new Error('EROFS');
          kernel.sysctls.set(key, value);
        },
      },
      nft: {
        set: async (ruleset) => {
          kernel.rules = ruleset === SOURCE_NAT_REMOVAL ? undefined : ruleset;
        },
        list: async () => kernel.rules,
      },
      stateFile,
      overridesFile,
      logStatus: () => ({ lines_lost: 0, failed_writes: 0, error: null }),
      loopDelay: { read: () => ({ max_ms: 0, p99_ms: 0 }), close: () => {} },
      log: LOG,
      metrics,
      parts: [],
      load: async () => loadFailed('no loader here'),
      readConfiguration: async (path) => JSON.parse(path),
    },
    (message) => answers.push(message),
    () => {
      stopped = true;
    },
  );
  const say = async (message: ToServices): Promise<void> => {
    process.take(message);
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  };
  const order = (order: OverrideOrder) => process.order(order);
  return {
    answers,
    stateFile,
    overridesFile,
    say,
    order,
    status: () => process.status(),
    isStopped: () => stopped,
  };
}

/** A configuration that is its own path. */
function file(config: DirectorConfig) {
  return { director: config.director, path: JSON.stringify(config) };
}

function roles(state: 'initialize' | 'backup' | 'master', settled: boolean): Roles {
  return { outside: { state, settled } };
}

void t.test('a bound virtual server waits for the election', async (t) => {
  const kernel = kernelWith([WEB]);
  const { say, answers, stateFile } = host(kernel, { ownedServices: [KEY] });
  await say({ type: 'configure', serial: 1, ...file(CONFIG), roles: roles('initialize', false) });
  t.same(answers, [{ type: 'ready', serial: 1 }]);
  t.same(kernel.ops, [], 'left by an earlier run: it stays');
  await say({ type: 'roles', roles: roles('backup', false) });
  t.same(kernel.ops, [], 'a backup that has heard nobody may be the next master');
  t.same(stateFile.state?.ownedServices, [KEY], 'and it is still known as ours');
  await say({ type: 'roles', roles: roles('master', true) });
  t.same(kernel.ops, [], 'adopted as it is');
  await say({ type: 'roles', roles: roles('backup', true) });
  t.same(kernel.ops, ['ipvsadm -D -t 192.0.2.51:80'], 'another one is master');
});

void t.test('nothing left: it is added when this director is master, and not before', async (t) => {
  const kernel = kernelWith([]);
  const { say } = host(kernel, {});
  await say({ type: 'configure', serial: 1, ...file(CONFIG), roles: roles('initialize', false) });
  await say({ type: 'roles', roles: roles('backup', false) });
  t.same(kernel.services, []);
  await say({ type: 'roles', roles: roles('master', true) });
  t.equal(kernel.services.length, 1);
});

void t.test('roles that come while a configuration waits in line are the newer ones', async (t) => {
  const kernel = kernelWith([]);
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { say } = host(kernel, {}, async () => {
    await gate;
    return ipvsOf(kernel);
  });
  await say({ type: 'configure', serial: 1, ...file(CONFIG), roles: roles('backup', true) });
  await say({ type: 'roles', roles: roles('master', true) });
  open();
  await say({ type: 'ping' });
  t.equal(kernel.services.length, 1);
});

void t.test('a failure is told with its code and words, and the next attempt may do', async (t) => {
  const kernel = kernelWith([]);
  let attempts = 0;
  const { say, answers } = host(kernel, {}, async () => {
    attempts += 1;
    if (attempts > 1) return ipvsOf(kernel);
    throw Object.assign(new Error('the kernel has no IPVS'), { code: 'ERR_NO_IPVS' });
  });
  await say({ type: 'configure', serial: 7, ...file(CONFIG), roles: {} });
  await say({ type: 'configure', serial: 8, ...file(CONFIG), roles: {} });
  t.same(answers, [
    { type: 'failed', serial: 7, code: 'ERR_NO_IPVS', message: 'the kernel has no IPVS' },
    { type: 'ready', serial: 8 },
  ]);
});

void t.test('the stop clears away what an earlier process left, without a configuration', async (t) => {
  const kernel = kernelWith([WEB, onPort(WEB, 81)]);
  kernel.daemons = [{ state: 'master', interface: 'eth1', syncid: 51 }];
  kernel.sysctls.set('net.ipv4.ip_forward', '1');
  const { say, answers, stateFile, isStopped } = host(kernel, {
    ownedServices: [KEY],
    syncDaemons: kernel.daemons,
    sysctls: { 'net.ipv4.ip_forward': '0' },
  });
  await say({ type: 'stop', succeeded: false });
  t.same(answers, [{ type: 'stopped' }]);
  t.ok(isStopped());
  t.same(kernel.ops, ['ipvsadm -D -t 192.0.2.51:80'], 'what is not ours stays');
  t.same(kernel.daemons, []);
  t.equal(kernel.sysctls.get('net.ipv4.ip_forward'), '0');
  t.equal(stateFile.state, undefined, 'the state file is gone');
});

void t.test('a step of the stop that fails does not stop the others, and stays known', async (t) => {
  const kernel = kernelWith([WEB]);
  const broken = { ...ipvsOf(kernel), dump: () => Promise.reject(new Error('no answer')) };
  const { say, stateFile, isStopped } = host(
    kernel,
    { ownedServices: [KEY], sysctls: { 'net.ipv4.ip_forward': '0' } },
    async () => broken,
  );
  await say({ type: 'stop', succeeded: false });
  t.ok(isStopped());
  t.equal(kernel.sysctls.get('net.ipv4.ip_forward'), '0', 'the sysctls are put back all the same');
  t.same(stateFile.state?.ownedServices, [KEY], 'the next start knows what is left');
});

const PROMOTE = 'net.ipv4.conf.eth0.promote_secondaries';
const PLAIN = directorConfig({
  instances: [
    vrrpInstance({ addresses: [{ address: '192.0.2.9', prefixLength: 24, interface: 'eth0' }] }),
    vrrpInstance({ name: 'inside', interface: 'eth1', virtualMacInterface: 'vrrp4-7' }),
  ],
});

void t.test('sysctls of plain VRRP are set before the election and put back at the end', async (t) => {
  const kernel = kernelWith([]);
  const before = [
    [PROMOTE, '0'],
    ['net.ipv4.conf.eth1.arp_ignore', '0'],
    ['net.ipv4.conf.eth1.arp_announce', '0'],
  ] as const;
  for (const [key, value] of before) kernel.sysctls.set(key, value);
  const { say, answers, stateFile } = host(kernel, {});
  await say({ type: 'configure', serial: 1, ...file(PLAIN), roles: {} });
  t.same(answers, [{ type: 'ready', serial: 1 }]);
  t.same(
    before.map(([key]) => kernel.sysctls.get(key)),
    ['1', '1', '2'],
  );
  t.same(stateFile.state?.sysctls, Object.fromEntries(before), 'what was there survives a crash');
  await say({ type: 'stop', succeeded: false });
  t.same([...kernel.sysctls], before);
});

void t.test('where /proc/sys cannot be written, plain VRRP goes on and a balancer does not', async (t) => {
  const kernel = kernelWith([]);
  kernel.sysctls.set(PROMOTE, '0');
  kernel.sealed = true;
  const config = { ...PLAIN, instances: PLAIN.instances.slice(0, 1) };
  const plain = host(kernel, {});
  await plain.say({ type: 'configure', serial: 1, ...file(config), roles: {} });
  t.same(plain.answers, [{ type: 'ready', serial: 1 }]);
  t.same(plain.stateFile.state?.sysctls, {}, 'nothing to put back');

  kernel.sysctls.set('net.ipv4.ip_forward', '0');
  const balancer = host(kernel, {});
  await balancer.say({ type: 'configure', serial: 1, ...file(CONFIG), roles: {} });
  t.same(
    balancer.answers.map(({ type }) => type),
    ['failed'],
  );
});

const REAL = { address: '10.0.0.2', port: 80 };
const ORDER: OverrideOrder = {
  action: 'drain',
  virtualServer: null,
  address: '10.0.0.2',
  port: null,
  weight: null,
};

void t.test('what the operator says of a real server is one message, and outlives the process', async (t) => {
  const balanced = { ...WEB, vrrpInstance: undefined };
  const kernel = kernelWith([balanced]);
  const config = { ...CONFIG, virtualServers: [balanced] };
  const configure = { type: 'configure', serial: 1, ...file(config), roles: {} } as const;
  const { say, order, status, overridesFile } = host(kernel, {});
  t.match(await order(ORDER), { ok: false, reason: 'the services process is still starting' });
  await say(configure);
  kernel.ops.length = 0;
  const told = (): unknown => status()?.virtual_servers[0]?.real_servers;
  t.match(await order({ ...ORDER, action: 'weight', weight: 7 }), { ok: true });
  t.strictSame(kernel.ops, ['ipvsadm -e -t 192.0.2.51:80 -r 10.0.0.2:80 -g -w 7']);
  t.match(told(), [{ ...REAL, weight: 7, file_weight: 1 }]);
  const saved = [{ virtualServer: 'web', ...REAL, weight: 7 }];
  t.match(overridesFile.saved, saved);

  const next = host(kernel, {}, undefined, saved);
  await next.say(configure);
  t.match(await next.order({ ...ORDER, virtualServer: 'dns' }), {
    reason: "there is no virtual server 'dns'",
  });
  t.match(await next.order({ ...ORDER, port: 81 }), {
    reason: 'no virtual server has a real server 10.0.0.2:81',
  });
  await next.order({ ...ORDER, action: 'disable' });
  t.match(next.status()?.virtual_servers[0]?.real_servers, [{ disabled: true, weight: 7, file_weight: 1 }]);
  await next.order({ ...ORDER, action: 'enable' });
  await next.order({ ...ORDER, action: 'undrain' });
  t.strictSame(next.overridesFile.saved, []);
  await next.order(ORDER);
  await next.say({ ...configure, serial: 2, ...file({ ...config, virtualServers: [] }) });
  t.strictSame(next.overridesFile.saved, [], 'who leaves the file takes it along');
});

void t.test('timeouts are set, put back, and remembered across a crash', async (t) => {
  const kernel = kernelWith([]);
  const before = kernel.timeouts;
  const ipvs = {
    timeouts: { tcpSeconds: 60, tcpFinSeconds: 0, udpSeconds: 0 },
    sysctls: {},
    exclusive: false,
  };
  const config = { ...CONFIG, virtualServers: [], ipvs };
  const first = host(kernel, {});
  await first.say({ type: 'configure', serial: 1, ...file(config), roles: {} });
  t.strictSame(kernel.timeouts, { ...before, tcpSeconds: 60 });
  const next = host(kernel, { ...first.stateFile.state });
  await next.say({ type: 'configure', serial: 1, ...file(config), roles: {} });
  await next.say({ type: 'configure', serial: 2, ...file({ ...config, ipvs: CONFIG.ipvs }), roles: {} });
  t.strictSame(kernel.timeouts, before, 'no longer in the file');
  await next.say({ type: 'configure', serial: 3, ...file(config), roles: {} });
  await next.say({ type: 'stop', succeeded: false });
  t.strictSame(kernel.timeouts, before, 'stopped');
  const plain = host(kernel, {}, () => Promise.reject(new Error('no IPVS here')));
  await plain.say({ type: 'configure', serial: 1, ...file({ ...CONFIG, virtualServers: [] }), roles: {} });
  t.same(plain.answers, [{ type: 'ready', serial: 1 }], 'plain VRRP needs no IPVS');
});

void t.test('metrics tell what was done, and end before the process says that it has stopped', async (t) => {
  const events: string[] = [];
  let told: MetricsSnapshot | undefined;
  let scrape: () => Promise<unknown> = async () => {};
  const metrics: MetricsPorts = {
    serve: async (listen, answer) => {
      events.push(`serves ${'path' in listen ? listen.path : listen.port}`);
      scrape = answer;
      return async () =>
        void events.push(`serves no more, said ${answers.map(({ type }) => type).join(' ')}`);
    },
    write: async (snapshot) => {
      told = snapshot;
      return [];
    },
    openCounters: async () => ({ read: async () => [countedService()], close: () => {} }),
  };
  const kernel = kernelWith([]);
  const { say, answers } = host(kernel, {}, undefined, [], metrics);
  const config = directorConfig({
    virtualServers: [
      virtualServer({
        healthChecks: oneCheck(tcpCheck()),
        realServers: [realServer('10.0.0.2')],
      }),
    ],
    connectionSync: { interface: 'eth1', id: 51 },
    metrics: { listen: { address: '127.0.0.1', port: 9110 }, realServers: false },
  });
  await say({ type: 'configure', serial: 1, ...file(config), roles: {} });
  t.same(events, ['serves 9110']);
  const scraped = scrape();
  t.match(answers.at(-1), { type: 'ask' });
  await say({ type: 'election', report: electionReport() });
  await scraped;
  t.match(told, {
    election: { sha256: 'abc123', ageMs: 0 },
    services: {
      virtualServers: [{ name: 'web', isChecked: true, realServers: [{ health: 'up', heardMs: 0 }] }],
      work: { probes: { good: 1, bad: 0, unasked: 0 }, verdicts: { up: 1, down: 0 } },
      sync: { daemons: ['master', 'backup'], faults: [] },
    },
    table: { services: [{ stats: { connections: 1000 } }] },
  });
  await say({ type: 'stop', succeeded: false });
  t.match(events, ['serves 9110', /^serves no more, said (?!.*stopped)/]);
  t.match(answers.at(-1), { type: 'stopped' });
});
