/**
 * One life of a director's process: the real VrrpService with all that it runs (groups, timers, guardian keeper, lease,
 * takeovers made ready, restorer), on ports that end in the simulated world.
 */
import {
  type DirectorConfig,
  NO_IPVS_SETTINGS,
  type TrackedObject,
  type VirtualAddress,
} from '../../../src/config/model.js';
import { VrrpService } from '../../../src/runtime/election/vrrp-service.js';
import type { Addresses, Announcer, KeptVirtualMacs, Log } from '../../../src/runtime/ports.js';
import { DeadlineClock } from '../../../src/util/deadline-clock.js';
import type {
  GroupEffect,
  GroupInput,
  GroupState,
  GroupStep,
  InstanceState,
} from '../../../src/vrrp/group-types.js';
import type { Director, File } from './director.js';
import { GuardianLink } from './guardian.js';
import type { Seen } from './interface.js';
import type { Machine } from './machine.js';
import { NO_BFD } from './no-bfd.js';
import type { Packet } from './packet.js';
import { Refused } from './refused.js';
import { interfaceOf, routerOf, type Scenario, segmentOf, sourceOf, TRACKED_OBJECT } from './scenario.js';
import { type SimulatedShot, Socket, shot } from './socket.js';
import type { World } from './world.js';

/** From what happens in the kernel until a process is told of it, at most. */
const NOTICE_MS = 0.2;

/** Of the sessions that expire. */
const BFD = { intervalMs: 15, multiplier: 3 };

/** Where something comes from that a process has to read: in which order it looks there nobody promises. */
type Source = 'timer' | 'soon' | 'kernel' | 'events' | 'guardian' | 'control';

/** A group as the judge sees it. */
export interface GroupView {
  state: GroupState;
  /** By a reload, of instances that ran already. */
  readonly isFormed: boolean;
}

export class Shell {
  readonly director: Director;
  readonly sockets = new Set<Socket>();
  readonly guardian: GuardianLink;
  /** By router: the group that it is in, or was in last. */
  readonly #groups: (GroupView | undefined)[];
  /** What it was told of interfaces and macvlan devices, by name. */
  readonly #seen: Map<string, Seen>;
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #machine: Machine;
  readonly #clock: DeadlineClock;
  readonly #service: VrrpService;
  /** It has ended, however: nothing reaches it any more. */
  #over = false;
  /** While the process does not run. */
  #unread: { readonly source: Source; readonly run: () => void }[] = [];
  /** Handed to the kernel and not yet done. */
  readonly #inKernel = new Set<() => void>();
  #kernelDoneMs = 0;
  #toldMs = 0;
  /** What the services process knows: the last time at which a group had not heard for a while. */
  #toldVoidMs = Number.NEGATIVE_INFINITY;
  /** By router: address changes that the machine asked for and the kernel has not made. */
  readonly #owed: number[];
  #timer = 0;
  #starting: Promise<void> = Promise.resolve();
  #reloads: Promise<void> = Promise.resolve();
  #stopping = false;
  /** What the routers are called by the groups that there are. */
  #names: readonly string[] = [];

