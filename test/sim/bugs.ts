/** Deliberate bugs, each a wrapper around the product's machine or a changed line in a copy of its shell. */
import type {
  GroupEffect,
  GroupInput,
  GroupState,
  GroupStep,
  InstanceState,
} from '../../src/vrrp/group-types.js';
import type { Mutation } from './mutated.js';
import type { Extra } from './simulator/extras.js';
import type { Invariant } from './simulator/judge.js';
import { type Machine, PRODUCT } from './simulator/machine.js';

export interface Bug {
  readonly name: string;
  readonly machine?: Machine;
  readonly mutation?: Mutation;
  /** Which invariants may be the first to see it. */
  readonly breaks: readonly Invariant[];
  /** One whose episodes have what a rare bug needs; else that of all bugs. */
  readonly seed?: number;
  /** What its episodes may have beside what all have; nothing unless given. */
  readonly extras?: readonly Extra[];
}

type Rewire = (state: GroupState, input: GroupInput, nowMs: number) => GroupStep;
const { step } = PRODUCT;

function withStep(name: string, breaks: readonly Invariant[], rewired: Rewire): Bug {
  return { name, breaks, machine: { step: rewired } };
}

const NOTHING: readonly GroupEffect[] = [];

/** Nothing happens; the deadline that was due stays due. */
function ignored(state: GroupState, nowMs: number): GroupStep {
  // A step that concerns nobody tells the deadline.
  const waiting = step(state, { type: 'source', instance: 'nobody', source: undefined }, nowMs);
  return { ...waiting, state, effects: NOTHING };
}

/** The step with other instances; its deadline follows their timers. */
function withInstances(
  result: GroupStep,
  change: (instance: InstanceState, index: number) => InstanceState,
): GroupStep {
  const instances = result.state.instances.map(change);
  const state = { ...result.state, instances };
  const timers = instances.flatMap((one) => [
    one.timerMs,
    one.overdueAtMs,
    one.announceAtMs[0] ?? Number.POSITIVE_INFINITY,
    one.refreshAtMs,
  ]);
  const { leaveAtMs, retryAtMs, startAtMs, claimAtMs } = state;
  const deadlineMs = Math.min(leaveAtMs, retryAtMs, startAtMs, claimAtMs, ...timers);
  return { state, effects: result.effects, deadlineMs, fromMs: deadlineMs };
}

function withoutEffects(result: GroupStep, unwanted: (effect: GroupEffect) => boolean): GroupStep {
  return { ...result, effects: result.effects.filter((effect) => !unwanted(effect)) };
}

function heardBy(state: GroupState, input: GroupInput): InstanceState | undefined {
  if (input.type !== 'advertisement') return undefined;
  return state.instances.find((one) => one.config.name === input.instance);
}

function goes(result: GroupStep, from: string, to: string): boolean {
  return result.effects.some((effect) => effect.type === 'role' && effect.from === from && effect.to === to);
}

const timersHalved = withStep('Master_Down_Timer is half as long', ['I6', 'I2'], (state, input, nowMs) =>
  withInstances(step(state, input, nowMs), (one, index) => {
    const before = state.instances[index];
    if (one.state !== 'backup' || one.timerMs === before?.timerMs || one.timerMs === Number.POSITIVE_INFINITY)
      return one;
    return { ...one, timerMs: nowMs + (one.timerMs - nowMs) / 2 };
  }),
);

const timerNotRestarted = withStep(
  'an advertisement does not restart Master_Down_Timer',
  ['I6', 'I2'],
  (state, input, nowMs) => {
    const result = step(state, input, nowMs);
    if (heardBy(state, input)?.state !== 'backup') return result;
    return withInstances(result, (one, index) => ({
      ...one,
      timerMs: Math.min(one.timerMs, state.instances[index]?.timerMs ?? one.timerMs),
    }));
  },
);

