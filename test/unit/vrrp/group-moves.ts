/** Random inputs for a sync group's machine, what the kernel would hold after them, and what must hold after every step. */
import fc from 'fast-check';
import type { VirtualAddress } from '../../../src/config/model.js';
import type { GroupEffect, GroupInput, GroupState } from '../../../src/vrrp/group-types.js';
import type { Bench } from './group-bench.js';

export const NAMES = ['outside', 'inside'];
export const TRACK = [
  { object: 'quorum', weight: undefined },
  { object: 'uplink', weight: -60 },
];

export type Move = { readonly afterMs: number; readonly input: (bench: Bench) => GroupInput };

const name = fc.constantFrom(...NAMES);
const constant = (input: GroupInput) => fc.constant(() => input);
const heard = fc
  .record({
    name,
    priority: fc.constantFrom(0, 1, 50, 100, 200, 255),
    source: fc.constantFrom('192.168.1.11', '192.168.1.12', '192.168.1.13'),
    foreign: fc.nat(9),
    lateMs: fc.nat(50),
  })
  .map(({ name, priority, source, foreign, lateMs }) => (bench: Bench): GroupInput => {
    const { version, family, virtualRouterId, advertisementIntervalMs, advertised } =
      bench.member(name).config;
    const addresses = foreign === 0 ? ['172.16.0.1'] : advertised;
    const advertisement = { version, family, virtualRouterId, priority, advertisementIntervalMs, addresses };
    return { type: 'advertisement', instance: name, advertisement, source, receivedAtMs: bench.now - lateMs };
  });
const input: fc.Arbitrary<(bench: Bench) => GroupInput> = fc.oneof(
  { weight: 10, arbitrary: heard },
  { weight: 10, arbitrary: constant({ type: 'deadline' }) },
  { weight: 1, arbitrary: constant({ type: 'start' }) },
  { weight: 1, arbitrary: constant({ type: 'stop' }) },
  { weight: 1, arbitrary: constant({ type: 'withdrawn' }) },
  {
    weight: 2,
    arbitrary: fc.tuple(name, fc.boolean()).map(
      ([instance, up]) =>
        (): GroupInput => ({ type: 'link', instance, up }),
    ),
  },
  { weight: 1, arbitrary: name.map((instance) => (): GroupInput => ({ type: 'address-failed', instance })) },
  {
    weight: 1,
    arbitrary: fc.tuple(name, fc.constantFrom(undefined, '192.168.1.12', '192.168.1.20')).map(
      ([instance, source]) =>
        (): GroupInput => ({ type: 'source', instance, source }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom('quorum', 'uplink'), fc.constantFrom('up', 'up', 'down', 'unknown'))
      .map(
        ([object, state]) =>
          (): GroupInput => ({ type: 'tracked', object, state }),
      ),
  },
  { weight: 2, arbitrary: fc.boolean().map((on) => (): GroupInput => ({ type: 'maintenance', on })) },
  {
    weight: 2,
    arbitrary: fc.boolean().map(
      (complete) => (): GroupInput => ({
        type: 'sync-progress',
        progress: { complete, text: String(complete) },
        asOfMs: Number.POSITIVE_INFINITY,
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1, 2, 3).map((count) => (bench: Bench): GroupInput => {
      const addresses = Array.from({ length: count }, (_, i): VirtualAddress => {
        return { address: `192.168.1.${250 + i}`, prefixLength: 24, interface: 'eth0' };
      });
      const instances = bench.state.instances.map(({ config }) => ({ ...config, addresses }));
      return { type: 'configure', instances, track: TRACK };
    }),
  },
);
export const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.record({ afterMs: fc.constantFrom(0, 1, 30, 500, 1000, 4000, 20_000), input }),
  { maxLength: 60 },
);

/** What the kernel would hold, from the effects. */
export class Kernel {
  readonly #held = new Map<string, Set<string>>(NAMES.map((name) => [name, new Set()]));

  take(effect: GroupEffect): string | undefined {
    if (effect.type !== 'add-addresses' && effect.type !== 'remove-addresses') return undefined;
    const held = this.#held.get(effect.instance);
    for (const { address } of effect.addresses) {
      if (effect.type === 'add-addresses') {
        if (held?.has(address)) return `${address} added twice`;
        held?.add(address);
      } else if (!held?.delete(address)) return `${address} removed, which is not there`;
    }
    return undefined;
  }

  held(name: string): number {
    return this.#held.get(name)?.size ?? 0;
  }
}

/** The first thing that is wrong. */
export function wrong(state: GroupState, kernel: Kernel): string | undefined {
  const states = new Set(state.instances.map((member) => member.state));
  if (states.size > 1) return `the group disagrees: ${[...states].join(' ')}`;
  const [role] = states;
  if (state.phase === 'stopped' && role !== 'initialize') return `stopped and ${role}`;
  if (state.phase === 'starting' && role !== 'initialize') return `starting and ${role}`;
  if (state.phase === 'running' && role === 'initialize') return 'running and initialize';
  if ((state.phase === 'leaving' || state.phase === 'handing-over') && role !== 'master')
    return `${state.phase} and ${role}`;
  if (state.phase === 'running' && (role === 'fault') !== state.faults.length > 0)
    return `${role} with faults [${state.faults.join(', ')}]`;
  if (state.phase === 'running' && role === 'master' && !state.sync.complete)
    return 'a master lacks connections';
  for (const { config, priority, awaitsSync, lowerMasterSinceMs } of state.instances) {
    if (awaitsSync && (role !== 'backup' || lowerMasterSinceMs === undefined || state.sync.complete))
      return `${role} waits for ${state.sync.text} since ${lowerMasterSinceMs}`;
    const held = kernel.held(config.name);
    if (role === 'master' && held !== config.addresses.length) return `a master holds ${held} addresses`;
    if (role !== 'master' && held !== 0) return `${role} holds ${held} addresses`;
    if (priority < 1 || priority > 255) return `priority ${priority}`;
    if (config.priority !== 255 && priority === 255) return 'an owner it is not';
  }
  return undefined;
}

/** One step, and the first thing that is wrong with it. */
export function take(bench: Bench, kernel: Kernel, now: number, input: GroupInput): string | undefined {
  const before = bench.state;
  const frozen = JSON.stringify(before);
  const effects = bench.effects(now, input);
  if (JSON.stringify(before) !== frozen) return 'the old state was changed';
  for (const effect of effects) {
    const complaint = kernel.take(effect);
    if (complaint !== undefined) return complaint;
    if (effect.type !== 'send' || effect.priority === 0) continue;
    const was = before.instances.find(({ config }) => config.name === effect.instance)?.state;
    const is = bench.member(effect.instance).state;
    // A master that yields says a last word.
    if (is !== 'master' && !(input.type === 'advertisement' && was === 'master' && is === 'backup'))
      return 'advertised without being master';
  }
  if (input.type === 'deadline' && bench.deadline <= now) return 'a deadline that is due again at once';
  return undefined;
}
