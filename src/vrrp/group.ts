/** The VRRP state machine (RFC 9568 section 6.4) for the instances of one sync group. Pure. */
import type { VrrpInstance } from '../config/model.js';
import { compareAddresses } from '../ip-address.js';
import { addressDifference } from './address-difference.js';
import type {
  CounterName,
  GroupEffect,
  GroupInput,
  GroupState,
  GroupStep,
  InstanceState,
  VrrpState,
} from './group-types.js';
import type { Advertisement } from './packet.js';
import { handOverHoldMs, masterDownIntervalMs, skewTimeMs } from './timers.js';

/** After the first announcement: switches drop frames, neighbours miss them, so it is said again. */
const ANNOUNCE_REPEATS_MS: readonly number[] = [100, 1000, 5000];
/** From the successor's first advertisement until its announcement has surely reached the segment. */
const SUCCESSOR_GRACE_MS = 150;
/** A refused address puts the group in fault for so long. */
const ADDRESS_RETRY_MS = 5000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Draft = Mutable<Omit<GroupState, 'instances'>> & { instances: Mutable<InstanceState>[] };

export function createGroup(
  name: string,
  members: readonly { readonly config: VrrpInstance; readonly source: string; readonly linkUp: boolean }[],
  nowMs: number,
): GroupState {
  return {
    name,
    phase: 'stopped',
    leaveAtMs: Number.POSITIVE_INFINITY,
    retryAtMs: Number.POSITIVE_INFINITY,
    instances: members.map(({ config, source, linkUp }) => ({
      config,
      source,
      linkUp,
      state: 'initialize',
      sinceMs: nowMs,
      activeAdverIntervalMs: config.advertisementIntervalMs,
      timerMs: Number.POSITIVE_INFINITY,
      wantsMaster: false,
      lowerMasterSinceMs: undefined,
      master: undefined,
      announceAtMs: [],
      succeeded: false,
    })),
  };
}

/** Takes one input at `nowMs` (monotonic). Never fails; what does not concern the state is ignored. */
export function step(state: GroupState, input: GroupInput, nowMs: number): GroupStep {
  const run = new Run(state, nowMs);
  run.take(input);
  return run.result();
}

/** Interfaces whose links an instance needs, for a sentence. */
function linksOf({ interface: own, addresses }: VrrpInstance, word: 'or' | 'and'): string {
  return [...new Set([own, ...addresses.map((address) => address.interface)])].join(` ${word} `);
}

/** One step under way: a private copy of the state and the effects so far. */
class Run {
  readonly #now: number;
  readonly #group: Draft;
  readonly #effects: GroupEffect[] = [];

  constructor(state: GroupState, nowMs: number) {
    this.#now = nowMs;
    this.#group = { ...state, instances: state.instances.map((instance) => ({ ...instance })) };
  }

  result(): GroupStep {
    const { instances, leaveAtMs, retryAtMs } = this.#group;
    const timers = instances.flatMap((i) => [i.timerMs, i.announceAtMs[0] ?? Number.POSITIVE_INFINITY]);
    const state: GroupState = this.#group;
    return { state, effects: this.#effects, deadlineMs: Math.min(leaveAtMs, retryAtMs, ...timers) };
  }

  take(input: GroupInput): void {
    switch (input.type) {
      case 'start':
        if (this.#group.phase === 'stopped') this.#startUp('started');
        return;
      case 'stop':
        return this.#stop();
      case 'deadline':
        return this.#deadline();
      case 'withdrawn':
        return this.#withdrawn();
      case 'configure':
        return this.#configure(input.instances);
      // Taken when the roles that need them are in.
      case 'source':
      case 'tracked':
      case 'maintenance':
        return;
      case 'link':
        return this.#link(input.instance, input.up);
      case 'address-failed':
        return this.#addressFailed(input.instance);
      case 'advertisement': {
        const instance = this.#find(input.instance);
        if (instance === undefined) return;
        return this.#advertisement(instance, input.advertisement, input.source, input.receivedAtMs);
      }
    }
  }

  #find(name: string): Mutable<InstanceState> | undefined {
    return this.#group.instances.find((instance) => instance.config.name === name);
  }

  /** RFC 9568 section 6.4.1, Startup. */
  #startUp(reason: string): void {
    const group = this.#group;
    group.phase = 'running';
    group.retryAtMs = Number.POSITIVE_INFINITY;
    const dark = group.instances.find((instance) => !instance.linkUp);
    if (dark !== undefined) return this.#fault(`link of ${linksOf(dark.config, 'or')} is down`);
    for (const instance of group.instances) {
      this.#listen(instance, instance.config.advertisementIntervalMs, this.#now, reason);
      // The address owner does not wait for anybody.
      if (instance.config.priority === 255) this.#wantMaster(instance);
    }
    this.#goMasterWhenAllWant('address owner');
  }

