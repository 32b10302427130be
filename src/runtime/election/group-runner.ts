/** Runs one VRRP group: feeds inputs to the pure machine, executes its effects in order, keeps its one timer. */
import { OWNER_PRIORITY, type VirtualAddress, type VrrpInstance } from '../../config/model.js';
import { step } from '../../vrrp/group.js';
import type {
  CounterName,
  GroupEffect,
  GroupInput,
  GroupState,
  InstanceState,
  Notice,
  VrrpState,
} from '../../vrrp/group-types.js';
import type { Holdings } from '../guardian/guardian-orders.js';
import type {
  Addresses,
  Announcer,
  Clock,
  Log,
  LostRouting,
  RoutesAndRules,
  Routing,
  VrrpTransport,
} from '../ports.js';
import { Changes } from './changes.js';
import type { Deadlines, Drained, Waiting } from './deadlines.js';
import { OwnPackets } from './own-packets.js';
import { hasAddress, Repairs } from './repairs/repairs.js';
import { type GroupTakeover, LEAD_MS } from './takeover-keeper.js';

/** A change of state, for the log, the services and the hooks. */
export interface RoleEvent {
  readonly instance: string;
  readonly from: VrrpState;
  readonly to: VrrpState;
  readonly reason: string;
}

export interface GroupRunnerPorts {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly addresses: Addresses;
  readonly routing: Routing;
  readonly announcer: Announcer;
  readonly log: Log;
  /** Whether another group is master with this very address: it moves between instances in a reload. */
  isHeldElsewhere(address: VirtualAddress): boolean;
  /** Undefined while the instance cannot speak. */
  transport(instance: string): VrrpTransport | undefined;
  /** A role or the settings of an instance changed. */
  onChange(): void;
  onRole(event: RoleEvent): void;
  onNotice(instance: string, notice: Notice): void;
  /** Undefined when the guardian knows of every address that may be added now, else when it will. */
  guarded(): Promise<void> | undefined;
  /** Whether its virtual addresses have to wait for the address that it speaks from: before it they would take its place. */
  isAwaitingSource(instance: string): boolean;
  /** The takeover that may come next. */
  readonly takeover: GroupTakeover;
  /** The machine, `vrrp/group.ts` unless given: the simulator watches every step. */
  readonly step?: typeof step | undefined;
}

export interface StopOptions {
  readonly silently?: boolean;
  readonly onLeft?: (succeeded: boolean) => void;
}

/** Backlog of address work that a sane kernel never reaches. */
const MAX_PENDING_CHANGES = 1000;

const NOTHING_DONE: ReadonlySet<GroupEffect> = new Set();

export class GroupRunner implements Waiting {
  readonly #ports: GroupRunnerPorts;
  readonly #counters = new Map<string, Map<CounterName, number>>();
  readonly #ownPackets = new OwnPackets();
  readonly #untold: (() => void)[] = [];
  /** Those of addresses that are not done yet. */
  readonly changes = new Changes();
  #state: GroupState;
  #deadlineMs = Number.POSITIVE_INFINITY;
  /** The guardian has orders for the takeover that is due at the deadline. */
  #isReady = false;
  #cancelTimer: () => void = () => {};
  /** Address changes and announcements, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #onStopped: () => void = () => {};
  #stopped: Promise<void> | undefined;
  #onLeft: (succeeded: boolean) => void = () => {};
  /** Another runner has its instances now. */
  #released = false;
  readonly #repairs: Repairs;
  readonly #step: typeof step;

