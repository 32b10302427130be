/**
 * One history of a services process: the real ServicesHost with table, health checks, sync daemons, sysctls, tracked object
 * and state file, on a simulated kernel. It is killed between any two steps, and what it left is found by the next. At the
 * end, when nobody has done anything for long enough, table, state file and status have to tell the same.
 */
import type { CheckKind, HealthCheck, RealServer, VirtualServer } from '../../../src/config/model-servers.js';
import type { Destination, Service } from '../../../src/ipvs/model.js';
import { serviceKeyText } from '../../../src/ipvs/plan.js';
import { timeoutsToBe } from '../../../src/ipvs/timeouts.js';
import { desiredServices } from '../../../src/planning/desired.js';
import { type Override, overridden, overrideFinder } from '../../../src/planning/overrides.js';
import { requiredSyncDaemons, requiredSysctls } from '../../../src/planning/requirements.js';
import { SOURCE_NAT_REMOVAL, sourceNatRuleset } from '../../../src/planning/source-nat.js';
import type { Clock, Log, StateFile } from '../../../src/runtime/ports.js';
import { ServicesHost } from '../../../src/runtime/services/services-host.js';
import type { FromServices, Roles, TrackedVerdict } from '../../../src/runtime/services/services-messages.js';
import type {
  Ipvs,
  OpResult,
  ProbeOutcome,
  ServicesLeftovers,
} from '../../../src/runtime/services/services-ports.js';
import { TrackAndHooks } from '../../../src/runtime/services/track-and-hooks.js';
import { StateKeeper } from '../../../src/runtime/state-keeper.js';
import { endOfTurn } from '../simulator/end-of-turn.js';
import { EventQueue } from '../simulator/event-queue.js';
import { Random } from '../simulator/random.js';
import { Refused } from '../simulator/refused.js';
import {
  ACTIONS_MS,
  type Action,
  drawHistory,
  type HistoryPlan,
  INSTANCE,
  OBJECT,
  SORRY_SERVER,
} from './draw.js';
import { Kernel, TIMEOUTS } from './kernel.js';

/** After the last action: refusals end, drains (30 s), the slowest repair (30 s), a whole comparison (30 s), verdicts. */
const QUIET_MS = 150_000;
/** A stop with a successor waits for the sync daemons' buffer. */
const STOP_MS = 20_000;
const REFUSED_SHARE = 0.4;
const HISTORY_STREAM = 0x7ab1e;
const NOTHING: ServicesLeftovers = { ownedServices: [], sysctls: {}, syncDaemons: [] };
/** Of a key that no file of a history has. */
const FOREIGN: Service = {
  key: { family: 'ipv4', protocol: 6, address: '203.0.113.1', port: 8080 },
  scheduler: 'rr',
  flags: 0,
  timeoutSeconds: 0,
  netmask: '255.255.255.255',
  destinations: [],
};
const STRANGER: Destination = {
  address: '203.0.113.9',
  port: 80,
  forwarding: 'masq',
  weight: 7,
  upperThreshold: 0,
  lowerThreshold: 0,
};

export interface HistoryResult {
  /** Undefined: all was as it should be. */
  readonly violation: { readonly atMs: number; readonly words: string } | undefined;
  readonly virtualMs: number;
  readonly steps: number;
  readonly counts: ReadonlyMap<string, number>;
}

export class History {
  readonly #plan: HistoryPlan;
  readonly #random: Random;
  readonly #queue = new EventQueue<() => void>();
  readonly #print: (line: string) => void;
  readonly #kernel: Kernel;
  readonly #sysctlsBefore: ReadonlyMap<string, string>;
  /** Ports of real servers that do not answer. */
  readonly #dead = new Set<string>();
  /** Weights that checks ask for, by address. */
  readonly #asked = new Map<string, number | undefined>();
  readonly #counts = new Map<string, number>();
  #nowMs = 0;
  #steps = 0;
  #violation: HistoryResult['violation'];
  #saved: ServicesLeftovers | undefined;
  #overrides: readonly Override[] = [];
  #refusing = 0;
  #diskFull = 0;
  #isObjectDown = false;
  #foreign = false;
  #variant = 0;
  #isMaster = false;
  #serial = 0;
  #life = 0;
  #host: ServicesHost | undefined;
  /** In force, by the host's own word. */
  #ready = 0;
  #verdict: TrackedVerdict | undefined;
  #stopped = false;