  /** To backup, with a full Master_Down_Timer from `fromMs`. */
  #listen(instance: Mutable<InstanceState>, intervalMs: number, fromMs: number, reason: string): void {
    this.#release(instance);
    instance.activeAdverIntervalMs = intervalMs;
    instance.timerMs = fromMs + masterDownIntervalMs(instance.config.priority, intervalMs);
    instance.wantsMaster = false;
    instance.lowerMasterSinceMs = undefined;
    this.#role(instance, 'backup', reason);
  }

  /** Takes the addresses away from what was master. */
  #release(instance: Mutable<InstanceState>): void {
    instance.announceAtMs = [];
    instance.succeeded = false;
    if (instance.state !== 'master') return;
    instance.master = undefined;
    this.#effects.push({
      type: 'remove-addresses',
      instance: instance.config.name,
      addresses: instance.config.addresses,
      routes: instance.config.routes,
    });
    this.#count(instance, 'released_master');
  }

  #role(instance: Mutable<InstanceState>, to: VrrpState, reason: string): void {
    if (instance.state === to) return;
    this.#effects.push({ type: 'role', instance: instance.config.name, from: instance.state, to, reason });
    instance.state = to;
    instance.sinceMs = this.#now;
  }

  #count(instance: InstanceState, counter: CounterName): void {
    this.#effects.push({ type: 'count', instance: instance.config.name, counter });
  }

  #send(instance: InstanceState, priority: number, afterAddresses = false): void {
    this.#effects.push({ type: 'send', instance: instance.config.name, priority, afterAddresses });
    this.#count(instance, priority === 0 ? 'priority_zero_sent' : 'advertisements_sent');
  }

  #announce(instance: Mutable<InstanceState>): void {
    const { name, addresses } = instance.config;
    this.#effects.push({ type: 'announce', instance: name, addresses });
  }

  #announceWithRepeats(instance: Mutable<InstanceState>): void {
    this.#announce(instance);
    instance.announceAtMs = ANNOUNCE_REPEATS_MS.map((afterMs) => this.#now + afterMs);
  }

  #wantMaster(instance: Mutable<InstanceState>): void {
    instance.wantsMaster = true;
    instance.timerMs = Number.POSITIVE_INFINITY;
  }

  /** RFC 9568 section 6.4.2: the Master_Down_Timer fired, in every instance of the group. */
  #goMasterWhenAllWant(reason: string): void {
    const { instances, phase } = this.#group;
    if (phase !== 'running' || !instances.every((i) => i.state === 'backup' && i.wantsMaster)) return;
    for (const instance of instances) {
      const { name, addresses, routes, advertisementIntervalMs } = instance.config;
      this.#effects.push({ type: 'add-addresses', instance: name, addresses, routes });
      this.#announceWithRepeats(instance);
      instance.timerMs = this.#now + advertisementIntervalMs;
      instance.wantsMaster = false;
      instance.master = instance.source;
      this.#count(instance, 'became_master');
      this.#role(instance, 'master', reason);
    }
    // The RFC has the advertisement first. A predecessor that hands over lets go when it hears it, so it must not
    // hear it before the addresses are here.
    for (const instance of instances) this.#send(instance, instance.config.priority, true);
  }

  #advertisement(instance: Mutable<InstanceState>, heard: Advertisement, source: string, atMs: number): void {
    this.#count(instance, heard.priority === 0 ? 'priority_zero_received' : 'advertisements_received');
    if (this.#group.phase === 'leaving') return this.#successor(instance, heard);
    if (this.#group.phase !== 'running') return;
    if (instance.state === 'backup') return this.#heardAsBackup(instance, heard, source, atMs);
    if (instance.state === 'master') return this.#heardAsMaster(instance, heard, source, atMs);
  }

  /** RFC 9568 section 6.4.2. */
  #heardAsBackup(instance: Mutable<InstanceState>, heard: Advertisement, source: string, atMs: number): void {
    if (heard.priority === 0) {
      instance.timerMs = atMs + skewTimeMs(instance.config.priority, instance.activeAdverIntervalMs);
      instance.wantsMaster = false;
      return;
    }
    instance.master = source;
    if (heard.priority < instance.config.priority && this.#mayPreempt(instance, atMs)) return;
    if (heard.priority >= instance.config.priority) instance.lowerMasterSinceMs = undefined;
    instance.activeAdverIntervalMs = heard.advertisementIntervalMs;
    instance.timerMs = atMs + masterDownIntervalMs(instance.config.priority, heard.advertisementIntervalMs);
    instance.wantsMaster = false;
  }

  /** Whether a lower master's advertisement is to be discarded, so that Master_Down_Timer runs out. */
  #mayPreempt(instance: Mutable<InstanceState>, atMs: number): boolean {
    const { preempt } = instance.config;
    if (preempt.mode === 'never') return false;
    instance.lowerMasterSinceMs ??= atMs;
    return atMs - instance.lowerMasterSinceMs >= preempt.delayMs;
  }

  /** RFC 9568 section 6.4.3. */
  #heardAsMaster(instance: Mutable<InstanceState>, heard: Advertisement, source: string, atMs: number): void {
    const { priority, advertisementIntervalMs, preempt } = instance.config;
    if (heard.priority === 0) return this.#assert(instance);
    const stronger =
      heard.priority > priority ||
      (heard.priority === priority && compareAddresses(source, instance.source) > 0);
    // Silent for longer than the others wait: who speaks now has rightly taken over.
    const silentMs = atMs - (instance.timerMs - advertisementIntervalMs);
    const superseded = preempt.mode === 'never' && silentMs > 3 * advertisementIntervalMs;
    if (!stronger && !superseded) {
      this.#assert(instance);
      // Two masters were on the segment: neighbours may hold the other's MAC address.
      instance.announceAtMs = ANNOUNCE_REPEATS_MS.map((afterMs) => this.#now + afterMs);
      return;
    }
    const reason = stronger
      ? `${source} advertises priority ${heard.priority}`
      : `${source} took over while this director was silent`;
    for (const member of this.#group.instances) {
      if (member === instance) this.#listen(member, heard.advertisementIntervalMs, atMs, reason);
      else this.#listen(member, member.config.advertisementIntervalMs, this.#now, reason);
    }
    instance.master = source;
  }

  /** A losing advertisement is answered at once with one's own. */
  #assert(instance: Mutable<InstanceState>): void {
    this.#send(instance, instance.config.priority);
    instance.timerMs = this.#now + instance.config.advertisementIntervalMs;
  }

  #deadline(): void {
    const group = this.#group;
    if (this.#now >= group.leaveAtMs) return this.#left('handed over');
    if (this.#now >= group.retryAtMs) this.#startUp('tries again');
    for (const instance of group.instances) {
      if (instance.state === 'master') this.#masterDeadline(instance);
      else if (instance.state === 'backup' && this.#now >= instance.timerMs) {
        this.#wantMaster(instance);
      }
    }
    this.#goMasterWhenAllWant('no advertisement from a master');
  }

  #masterDeadline(instance: Mutable<InstanceState>): void {
    if (this.#now >= (instance.announceAtMs[0] ?? Number.POSITIVE_INFINITY)) {
      this.#announce(instance);
      instance.announceAtMs = instance.announceAtMs.filter((at) => at > this.#now);
    }
    if (this.#now < instance.timerMs) return;
    this.#send(instance, instance.config.priority);
    const next = instance.timerMs + instance.config.advertisementIntervalMs;
    // Absolute, so that lateness does not add up; after a stall, from now.
    instance.timerMs = next > this.#now ? next : this.#now + instance.config.advertisementIntervalMs;
  }

  #link(name: string, up: boolean): void {
    const instance = this.#find(name);
    if (instance === undefined || instance.linkUp === up) return;
    instance.linkUp = up;
    if (this.#group.phase === 'leaving' && !up)
      return this.#left(`link of ${linksOf(instance.config, 'or')} is down`);
    if (this.#group.phase !== 'running') return;
    if (!up) return this.#fault(`link of ${linksOf(instance.config, 'or')} is down`);
    if (this.#group.instances.every((i) => i.linkUp && i.state === 'fault')) {
      this.#startUp(`link of ${linksOf(instance.config, 'and')} is up`);
    }
  }

  /** The whole group gives up: what still has a link says farewell, so that the peer is quick. */
  #fault(reason: string): void {
    for (const instance of this.#group.instances) {
      if (instance.state === 'master' && instance.linkUp) this.#send(instance, 0);
      this.#release(instance);
      instance.timerMs = Number.POSITIVE_INFINITY;
      instance.wantsMaster = false;
      instance.master = undefined;
      this.#role(instance, 'fault', reason);
    }
  }

  #addressFailed(name: string): void {
    const instance = this.#find(name);
    if (instance?.state !== 'master' || this.#group.phase !== 'running') return;
    this.#fault(`an address of ${name} was refused`);
    this.#group.retryAtMs = this.#now + ADDRESS_RETRY_MS;
  }

  #withdrawn(): void {
    if (this.#group.phase === 'leaving') return this.#left('withdrawn by the guardian');
    for (const instance of this.#group.instances) {
      if (instance.state !== 'master') continue;
      this.#listen(
        instance,
        instance.config.advertisementIntervalMs,
        this.#now,
        'withdrawn by the guardian after a stall',
      );
    }
  }

  /**
   * A master says farewell but keeps its addresses until the successor spoke: make before break.
   * RFC 9568 section 6.4.3 goes to Initialize at once; docs/decisions tells why we wait.
   */
  #stop(): void {
    const group = this.#group;
    if (group.phase === 'stopped') return;
    if (group.phase === 'leaving') return this.#left('told to stop at once');
    if (!group.instances.some((instance) => instance.state === 'master')) return this.#left('stopped');
    group.phase = 'leaving';
    for (const instance of group.instances) {
      this.#send(instance, 0);
      instance.timerMs = Number.POSITIVE_INFINITY;
      instance.announceAtMs = [];
    }
    const holds = group.instances.map((i) => handOverHoldMs(i.config.advertisementIntervalMs));
    group.leaveAtMs = this.#now + Math.max(...holds);
  }

  #successor(instance: Mutable<InstanceState>, heard: Advertisement): void {
    if (heard.priority === 0 || instance.succeeded) return;
    instance.succeeded = true;
    if (!this.#group.instances.every((i) => i.succeeded)) return;
    this.#group.leaveAtMs = Math.min(this.#group.leaveAtMs, this.#now + SUCCESSOR_GRACE_MS);
  }

  #left(reason: string): void {
    this.#group.phase = 'stopped';
    this.#group.leaveAtMs = Number.POSITIVE_INFINITY;
    this.#group.retryAtMs = Number.POSITIVE_INFINITY;
    for (const instance of this.#group.instances) {
      this.#release(instance);
      instance.timerMs = Number.POSITIVE_INFINITY;
      instance.wantsMaster = false;
      this.#role(instance, 'initialize', reason);
    }
    this.#effects.push({ type: 'stopped' });
  }

  #configure(configs: readonly VrrpInstance[]): void {
    for (const config of configs) {
      const instance = this.#find(config.name);
      if (instance === undefined) continue;
      const before = instance.config;
      instance.config = config;
      if (instance.state !== 'master' || this.#group.phase !== 'running') continue;
      const { added, removed } = addressDifference(before.addresses, config.addresses);
      this.#send(instance, config.priority);
      instance.timerMs = this.#now + config.advertisementIntervalMs;
      const name = config.name;
      if (added.length > 0) {
        this.#effects.push({ type: 'add-addresses', instance: name, addresses: added, routes: [] });
        this.#announceWithRepeats(instance);
      }
      if (removed.length > 0) {
        this.#effects.push({ type: 'remove-addresses', instance: name, addresses: removed, routes: [] });
      }
    }
  }
}