  constructor(state: GroupState, ports: GroupRunnerPorts) {
    this.#state = state;
    this.#ports = ports;
    this.#step = ports.step ?? step;
    this.#repairs = new Repairs({
      ...ports,
      held: () => this.#held(),
      idle: () => this.#idle(),
      inTurn: (work) => this.#inTurn(work),
      announce: (instance, addresses) => this.#announce(instance, addresses),
      onGivenUp: (instance) => this.input({ type: 'address-failed', instance }),
    });
  }

  get state(): GroupState {
    return this.#state;
  }

  counters(instance: string): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counters.get(instance) ?? []);
  }

  input(input: GroupInput): void {
    if (this.#released) return;
    const before = this.#state;
    const result = this.#step(before, input, this.#ports.clock.nowMs());
    this.#state = result.state;
    if (before.phase === 'leaving' && result.state.phase === 'stopped') {
      this.#onLeft(before.instances.some(({ succeeded }) => succeeded));
    }
    const takesOver = result.effects.some(({ type }) => type === 'add-addresses');
    if (this.#isReady && !takesOver) this.#ports.takeover.standDown();
    this.#isReady = false;
    let changed = input.type === 'configure' || input.type === 'source' || input.type === 'maintenance';
    if (result.state.syncVoidMs !== before.syncVoidMs) changed = true;
    // Not past changes that are under way: what is added now would be removed by them.
    const done = takesOver && this.isIdle ? this.#ports.takeover.fire(result.effects) : NOTHING_DONE;
    for (const effect of result.effects) {
      if (effect.type === 'role') changed = true;
      if (!done.has(effect)) this.#run(effect);
    }
    this.#rearm(result.deadlineMs, result.fromMs);
    if (input.type === 'configure') this.#repairs.configured(before.instances.map(({ config }) => config));
    if (changed) this.#ports.onChange();
  }

  /** Whether the kernel may have an address of this instance: the guardian must know it until it is gone. */
  holds({ state, config }: InstanceState): boolean {
    return state === 'master' || this.changes.isChanging(config.name);
  }

  /**
   * Leaves in good order, or has left; resolves when the kernel holds nothing of it any more. `silently`: as the input says.
   * `onLeft` is called before addresses are removed after a hand-over: whether anybody took over.
   */
  stop({ silently = false, onLeft }: StopOptions = {}): Promise<void> {
    if (this.#state.phase === 'stopped') return this.#stopped ?? Promise.resolve();
    if (onLeft !== undefined) this.#onLeft = onLeft;
    this.#stopped ??= new Promise((resolve) => {
      this.#onStopped = resolve;
      this.input({ type: 'stop', silently });
    });
    return this.#stopped;
  }

  /** Resolves when the kernel has what the machine told until then. */
  async idle(): Promise<void> {
    await this.#work;
  }

  get isIdle(): boolean {
    return this.changes.count === 0;
  }

  /** Its instances go on elsewhere: it does nothing any more, and puts nothing back. */
  release(): void {
    this.#released = true;
    this.#cancelTimer();
  }

  get isReleased(): boolean {
    return this.#released;
  }

  /** An instance of a runner that is released goes on here, as `name`. */
  takeOver(from: GroupRunner, instance: string, name: string): void {
    const counters = from.#counters.get(instance);
    if (counters !== undefined) this.#counters.set(name, new Map(counters));
    this.changes.takeOver(from.changes, instance, name);
    // What is missing is looked for here.
    this.#repairs.takeOver(from.#repairs, instance, name);
  }

  /** An address came or went, whoever did it. */
  addressChanged(address: string, interfaceName: string, added: boolean): void {
    if (!this.#state.instances.some(({ config }) => hasAddress(config, address, interfaceName))) return;
    if (added) this.#repairs.addressFound(address, interfaceName);
    else this.#repairs.addressLost(address, interfaceName);
  }

  /** The wait for its source is over: what went along with that is put back. */
  sourceAwaited(instance: string): void {
    this.#repairs.look(instance);
  }

  routingLost(lost: LostRouting): void {
    this.#repairs.routingLost(lost);
  }

  /** Why the kernel has not what the role of an instance asks for; undefined when it has. */
  troubleOf(instance: string): string | undefined {
    return this.#repairs.troubleOf(instance);
  }

  /** Behind the changes that are under way: what they have not done yet is not missing. Nobody waits for it. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /** Instances whose addresses and routes ought to be in the kernel. */
  #held(): VrrpInstance[] {
    // A master that hands over holds them, too: it may have to go on when nobody takes over.
    return this.#state.instances.map(({ config }) => config).filter(({ name }) => this.#isMaster(name));
  }

  /** Instances of which the kernel ought to have nothing. An address owner's addresses are its host's own. */
  #idle(): VrrpInstance[] {
    if (this.#released || this.#state.phase === 'stopped') return [];
    return this.#state.instances
      .filter((one) => !this.holds(one) && one.config.priority !== OWNER_PRIORITY)
      .map(({ config }) => config);
  }

  #rearm(deadlineMs: number, fromMs: number): void {
    if (deadlineMs === this.#deadlineMs) return;
    this.#cancelTimer();
    this.#deadlineMs = deadlineMs;
    this.#cancelTimer = () => {};
    if (deadlineMs < Number.POSITIVE_INFINITY) {
      this.#cancelTimer = this.#ports.deadlines.at(deadlineMs, fromMs, this);
    }
  }

  addTransports(to: Set<Drained>): void {
    for (const { config } of this.#state.instances) {
      const transport = this.#ports.transport(config.name);
      if (transport !== undefined) to.add(transport);
    }
  }

  get leadMs(): number {
    return this.#ports.takeover.isPrepared() ? LEAD_MS : 0;
  }

  /** What the machine would do at its deadline is thrown away: something may still be heard. */
  makeReady(): void {
    const { effects } = step(this.#state, { type: 'deadline' }, this.#deadlineMs);
    this.#isReady = this.isIdle && this.#ports.takeover.makeReady(effects);
  }

  due(): void {
    this.#deadlineMs = Number.NaN;
    this.#cancelTimer = () => {};
    this.input({ type: 'deadline' });
  }

  #config(name: string): VrrpInstance | undefined {
    return this.#state.instances.find((instance) => instance.config.name === name)?.config;
  }

  #run(effect: GroupEffect): void {
    switch (effect.type) {
      case 'send':
        if (!effect.afterAddresses) return this.#send(effect.instance, effect.priority);
        this.#work = this.#work.then(() => {
          // The role may have gone meanwhile, or a farewell been said.
          if (this.#state.phase === 'running' && this.#isMaster(effect.instance))
            this.#send(effect.instance, effect.priority);
        });
        return;
      case 'add-addresses':
        return this.#add(effect.instance, effect.addresses, effect);
      case 'remove-addresses':
        return this.#remove(effect.instance, effect.addresses, effect);
      case 'announce':
        return this.#announce(effect.instance, effect.addresses);
      case 'role': {
        const { instance, from, to, reason } = effect;
        return this.#soon(() => {
          const text = `${instance}: ${from} -> ${to}`;
          this.#ports.log.info({ event: 'role', instance, from, to, reason }, text);
          this.#ports.onRole({ instance, from, to, reason });
        });
      }
      case 'notice':
        return this.#soon(() => this.#ports.onNotice(effect.instance, effect.notice));
      case 'count': {
        const counters = this.#counters.get(effect.instance) ?? new Map<CounterName, number>();
        counters.set(effect.counter, (counters.get(effect.counter) ?? 0) + 1);
        this.#counters.set(effect.instance, counters);
        return;
      }
      case 'stopped':
        void this.#work.then(() => this.#onStopped());
    }
  }

  #add(instance: string, addresses: readonly VirtualAddress[], routing: RoutesAndRules): void {
    this.#change(instance, async () => {
      const guarded = this.#ports.guarded();
      if (guarded !== undefined) await guarded;
      // They come when that wait is over (`sourceAwaited`), or are to be removed already.
      if (this.#ports.isAwaitingSource(instance) || !this.#isMaster(instance)) return;
      await this.#ports.addresses.add(addresses);
      if (routing.routes.length + routing.rules.length > 0) await this.#addRouting(instance, routing);
      this.#tell('added', instance);
    });
  }

  /** A place that somebody else has taken is waited for: he may need it more than the role needs to move. */
  async #addRouting(instance: string, routing: RoutesAndRules): Promise<void> {
    try {
      await this.#ports.routing.add(routing);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ERR_FOREIGN_ROUTE')) throw error;
      this.#repairs.missing(instance, error);
    }
  }

  #remove(instance: string, addresses: readonly VirtualAddress[], routing: RoutesAndRules): void {
    if (!this.#isMaster(instance)) this.#repairs.forget(instance);
    this.#ports.announcer.cancel(addresses);
    const remove = async (): Promise<void> => {
      if (routing.routes.length + routing.rules.length > 0) await this.#ports.routing.remove(routing);
      await this.#ports.addresses.remove(addresses.filter((one) => !this.#ports.isHeldElsewhere(one)));
      this.#tell('removed', instance);
    };
    this.#change(instance, remove, { ...routing, addresses });
  }

  #tell(action: 'added' | 'removed', instance: string): void {
    this.#soon(() =>
      this.#ports.log.info({ event: 'addresses', action, instance }, `${instance}: addresses ${action}`),
    );
  }

  /** People and the services hear of it when the network has: words take as long as an address does. */
  #soon(tell: () => void): void {
    if (this.#untold.push(tell) > 1) return;
    const { clock } = this.#ports;
    clock.at(clock.nowMs(), () => {
      for (const words of this.#untold.splice(0)) words();
    });
  }

  #send(instance: string, priority: number): void {
    const transport = this.#ports.transport(instance);
    const config = this.#config(instance);
    if (transport === undefined || config === undefined) return;
    this.#ports.deadlines.outbox.send(transport, this.#ownPackets.of(config, priority, transport), (error) =>
      // The link may have gone this very moment; the link event says the rest.
      this.#ports.log.warn({ instance, err: error }, `${instance}: an advertisement could not be sent`),
    );
  }

  /** Queues a change of addresses; a refusal goes back to the machine as an input. */
  #change(instance: string, change: () => Promise<void>, leaving?: Holdings): void {
    if (this.changes.count >= MAX_PENDING_CHANGES)
      throw new Error('address changes pile up: the kernel does not answer');
    const end = this.changes.begin(instance, leaving);
    this.#work = this.#work.then(change).catch((error: unknown) => {
      this.#ports.log.error({ instance, err: error }, `${instance}: the kernel refused an address change`);
      this.input({ type: 'address-failed', instance });
    });
    this.#work = this.#work.finally(() => {
      end();
      // What is gone needs no guardian any more.
      const isGone = !this.changes.isChanging(instance) && !this.#isMaster(instance);
      if (isGone || leaving !== undefined) this.#ports.onChange();
    });
  }

  /** What is released is master of nothing, whatever it was. */
  #isMaster(instance: string): boolean {
    if (this.#released) return false;
    return this.#state.instances.some(({ config, state }) => config.name === instance && state === 'master');
  }

  #announce(instance: string, addresses: readonly VirtualAddress[]): void {
    this.#work = this.#work.then(() => {
      // Behind address work: neighbours must not be told of a master that is none any more.
      if (!this.#isMaster(instance) || this.#ports.isAwaitingSource(instance)) return;
      try {
        this.#ports.announcer.announce(addresses);
      } catch (error) {
        this.#ports.log.warn({ err: error }, 'gratuitous ARP could not be sent');
      }
    });
  }
}