  constructor(
    seed: number,
    number: number,
    print?: (line: string) => void,
    plan = drawHistory(seed, number),
  ) {
    this.#plan = plan;
    this.#random = new Random(seed ^ HISTORY_STREAM, number);
    this.#print = print ?? (() => {});
    const keys = this.#plan.variants.flatMap((config) => [...requiredSysctls(config).keys()]);
    this.#sysctlsBefore = new Map(keys.map((key) => [key, '0 0']));
    this.#kernel = new Kernel(this.#sysctlsBefore);
  }

  async run(): Promise<HistoryResult> {
    this.#start();
    for (const { atMs, action } of this.#plan.actions) this.#at(atMs, () => this.#act(action));
    const quietMs = ACTIONS_MS + QUIET_MS;
    this.#at(quietMs, () => this.#check());
    this.#at(quietMs, () => this.#host?.take({ type: 'stop', succeeded: this.#plan.succeeded }));
    this.#at(quietMs + STOP_MS, () => this.#checkStopped());
    while (this.#queue.nextMs <= quietMs + STOP_MS && this.#violation === undefined) {
      this.#nowMs = this.#queue.nextMs;
      this.#queue.pop()?.();
      this.#steps += 1;
      await endOfTurn();
    }
    return { violation: this.#violation, virtualMs: this.#nowMs, steps: this.#steps, counts: this.#counts };
  }

  #fail(words: string): void {
    this.#violation ??= { atMs: this.#nowMs, words };
  }

  #tell(words: string): void {
    this.#print(`${this.#nowMs.toFixed(3).padStart(12)} ${words}`);
  }