  constructor(director: Director, world: World, scenario: Scenario, machine: Machine) {
    this.director = director;
    this.#world = world;
    this.#scenario = scenario;
    this.#machine = machine;
    this.#owed = scenario.routers.map(() => 0);
    this.#groups = scenario.routers.map(() => undefined);
    const devices = [
      ...director.linkDowns.map((_, segment) => interfaceOf(segment)),
      ...director.macvlans.names,
    ];
    this.#seen = new Map(devices.map((name) => [name, director.seen(name)]));
    this.#clock = new DeadlineClock({
      nowMs: () => director.nowMs(),
      set: (atMs) => this.#setTimer(atMs),
      soon: (callback) => this.#soon(callback),
    });
    this.guardian = new GuardianLink(director, world, {
      tell: (read) => this.#read('guardian', read),
      onActed: () => this.#service.withdrawn(),
    });
    this.#service = this.#create();
  }

  // ---- life ----

  start(): void {
    const { director } = this;
    this.#nameAsIn(director.file);
    if (director.maintenances > 0) this.#maintain(true);
    // The state file remembers what earlier files said, too.
    const leftBehind = this.#scenario.directors[director.number]?.variants.flat() ?? [];
    const addresses = leftBehind.flatMap((instance) => instance.addresses);
    this.#starting = this.#service.start(this.#config(director.file), addresses);
    void this.#promise(this.#starting);
  }

  /**
   * As cli/processes/daemon.ts: the start ends first; a second time it hurries, and what the first one began still has to
   * end.
   */
  stop(): void {
    this.#read('control', () => {
      const isFirst = !this.#stopping;
      this.#stopping = true;
      const stopped = this.#starting.then(() => this.#service.stop());
      void this.#promise(stopped, () => {
        if (isFirst) this.director.ended();
      });
    });
  }

  /** What was handed to the kernel is done, what stood in line is not. */
  die(): void {
    this.#over = true;
    for (const work of this.#inKernel) {
      try {
        work();
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
    }
    this.#inKernel.clear();
  }

  /** What came while it did not run, one turn of the event loop after the other. */
  wake(): void {
    const { random } = this.#world;
    const turns = new Map<Source | Socket, (() => void)[]>();
    for (const { source, run } of this.#unread)
      turns.set(source, [...(turns.get(source) ?? []), () => this.#read(source, run)]);
    for (const socket of this.sockets)
      if (socket.waiting > 0) turns.set(socket, [() => this.#turn(() => socket.drain())]);
    this.#unread = [];
    const order = [...turns.values()];
    for (let at = order.length - 1; at > 0; at--) {
      const other = random.whole(0, at);
      [order[at], order[other]] = [order[other] ?? [], order[at] ?? []];
    }
    for (const run of order.flat()) this.#world.at(this.#world.nowMs, run);
  }

  // ---- what the world does ----

  linksChanged(): void {
    this.#read('events', () => {
      for (let segment = 0; segment < this.#scenario.segments; segment++)
        this.#service.linkChanged(interfaceOf(segment));
    });
  }

  /** The kernel tells of an address that came or went, whoever did it. */
  addressChanged(address: string, interfaceName: string, added: boolean): void {
    this.#tell(() =>
      this.#service.addressChanged({ address, interface: interfaceName, added, dadFailed: false }),
    );
  }

  /** In the order in which things happened in the kernel. */
  #tell(read: () => void): void {
    this.#toldMs = Math.max(this.#toldMs, this.#world.nowMs + this.#world.random.unit() * NOTICE_MS);
    this.#world.at(this.#toldMs, () => this.#read('events', read));
  }

  /** The address to speak from came or went. */
  sourceChanged({ name, address, seen }: { name: string; address: string; seen: Seen }): void {
    this.#tell(() => {
      this.#seen.set(name, seen);
      this.#service.addressChanged({
        address,
        interface: name,
        added: seen.hasSource,
        dadFailed: false,
      });
    });
  }

  /** A device came or went. */
  interfaceChanged(name: string, seen: Seen): void {
    this.#tell(() => {
      this.#seen.set(name, seen);
      this.#service.linkChanged(name);
    });
  }

  #catchUp(): Promise<void> {
    this.#world.awaitPromises();
    return new Promise((resolve) => {
      this.#tell(() => {
        this.#world.awaitPromises();
        resolve();
      });
    });
  }

  /** The queues are read first, as bfd-runner.ts does. Who stands still listens before it loses anybody (bfd/machine.ts). */
  lose(peer: number, segment: number): void {
    if (this.director.process === 'paused') return;
    const source = sourceOf(peer, segment);
    this.#read('timer', () => {
      for (const socket of this.sockets) if (socket.isOnDevice) socket.drain();
      const heardAtMs = this.director.nowMs() - BFD.intervalMs * BFD.multiplier;
      for (const [router, group] of this.#groups.entries()) {
        const instance = this.instance(router);
        if (group === undefined || this.#scenario.routers[router]?.segment !== segment) continue;
        if (instance?.master !== source) continue;
        this.#world.judge.loses(this.director, router);
        const lost = { source, heardAtMs, intervalMs: BFD.intervalMs };
        this.#service.peerLost(instance.config.name, lost);
      }
    });
  }

  tracked(object: string): void {
    this.#read('control', () => this.#service.tracked(object, this.director.isDown(object) ? 'down' : 'up'));
  }

  syncProgress(complete: boolean): void {
    const saidMs = this.#world.nowMs;
    const asOfMs = this.#toldVoidMs;
    this.#read('control', () => {
      this.#world.judge.isTold(this.director, complete, saidMs);
      this.#service.syncProgress({ complete, text: complete ? 'complete' : 'not complete' }, asOfMs);
    });
  }

  #tellServices(): void {
    for (const { config } of this.#service.states())
      this.#toldVoidMs = Math.max(this.#toldVoidMs, this.#service.syncVoidMs(config.name));
  }

  maintenanceChanged(): void {
    this.#read('control', () => this.#maintain(this.director.maintenances > 0));
  }

  configure(file: File): void {
    this.#read('control', () => {
      this.#reloads = Promise.all([this.#starting, this.#reloads]).then(async () => {
        if (this.#over || this.#stopping) return;
        this.director.file = file;
        const before = new Set(this.#service.states().map(({ config }) => routerOf(config.name)));
        await this.#service.reconfigure(this.#config(file));
        this.#nameAsIn(file);
        // The operator means the whole director: what the file brings as well.
        const brought = this.#names.filter((_, router) => !before.has(router));
        if (this.director.maintenances > 0) this.#service.maintenance(brought, true);
      });
      void this.#promise(this.#reloads);
    });
  }

  /** A packet has come through the wire. Returns false when there is no room for it. */
  deliver(interfaceName: string, packet: Packet): boolean {
    const { director } = this;
    let taken = true;
    for (const socket of this.sockets) {
      if (socket.interface !== interfaceName || !socket.isOnDevice) continue;
      taken = socket.take(packet, director.nowMs(), director.plan.socketQueue) && taken;
      // What is heard waits for no promise, unless the machine says more to it than that (`#takes`).
      if (director.process === 'running') this.#guarded(() => socket.drain());
    }
    return taken;
  }

  // ---- for the judge ----

  instance(router: number): InstanceState | undefined {
    return this.#groups[router]?.state.instances.find(({ config }) => routerOf(config.name) === router);
  }

  /** Routers of the group that has this one now, whatever a file says that is being read. */
  companions(router: number): readonly number[] | undefined {
    return this.#groups[router]?.state.instances.map(({ config }) => routerOf(config.name));
  }

  /** Address work of it stands in line or is under way. */
  isWorking(router: number): boolean {
    return (this.#owed[router] ?? 0) > 0;
  }

  unreadOf({ state }: GroupView): number {
    let unread = 0;
    for (const socket of this.sockets) {
      const on = state.instances.filter(({ config }) => config.interface === socket.interface);
      if (socket.waiting > 0) unread += socket.unreadOf(on.map(({ config }) => routerOf(config.name)));
    }
    return unread;
  }

  // ---- turns of the event loop ----

  /** At once, or when the process runs again. */
  #read(source: Source, run: () => void): void {
    if (this.#over) return;
    if (this.director.process === 'paused') this.#unread.push({ source, run });
    else this.#turn(run);
  }

  #turn(run: () => void): void {
    if (this.#over) return;
    this.#world.lookForPromises();
    this.#guarded(run);
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#world.judge.threw(this.director, error);
    }
  }

  async #promise(work: Promise<unknown>, whenDone: () => void = () => {}): Promise<void> {
    this.#world.awaitPromises();
    try {
      await work;
    } catch (error) {
      if (!this.#over) this.#world.judge.threw(this.director, error);
      return;
    }
    if (!this.#over) whenDone();
  }

  #setTimer(atMs: number): void {
    this.#timer += 1;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const timer = this.#timer;
    const world = this.#world;
    const dueMs =
      Math.max(this.director.worldMs(atMs), world.nowMs) + world.random.unit() * this.#scenario.latenessMs;
    world.at(dueMs + 1e-6, () => {
      if (timer === this.#timer) this.#read('timer', () => this.#clock.wake());
    });
  }

  #soon(callback: () => void): () => void {
    let cancelled = false;
    this.#world.at(this.#world.nowMs, () =>
      this.#read('soon', () => {
        if (!cancelled) callback();
      }),
    );
    return () => {
      cancelled = true;
    };
  }

  /** Asks the kernel; its answers come in the order of the questions. */
  #ask<T>(work: () => T): Promise<T> {
    const world = this.#world;
    world.awaitPromises();
    return new Promise((resolve, reject) => {
      const inKernel = (): void => void work();
      this.#inKernel.add(inKernel);
      this.#kernelDoneMs = Math.max(
        this.#kernelDoneMs,
        world.nowMs + world.random.unit() * this.#scenario.addressWorkMs,
      );
      world.at(this.#kernelDoneMs, () => {
        if (!this.#inKernel.delete(inKernel)) return;
        let answer: () => void;
        try {
          const result = work();
          answer = () => resolve(result);
        } catch (error) {
          answer = () => reject(error);
        }
        this.#read('kernel', () => {
          world.awaitPromises();
          answer();
        });
      });
    });
  }

  // ---- the service and its ports ----

  #create(): VrrpService {
    const { director } = this;
    const world = this.#world;
    const done = () => {
      world.awaitPromises();
      return Promise.resolve();
    };
    return new VrrpService({
      clock: this.#clock,
      openTransport: (channel, onMessage) => {
        const socket = new Socket(this, channel, onMessage);
        this.sockets.add(socket);
        return socket;
      },
      addresses: this.#addresses(),
      routing: { add: () => done().then(() => []), remove: done, clear: () => done().then(() => 0) },
      virtualMacs: {
        keep: (wanted) => {
          const isNothing = wanted.length + director.macvlans.names.length === 0;
          return isNothing ? done().then(() => NO_DEVICES) : this.#ask(() => director.keepMacVlans(wanted));
        },
      },
      acceptFilter: { drop: done },
      announcer: this.#announcer(),
      links: {
        isUp: (name) => director.linkUp(segmentOf(name)),
        index: (name) => this.#seen.get(name)?.index,
        holds: (name) => this.#seen.get(name)?.hasSource === true,
        catchUp: () => this.#catchUp(),
        close: () => {},
      },
      openVolley: (shots) => () => shots.every((one) => (one as SimulatedShot).fire()),
      guardian: this.guardian,
      bfd: NO_BFD,
      log: this.#log(),
      onRoles: () => this.#tellServices(),
      onRenamed: () => this.#nameAsIn(this.director.file),
      onRole: () => {},
      onNotice: (_, { kind }) => world.count(`notice ${kind}`),
      step: (state, input, nowMs) => this.#step(state, input, nowMs),
    });
  }

  #addresses(): Addresses {
    const { director } = this;
    const add = (addresses: readonly VirtualAddress[], early: readonly string[]) => {
      if (director.refusals > 0) throw new Refused('ENOBUFS');
      if (!director.canHold(addresses)) throw new Refused('ENODEV');
      const device = early.find((name) => !director.seen(name).hasSource);
      if (device !== undefined) this.#world.judge.addsBeforeSource(director, device);
      director.add(addresses);
    };
    const missing = (addresses: readonly VirtualAddress[]) => addresses.filter((one) => !director.holds(one));
    return {
      add: (addresses) => {
        const early = this.#withoutSource(addresses);
        return this.#ask(() => add(addresses, early)).finally(() => this.#done(addresses));
      },
      remove: (addresses) =>
        this.#ask(() => director.release(addresses)).finally(() => this.#done(addresses)),
      restore: (addresses) => {
        const early = this.#withoutSource(addresses);
        return this.#ask(() => {
          const lost = missing(addresses);
          if (lost.length > 0) add(lost, early);
          return lost;
        });
      },
      evict: async (addresses, isWanted = () => true) => {
        const present = await this.#ask(() => addresses.filter((one) => director.holds(one)));
        if (present.length === 0 || !isWanted()) return [];
        await this.#ask(() => director.release(present));
        return present;
      },
      held: (addresses) => this.#ask(() => addresses.filter((one) => director.holds(one))),
      shots: async (addresses) => {
        this.#world.awaitPromises();
        return addresses.map((one) =>
          shot(() => {
            if (director.refusals > 0 || director.holds(one) || !director.canHold([one])) return false;
            director.add([one]);
            return true;
          }),
        );
      },
    };
  }

  /** Interfaces of these that it knows to have lost the address to speak from. */
  #withoutSource(addresses: readonly VirtualAddress[]): readonly string[] {
    return addresses
      .map((one) => one.interface)
      .filter((name) => name === interfaceOf(segmentOf(name)) && this.#seen.get(name)?.hasSource === false);
  }

  #announcer(): Announcer {
    const announce = (addresses: readonly VirtualAddress[]) => this.director.announces(addresses);
    return {
      announce,
      fitsBurst: () => true,
      shots: (addresses) => [
        shot(() => {
          announce(addresses);
          return true;
        }),
      ],
      announced: () => {},
      cancel: () => {},
      close: () => {},
    };
  }

  #log(): Log {
    const tell = (_: object, message: string) => this.#world.trace(this.director.number, `says: ${message}`);
    return { debug: tell, info: tell, warn: tell, error: tell };
  }

  #config(file: File): DirectorConfig {
    const { track, layouts } = this.#scenario;
    const { groups, names } = layouts[file.layout] ?? layouts[0];
    const syncGroups = groups.flatMap((members, number) =>
      members.length < 2
        ? []
        : [{ name: `g${number}`, instances: members.map((one) => names[one] ?? ''), track }],
    );
    const present = new Set(groups.flat());
    const instances = this.director.instances(file).filter((_, router) => present.has(router));
    return {
      director: `d${this.director.number}`,
      peers: [],
      saysVrrp: true,
      instances,
      syncGroups,
      tracked: track.length === 0 ? [] : [TRACKED],
      hooks: [],
      permanentAddresses: false,
      connectionSync: undefined,
      peerChannel: undefined,
      ipvs: NO_IPVS_SETTINGS,
      virtualServers: [],
      masquerades: [],
      metrics: undefined,
    };
  }

  #maintain(on: boolean): void {
    // Its end is for all, those that are not in the file any more among them (`Maintenance.take`).
    const names = on ? this.#names : this.#scenario.layouts.flatMap((layout) => layout.names);
    this.#service.maintenance(names, on);
  }

  #nameAsIn({ layout }: File): void {
    const { names } = this.#scenario.layouts[layout] ?? this.#scenario.layouts[0];
    this.#names = names;
  }

  // ---- the machine, watched ----

  #step(before: GroupState, input: GroupInput, nowMs: number): GroupStep {
    const { judge } = this.#world;
    const view = this.#viewOf(before);
    const result = judge.guarded(this.director, () => this.#machine.step(before, input, nowMs));
    if (result === undefined) {
      return {
        state: before,
        effects: [],
        deadlineMs: Number.POSITIVE_INFINITY,
        fromMs: Number.POSITIVE_INFINITY,
      };
    }
    view.state = result.state;
    for (const effect of result.effects) this.#takes(effect);
    if (this.#world.tracing) this.#world.traceStep(this.director.number, before.name, input, result, nowMs);
    judge.stepped(this.director, view, before, input, result, nowMs);
    return result;
  }

  #takes(effect: GroupEffect): void {
    switch (effect.type) {
      case 'count':
        return;
      case 'send':
        if (effect.afterAddresses) this.#world.awaitPromises();
        return;
      case 'role':
        this.#world.count(`${effect.from} -> ${effect.to}`);
        break;
      case 'add-addresses':
      case 'remove-addresses': {
        const router = routerOf(effect.instance);
        this.#owed[router] = (this.#owed[router] ?? 0) + 1;
        break;
      }
      default:
    }
    this.#world.awaitPromises();
  }

  /** At the start leftovers are removed that nobody asked for. */
  #done(addresses: readonly VirtualAddress[]): void {
    for (const router of this.#owed.keys()) {
      if (this.director.maskOf(router, addresses) === 0) continue;
      this.#owed[router] = Math.max(0, (this.#owed[router] ?? 0) - 1);
    }
  }

  /** A state that no step has led to is that of a new group. */
  #viewOf(state: GroupState): GroupView {
    const [first] = state.instances;
    const known = first === undefined ? undefined : this.#groups[routerOf(first.config.name)];
    if (known?.state === state) return known;
    const isFormed = state.instances.some((one) => one.state !== 'initialize');
    const view = { state, isFormed };
    for (const { config } of state.instances) this.#groups[routerOf(config.name)] = view;
    this.#world.judge.begins(this.director, view);
    return view;
  }
}

const NO_DEVICES: KeptVirtualMacs = { faults: new Map(), mended: [], removed: [] };

const TRACKED: TrackedObject = {
  name: TRACKED_OBJECT,
  kind: { type: 'file', path: '/tracked' },
  intervalMs: 1000,
  rise: 1,
  fall: 1,
  debounceMs: 0,
};
