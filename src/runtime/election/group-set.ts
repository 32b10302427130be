/** The groups that run, and how a reload changes them: what differs and nothing else, and no master waits to be one again. */
import type { VrrpInstance } from '../../config/model.js';
import type { GroupPlan } from '../../planning/groups.js';
import { addressText } from '../../vrrp/address-difference.js';
import { formGroup, type GroupMember } from '../../vrrp/group-create.js';
import type { GroupInput, GroupState, InstanceState } from '../../vrrp/group-types.js';
import type { Channels } from './channels.js';
import type { GroupRunner } from './group-runner.js';
import { type Formed, isTakenBy, regrouping, sharesAddress } from './regrouping.js';

export interface Running {
  readonly plan: GroupPlan;
  readonly runner: GroupRunner;
}

export interface GroupSetPorts {
  readonly channels: Channels;
  nowMs(): number;
  /** Reads what has come for the running groups and was not looked at: it may be another master's. */
  catchUp(): void;
  createRunner(state: GroupState): GroupRunner;
  /** An instance that is to be, on its channel. */
  join(instance: VrrpInstance): GroupMember;
  /** What the operator said of an instance goes with it, and not with its name. */
  renamed(names: ReadonlyMap<string, string>): void;
  /** What a group has to be told of the world when it begins or its settings change. */
  news(running: Running): readonly GroupInput[];
}

/** A group that begins when those have left whose names or addresses it takes. */
interface Waiting {
  readonly formed: Formed<Running>;
  readonly on: Set<Running>;
  /** Somebody else took over what one of those held. */
  succeeded: boolean;
}

/** Looks until the kernel has what was told before; one that does not answer holds no reload for ever. */
const MAX_IDLE_LOOKS = 100;

export class GroupSet {
  readonly #ports: GroupSetPorts;
  #groups: Running[] = [];
  readonly #byInstance = new Map<string, GroupRunner>();
  #stopping = false;

  constructor(ports: GroupSetPorts) {
    this.#ports = ports;
  }

  get all(): readonly Running[] {
    return this.#groups;
  }

  runnerOf(instance: string): GroupRunner | undefined {
    return this.#byInstance.get(instance);
  }

  instances(): { state: InstanceState; runner: GroupRunner }[] {
    return this.#groups.flatMap(({ runner }) => runner.state.instances.map((state) => ({ state, runner })));
  }

  start(plans: readonly GroupPlan[]): void {
    for (const plan of plans) this.#begin({ plan, continuing: [], fresh: plan.instances });
  }

