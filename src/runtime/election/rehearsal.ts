/**
 * A takeover, played through before there is one. Code that was never called is compiled when it is, and that takes
 * some milliseconds; at 10 ms advertisements a takeover has none to spare.
 */
import type { VrrpInstance } from '../../config/model.js';
import { createGroup } from '../../vrrp/group-create.js';
import { guardianOrders } from '../guardian/guardian-orders.js';
import type { Clock, VrrpTransport } from '../ports.js';
import { Deadlines } from './deadlines.js';
import { GroupRunner, type GroupRunnerPorts } from './group-runner.js';

/** After a few rounds the interpreter has seen what it needs to be fast. */
const ROUNDS = 5;
/** Deadlines of one round: start-up, mastership, advertisements, leaving. */
const MAX_DEADLINES = 12;
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

function stage(clock: Clock, transport: VrrpTransport): GroupRunnerPorts {
  return {
    clock,
    deadlines: new Deadlines(clock, () => {}),
    addresses: {
      add: nothing,
      restore: async () => [],
      remove: nothing,
      shots: async () => undefined,
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
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    transport: () => transport,
    onChange: () => {},
    onRole: () => {},
    onNotice: () => {},
    guarded: () => undefined,
    isAwaitingSource: () => false,
    fire: () => new Set(),
  };
}

/** One group from its start to mastership and out again. Returns whether it became master. */
async function play(instance: VrrpInstance): Promise<boolean> {
  const [source, destination] =
    instance.family === 'ipv6' ? ['fe80::1', 'ff02::12'] : ['192.0.2.1', '224.0.0.18'];
  const transport = {
    source,
    destinations: [destination],
    send: () => {},
    drain: () => undefined,
    close: () => {},
  };
  const clock = new StageClock();
  const members = [{ config: { ...instance, track: [] }, source, linkUp: true }];
  const runner = new GroupRunner(createGroup('rehearsal', members, clock.nowMs()), stage(clock, transport));
  runner.input({ type: 'start' });
  let master = false;
  for (let n = 0; n < MAX_DEADLINES && clock.next(); n++) {
    for (let turn = 0; turn < MAX_TURNS; turn++) await Promise.resolve();
    master ||= runner.state.instances.some(({ state }) => state === 'master');
  }
  guardianOrders([{ config: instance, source, packets: [] }]);
  void runner.stop();
  for (let n = 0; n < MAX_DEADLINES && clock.next(); n++) await Promise.resolve();
  return master;
}

/**
 * Plays a takeover of the first instance of each family, with nothing behind it: no packet, no address, no log.
 * Takes some ten milliseconds. Returns whether each became master on its stage.
 */
export async function rehearseTakeover(instances: readonly VrrpInstance[]): Promise<boolean> {
  const firsts = new Map(instances.toReversed().map((instance) => [instance.family, instance]));
  let all = true;
  for (const instance of firsts.values()) {
    for (let round = 0; round < ROUNDS; round++) all = (await play(instance)) && all;
  }
  return all;
}