const farewellIgnored = withStep('a farewell (priority 0) is ignored', ['I7'], (state, input, nowMs) =>
  input.type === 'advertisement' && input.advertisement.priority === 0
    ? ignored(state, nowMs)
    : step(state, input, nowMs),
);

const noFarewell = withStep('a master that leaves says no farewell', ['I7', 'I8'], (state, input, nowMs) =>
  withoutEffects(step(state, input, nowMs), (effect) => effect.type === 'send' && effect.priority === 0),
);

const tieInverted = withStep(
  'of equal priorities the lower address wins',
  ['I2', 'I1'],
  (state, input, nowMs) => {
    const own = heardBy(state, input);
    if (input.type !== 'advertisement' || own?.state !== 'master') return step(state, input, nowMs);
    if (input.advertisement.priority !== own.priority) return step(state, input, nowMs);
    const lower = Number(input.source.split('.')[3]) < Number(own.source.split('.')[3]);
    return step(state, { ...input, source: lower ? '255.255.255.254' : '0.0.0.1' }, nowMs);
  },
);

const tieNeverYields = withStep('of equal priorities neither yields', ['I1', 'I8'], (state, input, nowMs) => {
  const own = heardBy(state, input);
  if (input.type !== 'advertisement' || own?.state !== 'master') return step(state, input, nowMs);
  if (input.advertisement.priority !== own.priority) return step(state, input, nowMs);
  return step(state, { ...input, source: '0.0.0.1' }, nowMs);
});

const losingNotAnswered = withStep(
  'a losing advertisement is not answered',
  ['I8', 'I1'],
  (state, input, nowMs) => {
    const result = step(state, input, nowMs);
    const own = heardBy(state, input);
    if (own?.state !== 'master' || goes(result, 'master', 'backup') || result.effects.length === 0)
      return result;
    return withInstances(
      withoutEffects(result, (effect) => effect.type === 'send'),
      (one, index) => ({ ...one, timerMs: state.instances[index]?.timerMs ?? one.timerMs }),
    );
  },
);

const memberNotReleased = withStep(
  'a group yields only the instance that was beaten',
  ['I4'],
  (state, input, nowMs) => {
    const result = step(state, input, nowMs);
    if (input.type !== 'advertisement' || !goes(result, 'master', 'backup')) return result;
    const stays = (name: string) => name !== input.instance;
    const rest = withoutEffects(result, (effect) => 'instance' in effect && stays(effect.instance));
    return withInstances(rest, (one, index) => {
      const before = state.instances[index];
      return stays(one.config.name) && before !== undefined ? before : one;
    });
  },
);

const addressesNotReleased = withStep(
  'the second instance of a group keeps its addresses',
  ['I5', 'I1'],
  (state, input, nowMs) => {
    const second = state.instances[1]?.config.name;
    return withoutEffects(
      step(state, input, nowMs),
      (effect) => effect.type === 'remove-addresses' && effect.instance === second,
    );
  },
);

const noAnnouncementAfterSplit = withStep(
  'no announcement after a split has healed',
  ['I3'],
  (state, input, nowMs) => {
    const result = step(state, input, nowMs);
    if (heardBy(state, input)?.state !== 'master' || goes(result, 'master', 'backup')) return result;
    return withInstances(result, (one, index) => ({
      ...one,
      announceAtMs: state.instances[index]?.announceAtMs ?? [],
    }));
  },
);

const delayIgnored = withStep('the preemption delay is ignored', ['I6'], (state, input, nowMs) => {
  if (input.type !== 'advertisement') return step(state, input, nowMs);
  const instances = state.instances.map((one) =>
    one.lowerMasterSinceMs === undefined && input.advertisement.priority < one.priority
      ? { ...one, lowerMasterSinceMs: Number.NEGATIVE_INFINITY }
      : one,
  );
  return step({ ...state, instances }, input, nowMs);
});

/** As if the configuration said otherwise. */
function withPreempt(state: GroupState, mode: 'never' | 'always'): GroupState {
  const preempt = mode === 'never' ? ({ mode } as const) : ({ mode, delayMs: 0 } as const);
  const instances = state.instances.map((one) => ({ ...one, config: { ...one.config, preempt } }));
  return { ...state, instances };
}

