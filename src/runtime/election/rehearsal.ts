/**
 * A takeover, played through before there is one. Code that was never called is compiled when it is, and that takes
 * some milliseconds; at 10 ms advertisements a takeover has none to spare.
 */
import type { VrrpInstance } from '../../config/model.js';
import { createGroup } from '../../vrrp/group-create.js';
import { GuardianKeeper } from '../guardian/guardian-keeper.js';
import { guardianOrders } from '../guardian/guardian-orders.js';
import type { Clock, Log, VrrpTransport } from '../ports.js';
import { Deadlines } from './deadlines.js';
import { GroupRunner, type GroupRunnerPorts } from './group-runner.js';
import { type GroupTakeover, TakeoverKeeper } from './takeover-keeper.js';

/** After a few rounds the interpreter has seen what it needs to be fast. */
const ROUNDS = 5;
/** Deadlines of one round: start-up, what is made ready, mastership, advertisements, leaving. */
const MAX_DEADLINES = 16;
/** Turns of the microtask queue in which queued work is done. */
const MAX_TURNS = 20;

/** Time that stands still until a deadline is asked for. */
class StageClock implements Clock {
  #nowMs = 0;
  #due: { atMs: number; callback: () => void } | undefined;

  nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): () => void {
    const due = { atMs, callback };
    this.#due = due;
    return () => {
      if (this.#due === due) this.#due = undefined;
    };
  }

  /** Whether there was a deadline. */
  next(): boolean {
    const due = this.#due;
    this.#due = undefined;
    if (due === undefined) return false;
    this.#nowMs = Math.max(this.#nowMs, due.atMs);
    due.callback();
    return true;
  }
}

const nothing = async (): Promise<void> => {};
const SILENCE: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Work that was queued is done. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS; turn++) await Promise.resolve();
}

/** What is ready beforehand, with nothing in it. */
function stageTakeovers(
  runner: () => GroupRunner,
  config: VrrpInstance,
  transport: VrrpTransport,
): { readonly keeper: TakeoverKeeper; readonly clock: StageClock } {
  const clock = new StageClock();
  const guardian = new GuardianKeeper({
    clock: new StageClock(),
    guardian: { arm: () => {}, prepare: () => {}, disarm: () => {} },
    log: SILENCE,
    instances: () => {
      const holds = runner().state.instances.some(({ state }) => state === 'master');
      const { source, destinations } = transport;
      return [
        { config, source, destinations, group: runner(), holds, leaving: undefined, watchedMs: undefined },
      ];
    },
    onArmed: () => {},
    onWithdrawn: () => {},
  });
  const keeper = new TakeoverKeeper({
    clock,
    addresses: { shots: async () => [] },
    announcer: { fitsBurst: () => true, shots: () => [], announced: () => {} },
    openVolley: () => () => true,
    candidates: () => new Map([[runner(), [{ config, priority: config.priority, transport }]]]),
    groupCount: () => 1,
    guardian,
  });
  return { keeper, clock };
}

function stage(clock: Clock, transport: VrrpTransport, takeover: GroupTakeover): GroupRunnerPorts {
  return {
    clock,
    deadlines: new Deadlines(clock, () => {}),
    addresses: {
      add: nothing,
      restore: async () => [],
      remove: nothing,
      shots: async () => undefined,
      evict: async () => [],
      held: async () => [],
    },
    routing: { add: async () => [], remove: nothing, clear: async () => 0 },
    isHeldElsewhere: () => false,
    announcer: {
      announce: () => {},
      fitsBurst: () => true,
      shots: () => [],
      announced: () => {},
      cancel: () => {},
      close: () => {},
    },
    log: SILENCE,
    transport: () => transport,
    onChange: () => {},
    onRole: () => {},
    onNotice: () => {},
    guarded: () => undefined,
    isAwaitingSource: () => false,
    takeover,
  };
}

/**
 * One group from its start to mastership and out again, with a volley or the ordinary way. Returns whether it became
 * master that way.
 */
async function play(instance: VrrpInstance, byVolley: boolean): Promise<boolean> {
  const [source, destination] =
    instance.family === 'ipv6' ? ['fe80::1', 'ff02::12'] : ['192.0.2.1', '224.0.0.18'];
  const transport = {
    source,
    destinations: [destination],
    send: () => {},
    shots: () => [],
    drain: () => undefined,
    close: () => {},
  };
  const clock = new StageClock();
  const config = { ...instance, track: [] };
  const takeovers = stageTakeovers(() => runner, config, transport);
  let fired = false;
  const prepared = takeovers.keeper.of(() => runner);
  const takeover: GroupTakeover = {
    ...prepared,
    fire: (effects) => {
      const done = prepared.fire(effects);
      fired ||= done.size > 0;
      return done;
    },
  };
  const group = createGroup('rehearsal', [{ config, source, linkUp: true }], clock.nowMs());
  const runner = new GroupRunner(group, stage(clock, transport, takeover));
  if (byVolley) {
    takeovers.keeper.prepareSoon();
    takeovers.clock.next();
    await settle();
  }
  runner.input({ type: 'start' });
  let master = runner.state.instances.some(({ state }) => state === 'master');
  for (let n = 0; n < MAX_DEADLINES && clock.next(); n++) {
    await settle();
    master ||= runner.state.instances.some(({ state }) => state === 'master');
  }
  guardianOrders([{ config: instance, source, packets: [] }]);
  void runner.stop();
  for (let n = 0; n < MAX_DEADLINES && clock.next(); n++) await Promise.resolve();
  takeovers.keeper.close();
  return master && fired === byVolley;
}

/**
 * Plays a takeover of the first instance of each family, with nothing behind it: no packet, no address, no log.
 * Takes some tens of milliseconds. Returns whether each became master on its stage.
 */
export async function rehearseTakeover(instances: readonly VrrpInstance[]): Promise<boolean> {
  const firsts = new Map(instances.toReversed().map((instance) => [instance.family, instance]));
  let all = true;
  for (const instance of firsts.values()) {
    const byVolley = instance.routes.length + instance.rules.length === 0;
    for (let round = 0; round < ROUNDS; round++) {
      all = (await play(instance, false)) && all;
      if (byVolley) all = (await play(instance, true)) && all;
    }
  }
  return all;
}
