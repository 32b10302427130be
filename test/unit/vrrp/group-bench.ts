/** One machine of a sync group with a clock of its own, for tests; effects are told as short words. */
import type { TrackUse, VrrpInstance } from '../../../src/config/model.js';
import { step } from '../../../src/vrrp/group.js';
import { createGroup } from '../../../src/vrrp/group-create.js';
import type { GroupEffect, GroupInput, GroupState, Notice } from '../../../src/vrrp/group-types.js';
import type { Advertisement } from '../../../src/vrrp/packet.js';
import { vrrpInstance } from './instances.js';

/** `outside` on eth0 with VRID 51 and `inside` on eth1 with VRID 52. */
export function instance(name: string, overrides: Partial<VrrpInstance> = {}): VrrpInstance {
  const inside = name === 'inside';
  return vrrpInstance({
    name,
    interface: inside ? 'eth1' : 'eth0',
    virtualRouterId: inside ? 52 : 51,
    addresses: [
      {
        address: inside ? '10.10.10.1' : '192.168.1.253',
        prefixLength: 24,
        interface: inside ? 'eth1' : 'eth0',
      },
    ],
    ...overrides,
  });
}

export class Bench {
  now = 0;
  state: GroupState;
  deadline = Number.POSITIVE_INFINITY;
  /** Counters since the start, by instance and name: `outside became_master`. */
  readonly counters = new Map<string, number>();
  readonly notices: Notice[] = [];

  constructor(
    instances: readonly VrrpInstance[],
    options: { linkUp?: boolean; source?: string; track?: readonly TrackUse[] } = {},
  ) {
    const { linkUp = true, source = '192.168.1.12', track = [] } = options;
    this.state = createGroup(
      'group',
      instances.map((config) => ({ config, source, linkUp })),
      0,
      track,
    );
  }

  /** Takes one input; the effects in short. */
  at(now: number, input: GroupInput): string[] {
    return this.effects(now, input).flatMap(word);
  }

  effects(now: number, input: GroupInput): readonly GroupEffect[] {
    this.now = now;
    const result = step(this.state, input, now);
    this.state = result.state;
    this.deadline = result.deadlineMs;
    for (const effect of result.effects) {
      if (effect.type === 'notice') this.notices.push(effect.notice);
      if (effect.type !== 'count') continue;
      const key = `${effect.instance} ${effect.counter}`;
      this.counters.set(key, (this.counters.get(key) ?? 0) + 1);
    }
    return result.effects;
  }

  /** Steps through every deadline until `until`; what happened, with its time. */
  run(until: number): string[] {
    const seen: string[] = [];
    while (this.deadline <= until) {
      const at = this.deadline;
      seen.push(...this.at(at, { type: 'deadline' }).map((effect) => `${Math.round(at)} ${effect}`));
    }
    this.now = until;
    return seen;
  }

  /** An advertisement as the instance's own settings would have it, apart from `more`. */
  hear(
    now: number,
    name: string,
    priority: number,
    source = '192.168.1.11',
    more: Partial<Advertisement> = {},
  ): string[] {
    const config = this.member(name).config;
    const { version, family, virtualRouterId, advertisementIntervalMs, advertised: addresses } = config;
    const advertisement = {
      version,
      family,
      virtualRouterId,
      priority,
      advertisementIntervalMs,
      addresses,
      ...more,
    };
    return this.at(now, { type: 'advertisement', instance: name, advertisement, source, receivedAtMs: now });
  }

  member(name = 'outside') {
    const found = this.state.instances.find(({ config }) => config.name === name);
    if (found === undefined) throw new Error(`no instance ${name}`);
    return found;
  }

  /** When Adver_Timer or Master_Down_Timer of the first instance fires; a backup's deadline is earlier, to look. */
  get timer(): number {
    return this.state.instances[0]?.timerMs ?? Number.NaN;
  }

  roles(): string {
    return this.state.instances.map((i) => i.state).join(' ');
  }
}

function word(effect: GroupEffect): string[] {
  switch (effect.type) {
    case 'count':
      return [];
    case 'send':
      return [`${effect.instance} send ${effect.priority}${effect.afterAddresses ? ' after addresses' : ''}`];
    case 'role':
      return [`${effect.instance} ${effect.from}->${effect.to}`];
    case 'notice':
      return [`${effect.instance} ${effect.notice.kind}`];
    case 'stopped':
      return ['stopped'];
    default:
      return [`${effect.instance} ${effect.type}`];
  }
}

/** A bench that has just become master of all it has, by its Master_Down_Timer. */
export function masterBench(...args: ConstructorParameters<typeof Bench>): Bench {
  const bench = new Bench(...args);
  bench.at(0, { type: 'start' });
  for (let tries = 0; tries < 10 && !bench.roles().startsWith('master'); tries++) bench.run(bench.deadline);
  return bench;
}