/** The settings a step began with, so that only its decision was wrong. */
function withSettings(result: GroupStep, state: GroupState): GroupStep {
  const instances = result.state.instances.map((one, index) => ({
    ...one,
    config: state.instances[index]?.config ?? one.config,
  }));
  return { ...result, state: { ...result.state, instances } };
}

const preemptsAlways = withStep('preempt: never is ignored', ['I6'], (state, input, nowMs) =>
  input.type === 'advertisement'
    ? withSettings(step(withPreempt(state, 'always'), input, nowMs), state)
    : step(state, input, nowMs),
);

const preemptsNever = withStep('preempt: always is ignored', ['I2'], (state, input, nowMs) =>
  input.type === 'advertisement'
    ? withSettings(step(withPreempt(state, 'never'), input, nowMs), state)
    : step(state, input, nowMs),
);

const keepsInFault = withStep('addresses are kept in fault', ['I5', 'I1'], (state, input, nowMs) => {
  const result = step(state, input, nowMs);
  if (!goes(result, 'master', 'fault')) return result;
  return withoutEffects(result, (effect) => effect.type === 'remove-addresses');
});

const faultIgnored = withStep(
  'a link that went down is no fault',
  ['I1', 'I2', 'I5', 'I8'],
  (state, input, nowMs) =>
    input.type === 'link' && !input.up ? ignored(state, nowMs) : step(state, input, nowMs),
);

const ownInterval = withStep(
  'a backup waits by its own interval, not the master’s',
  ['I6', 'I2'],
  (state, input, nowMs) => {
    const own = heardBy(state, input);
    if (input.type !== 'advertisement' || own === undefined) return step(state, input, nowMs);
    const { advertisementIntervalMs } = own.config;
    return step(
      state,
      { ...input, advertisement: { ...input.advertisement, advertisementIntervalMs } },
      nowMs,
    );
  },
);

const refusalIgnored = withStep('a refused address is ignored', ['I2'], (state, input, nowMs) =>
  input.type === 'address-failed' ? ignored(state, nowMs) : step(state, input, nowMs),
);

const maintenanceIgnored = withStep('the maintenance switch is ignored', ['I2'], (state, input, nowMs) =>
  input.type === 'maintenance' ? ignored(state, nowMs) : step(state, input, nowMs),
);

const spins = withStep('a repeated announcement stays due', ['I9'], (state, input, nowMs) => {
  const result = step(state, input, nowMs);
  if (input.type !== 'deadline' || !result.effects.some((effect) => effect.type === 'announce'))
    return result;
  return withInstances(result, (one, index) => {
    const announceAtMs = state.instances[index]?.announceAtMs ?? [];
    return one.state === 'master' && announceAtMs.length > 0 ? { ...one, announceAtMs } : one;
  });
});

const deadlineLost = withStep('no deadline after a reload', ['I9'], (state, input, nowMs) => {
  const result = step(state, input, nowMs);
  return input.type === 'configure' ? { ...result, deadlineMs: Number.POSITIVE_INFINITY } : result;
});

const backupSpeaks = withStep('a backup answers a weaker master', ['I8'], (state, input, nowMs) => {
  const result = step(state, input, nowMs);
  const own = heardBy(state, input);
  if (input.type !== 'advertisement' || own?.state !== 'backup') return result;
  const { priority } = input.advertisement;
  if (priority === 0 || priority >= own.priority) return result;
  const send = {
    type: 'send',
    instance: own.config.name,
    priority: own.priority,
    afterAddresses: false,
  } as const;
  return { ...result, effects: [...result.effects, send] };
});

const overtakenCounts = withStep(
  'an advertisement that a farewell has overtaken counts',
  ['I7'],
  (state, input, nowMs) => {
    const instances = state.instances.map((one) => ({ ...one, departed: undefined }));
    return step({ ...state, instances }, input, nowMs);
  },
);