  /** Resolves when what leaves has left. */
  async reconfigure(plans: readonly GroupPlan[]): Promise<void> {
    await this.#idle();
    if (this.#stopping) return;
    const { kept: same, formed, leaving } = regrouping(this.#groups, plans);
    const kept = same.map(({ plan, running }) => ({ plan, runner: running.runner }));
    const renamed = formed.flatMap(({ continuing }) =>
      continuing.filter(({ before, name }) => before.name !== name),
    );
    if (renamed.length > 0)
      this.#ports.renamed(new Map(renamed.map(({ before, name }) => [before.name, name])));
    const held = new Set(
      this.instances()
        .filter(({ state }) => state.state === 'master')
        .flatMap(({ state }) => state.config.addresses.map(addressText)),
    );
    // Everybody has a place again before anything else happens.
    const parts = leaving
      .filter(({ isPart }) => isPart)
      .map((one) => this.#splitOff(one.running, one.instances));
    const leavers = leaving.filter(({ isPart }) => !isPart).map(({ running }) => running);
    const gone = parts.map(({ runner }) => runner.stop({ silently: true }));
    for (const part of parts) this.#forget(part);
    this.#groups = [...kept, ...parts, ...leavers];
    const waiting: Waiting[] = [];
    for (const one of formed) {
      const on = new Set(leavers.filter((leaver) => isTakenBy(leaver.plan, one.plan)));
      if (on.size === 0) this.#beginAndInherit(one, held);
      else waiting.push({ formed: this.#heldBack(one), on, succeeded: false });
    }
    for (const running of kept) this.#configure(running);
    await Promise.all([...gone, ...leavers.map((leaver) => this.#leave(leaver, waiting))]);
    this.#groups = plans.flatMap((plan) => this.#groups.find((running) => running.plan === plan) ?? []);
  }

  /** Hands over and leaves; a second call stops at once. Says whether a successor was heard. */
  async stop(): Promise<boolean> {
    if (this.#stopping) {
      const leaving = this.#groups.filter(({ runner }) => runner.state.phase === 'leaving');
      for (const { runner } of leaving) runner.input({ type: 'stop' });
      return false;
    }
    this.#stopping = true;
    let succeeded = false;
    const onLeft = (bySomebody: boolean): void => {
      succeeded ||= bySomebody;
    };
    const stopped = this.#groups.map(({ runner }) =>
      // One that leaves for a reload has told somebody else to listen.
      runner.state.phase === 'leaving' ? runner.stop() : runner.stop({ onLeft }),
    );
    await Promise.all(stopped);
    for (const running of this.#groups) this.#forget(running);
    this.#groups = [];
    return succeeded;
  }

  /** What is under way belongs to the groups as they are, and so does what has come for them. */
  async #idle(): Promise<void> {
    for (let looks = 0; looks < MAX_IDLE_LOOKS; looks++) {
      this.#ports.catchUp();
      const busy = this.#groups.filter(({ runner }) => !runner.isIdle);
      if (busy.length === 0 || this.#stopping) return;
      await Promise.all(busy.map(({ runner }) => runner.idle()));
    }
  }

  /** Those that go while others of their group go on get a group of their own. */
  #splitOff(running: Running, instances: readonly VrrpInstance[]): Running {
    const name = instances.map((one) => one.name).join(', ');
    const plan = { name, instances, track: running.plan.track };
    const continuing = instances.map((before) => ({ running, before, name: before.name }));
    return this.#form({ plan, continuing, fresh: [] });
  }

  /** Until a group can begin, those of it that run already do so alone. */
  #heldBack(formed: Formed<Running>): Formed<Running> {
    const continuing = formed.continuing.map(({ running, before, name }) => {
      const alone = this.#splitOff(running, [before]);
      this.#groups.push(alone);
      this.#byInstance.set(before.name, alone.runner);
      alone.runner.input({ type: 'formed' });
      return { running: alone, before, name };
    });
    return { ...formed, continuing };
  }

  /** A runner with the instances of others, which do nothing any more. */
  #form({ plan, continuing, fresh }: Formed<Running>): Running {
    const taken = continuing.flatMap(({ running: { runner }, before, name }) => {
      const instance = runner.state.instances.find(({ config }) => config.name === before.name);
      return instance === undefined ? [] : [{ group: runner.state, instance, name }];
    });
    const members = fresh.map((instance) => this.#ports.join(instance));
    const state = formGroup(
      plan.name,
      { continuing: taken, fresh: members },
      this.#ports.nowMs(),
      plan.track,
    );
    const runner = this.#ports.createRunner(state);
    for (const { running, before, name } of continuing) {
      running.runner.release();
      runner.takeOver(running.runner, before.name, name);
    }
    return { plan, runner };
  }

  #begin(formed: Formed<Running>): Running {
    const { continuing, plan } = formed;
    const running = this.#form(formed);
    const { runner } = running;
    this.#groups = this.#groups.filter((one) => !continuing.some((donor) => donor.running === one));
    this.#groups.push(running);
    for (const { name } of plan.instances) this.#byInstance.set(name, runner);
    for (const { before, name } of continuing)
      if (before.name !== name) this.#rename(before.name, name, plan);
    if (continuing.length > 0) {
      runner.input({ type: 'formed' });
      this.#configure(running);
    } else {
      for (const input of this.#ports.news(running)) runner.input(input);
      runner.input({ type: 'start' });
    }
    return running;
  }

  #rename(before: string, name: string, { instances }: GroupPlan): void {
    const instance = instances.find((one) => one.name === name);
    if (instance !== undefined) this.#ports.channels.join(instance);
    // Somebody else may be called so by now.
    if (this.#byInstance.get(before)?.isReleased !== true) return;
    this.#byInstance.delete(before);
    this.#ports.channels.leave(before);
  }

  #beginAndInherit(formed: Formed<Running>, held: ReadonlySet<string>): void {
    const { runner } = this.#begin(formed);
    if (formed.fresh.some((instance) => sharesAddress(instance, held))) runner.input({ type: 'inherit' });
  }

  #configure(running: Running): void {
    const { plan, runner } = running;
    const { channels } = this.#ports;
    for (const instance of plan.instances) {
      const source = channels.join(instance);
      const { name } = instance;
      runner.input({ type: 'source', instance: name, source, fault: channels.faultOf(name) });
    }
    runner.input({ type: 'configure', instances: plan.instances, track: plan.track });
    for (const input of this.#ports.news(running)) runner.input(input);
  }

  /** A group goes as a whole, and who takes its names or addresses begins. */
  #leave(running: Running, waiting: readonly Waiting[]): Promise<void> {
    const heirs = waiting.filter(({ on }) => on.has(running));
    const left = (succeeded: boolean) => {
      this.#forget(running);
      for (const heir of heirs) this.#bequeath(heir, running, succeeded);
    };
    const wasMaster = running.runner.state.instances.some(({ state }) => state === 'master');
    const stopped = running.runner.stop({ onLeft: left });
    // A backup has nothing to hand over.
    if (!wasMaster) left(true);
    return stopped;
  }

  #bequeath(heir: Waiting, from: Running, succeeded: boolean): void {
    heir.on.delete(from);
    heir.succeeded ||= succeeded;
    if (heir.on.size > 0 || this.#stopping) return;
    this.#ports.catchUp();
    const { runner } = this.#begin(heir.formed);
    if (!heir.succeeded) runner.input({ type: 'inherit' });
  }

  #forget({ plan }: Running): void {
    for (const { name } of plan.instances) {
      this.#byInstance.delete(name);
      this.#ports.channels.leave(name);
    }
  }
}