  #at(atMs: number, run: () => void): void {
    this.#queue.push(Math.max(atMs, this.#nowMs), run);
  }

  // ---- the process ----

  #start(): void {
    this.#life += 1;
    const host = this.#createHost(this.#life);
    this.#host = host;
    this.#tell(`process ${this.#life} starts`);
    this.#configure();
  }

  /** What it asked the kernel for may be done or not. */
  #crash(downMs: number): void {
    if (this.#host === undefined) return;
    this.#tell('the process dies');
    this.#life += 1;
    this.#host = undefined;
    this.#at(this.#nowMs + downMs, () => this.#start());
  }

  #configure(): void {
    this.#serial += 1;
    const { director } = this.#config;
    this.#host?.take({
      type: 'configure',
      serial: this.#serial,
      director,
      path: String(this.#variant),
      roles: this.#roles(),
    });
  }

  #roles(): Roles {
    return { [INSTANCE]: { state: this.#isMaster ? 'master' : 'backup', settled: true } };
  }

  get #config() {
    const config = this.#plan.variants[this.#variant];
    if (config === undefined) throw new RangeError(`no variant ${this.#variant}`);
    return config;
  }

  #said(message: FromServices): void {
    if (message.type === 'ready') this.#ready = message.serial;
    else if (message.type === 'tracked') this.#verdict = message.verdict;
    else if (message.type === 'stopped') this.#stopped = true;
    else if (message.type === 'failed')
      this.#tell(`configuration ${message.serial} failed: ${message.message}`);
  }

  // ---- ports of one life ----

  #createHost(life: number): ServicesHost {
    const clock: Clock = {
      nowMs: () => this.#nowMs,
      at: (atMs, callback) => {
        let cancelled = false;
        this.#at(atMs, () => {
          if (!cancelled && life === this.#life) callback();
        });
        return () => {
          cancelled = true;
        };
      },
    };
    const log = this.#log();
    return new ServicesHost(
      {
        clock,
        log,
        load: () => Promise.reject(new Error('there is no loader here')),
        readConfiguration: async (path) => this.#plan.variants[Number(path)] ?? this.#config,
        openIpvs: async () => this.#ipvs(life),
        prober: { probe: (...what) => this.#probe(life, ...what) },
        syncInterfaces: { index: () => this.#kernel.interfaceIndex, socketFault: () => undefined },
        sysctls: {
          read: (key) => this.#ask(life, () => this.#kernel.sysctls.get(key)),
          write: (key, value) => this.#ask(life, () => void this.#kernel.sysctls.set(key, value)),
        },
        nft: {
          set: (ruleset) =>
            this.#ask(life, () => {
              this.#kernel.rules = ruleset === SOURCE_NAT_REMOVAL ? undefined : ruleset;
            }),
          list: () => this.#ask(life, () => this.#kernel.rules),
        },
        stateFile: new StateKeeper({
          clock,
          log,
          file: this.#file(life),
          name: 'the state file',
          empty: NOTHING,
        }),
        overridesFile: {
          load: async () => ({ overrides: this.#overrides }),
          save: async ({ overrides }) => {
            if (life === this.#life) this.#overrides = overrides;
          },
          remove: async () => {},
        },
        loopDelay: { read: () => ({ max_ms: 0, p99_ms: 0 }), close: () => {} },
        logStatus: () => ({ lines_lost: 0, failed_writes: 0, error: null }),
        metrics: {
          serve: () => Promise.reject(new Error('no history serves metrics')),
          write: () => Promise.reject(new Error('no history serves metrics')),
          openCounters: () => Promise.reject(new Error('no history serves metrics')),
        },
        parts: [
          ({ tracked }) =>
            new TrackAndHooks(
              {
                clock,
                log,
                commands: { run: async () => ({ type: 'cancelled' }), close: async () => {} },
                prober: {
                  look: () => this.#ask(life, () => ({ type: 'seen', ok: !this.#isObjectDown })),
                },
                openEvents: async () => ({ publish: () => {}, close: async () => {} }),
                nowEpochMs: () => this.#nowMs,
              },
              tracked,
            ),
        ],
      },
      (message) => {
        if (life === this.#life) this.#said(message);
      },
      () => {},
    );
  }

  /** Done some time later, and answered in the same moment. A process that has died meanwhile hears nothing. */
  #ask<T>(life: number, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#at(this.#nowMs + this.#random.unit() * this.#plan.workMs, () => {
        // What was asked before the process died is done as often as not.
        if (life !== this.#life && this.#random.chance(0.5)) return;
        try {
          const result = work();
          if (life === this.#life) resolve(result);
        } catch (error) {
          if (life === this.#life) reject(error);
        }
      });
    });
  }

  #refuses(): void {
    if (this.#refusing > 0 && this.#random.chance(REFUSED_SHARE)) throw new Refused('ENOMEM');
  }

  #ipvs(life: number): Ipvs {
    const kernel = this.#kernel;
    const ask = <T>(work: () => T): Promise<T> =>
      this.#ask(life, () => {
        this.#refuses();
        return work();
      });
    return {
      dump: () => ask(() => kernel.dump()),
      destinations: (key) => ask(() => kernel.destinations(key)),
      apply: async (ops) => {
        const results: OpResult[] = [];
        for (const op of ops) {
          this.#count(op.op);
          const error = await ask(() => kernel.apply(op)).then(
            () => undefined,
            (refusal: Error) => refusal,
          );
          results.push({ op, error });
        }
        return results;
      },
      syncDaemons: () => ask(() => [...kernel.daemons]),
      startSyncDaemon: (daemon) => ask(() => kernel.startDaemon(daemon)),
      stopSyncDaemon: (state) => ask(() => kernel.stopDaemon(state)),
      info: () => ask(() => ({ version: '1.2.1', connectionTableSize: 4096 })),
      timeouts: () => ask(() => kernel.timeouts),
      setTimeouts: (timeouts) =>
        ask(() => {
          kernel.timeouts = timeouts;
        }),
      close: () => {},
    };
  }

  #file(life: number): StateFile<ServicesLeftovers> {
    const write = (state: ServicesLeftovers | undefined) => () => {
      if (this.#diskFull > 0) throw new Refused('ENOSPC');
      this.#saved = state;
    };
    return {
      load: () => this.#ask(life, () => this.#saved ?? NOTHING),
      save: (state) => this.#ask(life, write(state)),
      remove: () => this.#ask(life, write(undefined)),
    };
  }

  #probe(
    life: number,
    check: CheckKind,
    address: string,
    port: number,
    timeoutMs: number,
  ): Promise<ProbeOutcome> {
    const dead = this.#dead.has(`${address} ${port}`);
    const waitMs = dead && this.#random.chance(0.5) ? timeoutMs : this.#random.unit() * 20;
    return new Promise((resolve) => {
      this.#at(this.#nowMs + waitMs, () => {
        const weight = check.type === 'command' ? this.#asked.get(address) : undefined;
        if (life === this.#life) resolve(dead ? { ok: false, reason: 'dead' } : { ok: true, weight });
      });
    });
  }

  #log(): Log {
    const tell = (_: object, message: string) => {
      const [kind = ''] = message.split(':');
      if (/somebody changed|refused|could not/.test(message)) this.#count(kind.replace(/ \(.*/, ''));
      this.#tell(message);
    };
    return { debug: () => {}, info: tell, warn: tell, error: tell };
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  // ---- what is done to the host ----

  #act(action: Action): void {
    this.#count(action.kind);
    this.#tell(`--- ${JSON.stringify(action)}`);
    switch (action.kind) {
      case 'order':
        return void this.#host?.order(action.order);
      case 'reload':
        this.#variant = action.variant;
        return this.#configure();
      case 'role':
        this.#isMaster = action.master;
        return this.#host?.take({ type: 'roles', roles: this.#roles() });
      case 'flap':
        if (!this.#dead.delete(`${action.address} ${action.port}`))
          this.#dead.add(`${action.address} ${action.port}`);
        return;
      case 'weigh':
        this.#asked.set(action.address, action.weight);
        return;
      case 'object':
        this.#isObjectDown = !this.#isObjectDown;
        return;
      case 'crash':
        return this.#crash(action.downMs);
      case 'foreign':
        return this.#meddle(action.what);
      case 'daemon':
        if (action.what === 'interface') this.#kernel.interfaceIndex += 1;
        else if (this.#kernel.daemons.some(({ state }) => state === 'master'))
          this.#kernel.stopDaemon('master');
        return;
      case 'refuse':
        this.#refusing += 1;
        return this.#at(this.#nowMs + action.forMs, () => {
          this.#refusing -= 1;
        });
      case 'disk-full':
        this.#diskFull += 1;
        return this.#at(this.#nowMs + action.forMs, () => {
          this.#diskFull -= 1;
        });
      default:
    }
  }

  #meddle(what: (Action & { kind: 'foreign' })['what']): void {
    const { services } = this.#kernel;
    const [first] = services.values();
    if (what === 'service') {
      services.set(serviceKeyText(FOREIGN.key), FOREIGN);
      this.#foreign = true;
    } else if (what === 'clear') {
      services.clear();
      this.#foreign = false;
    } else if (first === undefined || first === FOREIGN) {
      return;
    } else if (what === 'delete') {
      services.delete(serviceKeyText(first.key));
    } else {
      const changed = first.destinations.map((one) => ({ ...one, weight: one.weight + 1 }));
      const destinations = what === 'weight' ? changed : [...first.destinations, STRANGER];
      services.set(serviceKeyText(first.key), { ...first, destinations });
    }
  }

  // ---- what has to hold ----

  #lives({ healthChecks }: VirtualServer, { address, port: own }: RealServer): boolean {
    if (healthChecks === undefined) return true;
    const answers = ({ port = own }: HealthCheck): boolean => !this.#dead.has(`${address} ${port}`);
    const { needs, checks } = healthChecks;
    return needs === 'any' ? checks.some(answers) : checks.every(answers);
  }

  /** By the checks that answer, of one that lives. */
  #askedOf(server: VirtualServer, real: RealServer): number | undefined {
    const { address, port: own } = real;
    const weighs = (server.healthChecks?.checks ?? []).some(
      ({ kind, port = own }) => kind.type === 'command' && !this.#dead.has(`${address} ${port}`),
    );
    return weighs && this.#lives(server, real) ? this.#asked.get(address) : undefined;
  }

  #wanted(): Service[] {
    const active = overridden(this.#config.virtualServers, this.#overrides).filter(
      ({ vrrpInstance }) => vrrpInstance === undefined || this.#isMaster,
    );
    return desiredServices(active, {
      serves: (name, realServer) => {
        const server = active.find((one) => one.name === name);
        return server !== undefined && this.#lives(server, realServer);
      },
      weight: (name, realServer) => {
        const server = active.find((one) => one.name === name);
        return server && this.#askedOf(server, realServer);
      },
    });
  }

  #check(): void {
    if (this.#host === undefined) return this.#fail('the process is not there');
    if (this.#ready !== this.#serial) return this.#fail(`configuration ${this.#serial} is not in force`);
    const wanted = this.#wanted();
    const all = this.#foreign && !this.#config.ipvs.exclusive ? [...wanted, FOREIGN] : wanted;
    this.#equal('the table', [...this.#kernel.services.values()].map(words), all.map(words));
    const daemons = requiredSyncDaemons(this.#config).map(({ state, syncid }) => `${state} ${syncid}`);
    this.#equal(
      'the sync daemons',
      this.#kernel.daemons.map(({ state, syncid }) => `${state} ${syncid}`),
      daemons,
    );
    this.#equal(
      'the timeouts',
      Object.values(this.#kernel.timeouts).map(String),
      Object.values(timeoutsToBe(this.#config.ipvs.timeouts, TIMEOUTS)).map(String),
    );
    for (const [key, value] of requiredSysctls(this.#config)) {
      if (this.#kernel.sysctls.get(key) !== value) this.#fail(`${key} is ${this.#kernel.sysctls.get(key)}`);
    }
    if (this.#kernel.rules !== sourceNatRuleset(this.#config)) this.#fail('the rules are others');
    this.#checkStateFile(wanted);
    this.#checkStatus();
    const object = this.#config.tracked.find(({ name }) => name === OBJECT);
    const state = this.#isObjectDown ? 'down' : 'up';
    if (object !== undefined && this.#verdict?.state !== state)
      this.#fail(`the object is said ${this.#verdict?.state}`);
  }

  #checkStateFile(wanted: readonly Service[]): void {
    const { ownedServices, syncDaemons, drains = {} } = this.#saved ?? NOTHING;
    this.#equal(
      'the state file’s virtual servers',
      ownedServices,
      wanted.map(({ key }) => serviceKeyText(key)),
    );
    this.#equal(
      'the state file’s sync daemons',
      syncDaemons.map(({ state, syncid }) => `${state} ${syncid}`),
      this.#kernel.daemons.map(({ state, syncid }) => `${state} ${syncid}`),
    );
    for (const { interfaceIndex } of syncDaemons) {
      if (interfaceIndex !== this.#kernel.interfaceIndex)
        this.#fail('a sync daemon on an interface that is gone');
    }
    if (Object.keys(drains).length > 0) this.#fail(`${Object.keys(drains).join()} drains for ever`);
  }

  #checkStatus(): void {
    const status = this.#host?.status();
    if (status === undefined) return this.#fail('there is no status');
    const told = status.virtual_servers.flatMap(({ name, real_servers }) =>
      real_servers.map(
        ({ address, health, weight, disabled }) =>
          `${name} ${address} ${health} ${weight} ${disabled === true}`,
      ),
    );
    const overrideOf = overrideFinder(this.#overrides);
    const truth = this.#config.virtualServers.flatMap((server) =>
      server.realServers.map((one) => {
        const override = overrideOf(server.name, one);
        const isDisabled = override?.disabled === true;
        const verdict = this.#lives(server, one) ? 'up' : 'down';
        const health = server.healthChecks === undefined || isDisabled ? 'unchecked' : verdict;
        const asked = one.weight === 0 || isDisabled ? undefined : this.#askedOf(server, one);
        const weight = override?.weight ?? asked ?? one.weight;
        return `${server.name} ${one.address} ${health} ${weight} ${isDisabled}`;
      }),
    );
    this.#equal('the status', told, truth);
    this.#equal(
      'the sorry servers in use',
      status.virtual_servers.flatMap((one) => (one.sorry_server?.in_use ? String(one.address) : [])),
      [...this.#kernel.services.values()].flatMap(({ key, destinations }) =>
        destinations.some(({ address, weight }) => address === SORRY_SERVER && weight > 0) && 'address' in key
          ? key.address
          : [],
      ),
    );
    this.#equal(
      'the status of the sync daemons',
      status.sync_daemons,
      this.#kernel.daemons.map(({ state }) => state),
    );
    if ((status.sync_faults ?? []).length > 0) this.#fail(`faults: ${status.sync_faults?.join()}`);
  }

  #checkStopped(): void {
    if (!this.#stopped) this.#fail('it does not stop');
    this.#equal(
      'the table after the stop',
      // One that came last was not found yet, and is not ours to remove.
      [...this.#kernel.services.values()]
        .filter((service) => service !== FOREIGN || !this.#config.ipvs.exclusive)
        .map(words),
      this.#foreign && !this.#config.ipvs.exclusive ? [words(FOREIGN)] : [],
    );
    if (this.#kernel.daemons.length > 0) this.#fail('a sync daemon is left');
    if (this.#kernel.rules !== undefined) this.#fail('rules are left');
    this.#equal(
      'the timeouts after the stop',
      Object.values(this.#kernel.timeouts).map(String),
      Object.values(TIMEOUTS).map(String),
    );
    for (const [key, value] of this.#sysctlsBefore) {
      if (this.#kernel.sysctls.get(key) !== value)
        this.#fail(`${key} is left as ${this.#kernel.sysctls.get(key)}`);
    }
    if (this.#saved !== undefined) this.#fail(`the state file is left: ${JSON.stringify(this.#saved)}`);
  }

  #equal(what: string, found: readonly string[], wanted: readonly string[]): void {
    const [a, b] = [found, wanted].map((lines) => lines.toSorted().join('; '));
    if (a !== b) this.#fail(`${what}: ${a || 'nothing'} where there should be ${b || 'nothing'}`);
  }
}

function words({ key, scheduler, flags, timeoutSeconds, destinations }: Service): string {
  const servers = destinations.map(
    ({ address, port, forwarding, weight }) => `${address}:${port} ${forwarding} ${weight}`,
  );
  return `${serviceKeyText(key)} ${scheduler} ${flags} ${timeoutSeconds} [${servers.toSorted().join(', ')}]`;
}