const farewellNotAnnounced = {
  ...withStep('a master that hears a farewell does not announce again', ['I3'], (state, input, nowMs) => {
    const result = step(state, input, nowMs);
    if (heardBy(state, input)?.state !== 'master') return result;
    if (input.type !== 'advertisement' || input.advertisement.priority !== 0) return result;
    return withInstances(result, (one, index) => ({
      ...one,
      announceAtMs: state.instances[index]?.announceAtMs ?? [],
    }));
  }),
  seed: 33,
};

const rightOutlived = {
  ...withStep('a right to preempt that is lost is used all the same', ['I6'], (state, input, nowMs) => {
    const result = step(state, input, nowMs);
    if (input.type !== 'tracked' && input.type !== 'maintenance' && input.type !== 'configure') return result;
    return withInstances(result, (one, index) => {
      const before = state.instances[index];
      if (one.state !== 'backup' || before?.state !== 'backup') return one;
      const { timerMs, overdueAtMs, wantsMaster } = before;
      return { ...one, timerMs, overdueAtMs, wantsMaster };
    });
  }),
  seed: 157,
};

const standstillCounts = withStep('a standstill counts as listening', ['I6'], (state, input, nowMs) =>
  withInstances(step(state, input, nowMs), (one) => ({ ...one, overdueAtMs: Number.POSITIVE_INFINITY })),
);

/** In src/runtime or src/util. */
function shell(name: string, breaks: readonly Invariant[], mutation: Mutation): Bug {
  return { name, breaks, mutation };
}

const RUNNER = 'runtime/election/group-runner.js';

const SHELL_BUGS: readonly Bug[] = [
  {
    ...shell('a deadline acts before the receive queue is read', ['I6'], {
      file: 'runtime/election/deadlines.js',
      from: 'transport.drain();',
      to: 'void transport;',
    }),
    seed: 142,
  },
  shell('the guardian has no lease', ['I5', 'I1'], {
    file: 'runtime/guardian/guardian-orders.js',
    from: 'leaseMs: Math.max(MIN_LEASE_MS, Math.min(...patience)),',
    to: 'leaseMs: 0,',
  }),
  shell('what waits for address work is not dropped with the role', ['I8', 'I3'], {
    file: RUNNER,
    from: "this.#state.phase === 'running' && this.#isMaster(effect.instance)",
    to: 'true',
  }),
  shell('the lease is not renewed', ['I6', 'I2'], {
    file: 'runtime/guardian/guardian-lease.js',
    from: 'this.#heartbeat();\n        });',
    to: '0;\n        });',
  }),
  shell('what somebody removed is not put back', ['I2'], {
    file: RUNNER,
    from: 'this.#repairs.addressLost(address, interfaceName);',
    to: '0;',
  }),
  shell('a refusal of the kernel is not told to the machine', ['I2'], {
    file: RUNNER,
    from: "the kernel refused an address change`);\n            this.input({ type: 'address-failed', instance });",
    to: 'the kernel refused an address change`);',
  }),
  shell('the timer is not set for a deadline that is earlier', ['I1', 'I2', 'I8'], {
    file: 'util/deadline-clock.js',
    from: 'if (atMs < this.#setMs)',
    to: 'if (this.#setMs === Number.POSITIVE_INFINITY)',
  }),
  shell('a backup puts back what was removed', ['I1', 'I5', 'I6'], {
    file: RUNNER,
    from: '.filter(({ name }) => this.#isMaster(name))',
    to: '',
  }),
  shell('a stop ends before the addresses are gone', ['I5'], {
    file: RUNNER,
    from: 'void this.#work.then(() => this.#onStopped());',
    to: 'this.#onStopped();',
  }),
  shell('the guardian hears of an address too late', ['I5'], {
    file: 'runtime/guardian/guardian-keeper.js',
    from: 'this.#arm();\n        return undefined;',
    to: 'return undefined;',
  }),
  shell('advertisements of a second link do not leave with the first', ['I8'], {
    file: 'runtime/election/outbox.js',
    from: 'for (const parcel of parcels)\n                this.#post(parcel);',
    to: 'for (const parcel of parcels) { this.#post(parcel); break; }',
  }),
  shell('the guardian does not hear of roles that came or went', ['I5'], {
    file: 'runtime/election/vrrp-service.js',
    from: 'this.#guardian.changed();',
    to: '0;',
  }),
];

/** Of what only episodes with `extra` have. */
function withExtra(extra: Extra, bugs: readonly Bug[]): readonly Bug[] {
  return bugs.map((bug) => ({ ...bug, extras: [extra] }));
}

const REGROUPING_BUGS = withExtra('regrouping', [
  {
    ...shell('a hand-over waits for members that have another master', ['I1'], {
      file: 'vrrp/group-hand-over.js',
      from: "if (state === 'master' && !succeeded)",
      to: 'if (!succeeded)',
    }),
    seed: 28,
  },
  {
    ...shell('an instance that gets another name is in maintenance no more', ['I2'], {
      file: 'util/rename-in.js',
      from: 'names.get(name) ?? name',
      to: 'name',
    }),
    seed: 10,
  },
  shell('a member that leaves its group says farewell', ['I6', 'I7'], {
    file: 'runtime/election/group-set.js',
    from: 'runner.stop({ silently: true })',
    to: 'runner.stop()',
  }),
  shell('what a reload puts into another group begins anew', ['I6', 'I7'], {
    file: 'runtime/election/regrouping.js',
    from: 'if (place === undefined || going.has(place.before)) {',
    to: 'if (true) {',
  }),
]);

const CHANNELS = 'runtime/election/channels.js';

const SOURCE_BUGS = withExtra('sources', [
  shell('an address to speak from that went is not waited for', ['I6'], {
    file: CHANNELS,
    from: 'else if (this.#lacksSource(channel))',
    to: 'else if (false)',
  }),
  shell('virtual addresses come back before the address to speak from', ['I5'], {
    file: 'runtime/election/repairs/repairs.js',
    from: 'config === undefined || this.#ports.isAwaitingSource(instance)',
    to: 'config === undefined',
  }),
  shell('a socket stays on a device that was made again', ['I1', 'I2', 'I8'], {
    file: CHANNELS,
    from: 'return this.#indices(settings) === indices;',
    to: 'return true;',
  }),
]);

const VIRTUAL_MAC_BUGS = withExtra('virtual-mac', [
  shell('the device of a virtual MAC address that somebody deleted is not made again', ['I2'], {
    file: 'runtime/election/virtual-mac-keeper.js',
    from: 'this.#lookAt(this.#lookedAtMs + this.#pauseMs);',
    to: '0;',
  }),
  shell(
    'what sends by the device of a virtual MAC address that was made again is not opened again',
    ['I1', 'I2', 'I8'],
    {
      file: CHANNELS,
      from: 'if (name !== interfaceName && virtualMacInterface !== interfaceName)',
      to: 'if (name !== interfaceName)',
    },
  ),
]);

const UNICAST_BUGS = withExtra('unicast', [
  shell('what comes from too far away is believed', ['I2', 'I4', 'I6', 'I7'], {
    file: 'vrrp/packet.js',
    from: 'ttl !== undefined && ttl < minTtl',
    to: 'false',
  }),
  shell('only the first of the peers is spoken to', ['I1', 'I2', 'I3', 'I6'], {
    file: 'runtime/advertisement-packets.js',
    from: 'return destinations.map(',
    to: 'return destinations.slice(0, 1).map(',
  }),
  shell('peers that are far away are not heard', ['I1', 'I2', 'I6'], {
    file: 'vrrp/packet.js',
    from: 'minTtl = VRRP_TTL } = envelope;',
    to: 'minTtl: _ } = envelope; const minTtl = VRRP_TTL;',
  }),
]);

const BURST_BUGS = withExtra('bursts', [
  {
    ...shell('the guardian forgets what a reload takes from a master', ['I5'], {
      file: 'runtime/election/holders.js',
      from: 'leaving: runner.changes.leaving(state.config),',
      to: 'leaving: undefined,',
    }),
    seed: 214,
  },
]);

const PREEMPT = 'vrrp/group-preempt.js';

const SYNCED_BUGS = withExtra('synced', [
  shell('a timer that is a little late is taken for a standstill', ['I6'], {
    file: 'vrrp/group-election.js',
    from: 'lateMs > (member.listensAgain ? waitMs : member.activeAdverIntervalMs)',
    to: 'lateMs > 0',
  }),
  shell('the connection table is not waited for', ['I6'], {
    file: PREEMPT,
    from: 'if (awaits === member.awaitsSync)',
    to: 'if (true)',
  }),
  shell('at_most is never over', ['I2'], {
    file: PREEMPT,
    from: 'masterPeak < priority && atMs - lowerMasterSinceMs < config.preempt.atMostMs',
    to: 'masterPeak < priority',
  }),
  shell('a complete connection table changes nothing', ['I2'], {
    file: PREEMPT,
    from: '|| sync.complete ||',
    to: '||',
  }),
  shell('who yields says nothing', ['I3'], {
    file: 'vrrp/group-election.js',
    from: 'sayLastWord(draft);',
    to: ';',
  }),
  {
    ...shell('a master that fell is waited for', ['I2'], {
      file: PREEMPT,
      from: 'return masterPeak < priority && ',
      to: 'return ',
    }),
    seed: 10,
  },
  shell('every lower master counts as one that fell', ['I6'], {
    file: PREEMPT,
    from: 'Math.max(member.masterPeak, priority) : priority;',
    to: '255 : priority;',
  }),
  shell('a table that is complete no more stops no timer', ['I6'], {
    file: 'vrrp/group-roles.js',
    from: 'if (wasComplete)',
    to: 'if (false)',
  }),
  shell('what was said in a fault counts after it', ['I6'], {
    file: 'vrrp/group-roles.js',
    from: "state === 'fault')\n        syncUnknown(draft);",
    to: "state === 'fault') {}",
  }),
  {
    ...shell('what was said before a standstill counts after it', ['I6'], {
      file: PREEMPT,
      from: 'if (asOfMs < draft.group.syncVoidMs)',
      to: 'if (false)',
    }),
    seed: 17,
  },
  shell('what the services process says does not reach the groups', ['I2'], {
    file: 'runtime/election/vrrp-service.js',
    from: 'runner.input(word);',
    to: '0;',
  }),
]);

const BFD_BUGS = withExtra('bfd', [
  shell('a lost BFD session takes the whole group along', ['I6'], {
    file: 'vrrp/group-election.js',
    from: "wantMaster(member);\n    draft.count(member, 'bfd_expired');",
    to: "draft.all().forEach(wantMaster);\n    draft.count(member, 'bfd_expired');",
  }),
]);

export const BUGS: readonly Bug[] = [
  timersHalved,
  timerNotRestarted,
  farewellIgnored,
  noFarewell,
  tieInverted,
  tieNeverYields,
  losingNotAnswered,
  memberNotReleased,
  addressesNotReleased,
  noAnnouncementAfterSplit,
  delayIgnored,
  preemptsAlways,
  preemptsNever,
  keepsInFault,
  faultIgnored,
  ownInterval,
  refusalIgnored,
  maintenanceIgnored,
  spins,
  deadlineLost,
  backupSpeaks,
  overtakenCounts,
  farewellNotAnnounced,
  rightOutlived,
  standstillCounts,
  ...SHELL_BUGS,
  ...REGROUPING_BUGS,
  ...SOURCE_BUGS,
  ...VIRTUAL_MAC_BUGS,
  ...UNICAST_BUGS,
  ...BURST_BUGS,
  ...SYNCED_BUGS,
  ...BFD_BUGS,
];
