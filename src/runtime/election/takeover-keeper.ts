/**
 * Takeovers that may come next, made ready while there is time: what each says first is there as bytes, and leaves by one
 * call when its deadline is handled (decision 0021). The ordinary way follows, and finds it done.
 */
import type { VirtualAddress, VrrpInstance } from '../../config/model.js';
import type { GroupEffect } from '../../vrrp/group-types.js';
import { advertisementPackets } from '../advertisement-packets.js';
import { FEW_GROUPS, type GuardianKeeper } from '../guardian/guardian-keeper.js';
import type { Addresses, Announcer, Clock, OpenVolley, Shot, Volley, VrrpTransport } from '../ports.js';

/**
 * So long before a takeover the guardian is told of it, which takes this process up to half a millisecond and the guardian
 * as much: at 10 ms advertisements there is no time to spare. Three times that on a host that is busy.
 */
export const LEAD_MS = 3;

/** After a change: what belongs to it comes first. */
const PREPARATION_MS = 20;

/** An instance of a group that may take over. */
export interface Candidate {
  readonly config: VrrpInstance;
  /** What it would advertise, 1 to 255. */
  readonly priority: number;
  readonly transport: VrrpTransport | undefined;
}

export interface TakeoverKeeperPorts {
  readonly clock: Clock;
  readonly addresses: Pick<Addresses, 'shots'>;
  readonly announcer: Pick<Announcer, 'fitsBurst' | 'shots' | 'announced'>;
  readonly openVolley: OpenVolley;
  /** The groups that hold nothing, with their instances. */
  candidates(): ReadonlyMap<object, readonly Candidate[]>;
  /** How many groups there are. */
  groupCount(): number;
  readonly guardian: Pick<GuardianKeeper, 'prepare' | 'forgetPrepared' | 'armAhead' | 'armNow' | 'changed'>;
}

interface Takeover {
  readonly candidates: readonly Candidate[];
  readonly addresses: readonly VirtualAddress[];
  readonly volley: Volley;
}

/** The takeover of one group. */
export interface GroupTakeover {
  /** Whether there is one that could be sent. */
  isPrepared(): boolean;
  /** It is near, and these would be its effects: the guardian is told already. Says whether it was. */
  makeReady(effects: readonly GroupEffect[]): boolean;
  /** It does not come after all. */
  standDown(): void;
  /** Sends it, if `effects` are it, and returns those of them that are done. */
  fire(effects: readonly GroupEffect[]): ReadonlySet<GroupEffect>;
}

const NOTHING: ReadonlySet<GroupEffect> = new Set();

export class TakeoverKeeper {
  readonly #ports: TakeoverKeeperPorts;
  #takeovers = new Map<object, Takeover>();
  #cancel: () => void = () => {};

  constructor(ports: TakeoverKeeperPorts) {
    this.#ports = ports;
  }

  /** Another takeover may come next: a role changed. */
  prepareSoon(): void {
    const { clock } = this.#ports;
    this.#cancel();
    this.#cancel = clock.at(clock.nowMs() + PREPARATION_MS, () => this.#prepare());
  }

  /** What was made ready holds no more: settings, an interface or an address changed. */
  forget(): void {
    this.close();
    this.prepareSoon();
  }

  close(): void {
    this.#cancel();
    this.#takeovers = new Map();
    this.#ports.guardian.forgetPrepared();
  }

  of(group: () => object): GroupTakeover {
    const { guardian } = this.#ports;
    return {
      isPrepared: () => this.#takeovers.has(group()),
      makeReady: (effects) =>
        this.#fitting(group(), effects) !== undefined && isGiven(() => guardian.armAhead(group())),
      standDown: () => guardian.changed(),
      fire: (effects) => this.#fire(group(), effects),
    };
  }

  /** The kernel had the addresses before anybody was told of them; the guardian knew of them before the kernel. */
  #fire(group: object, effects: readonly GroupEffect[]): ReadonlySet<GroupEffect> {
    const takeover = this.#fitting(group, effects);
    if (takeover === undefined || !isGiven(() => this.#ports.guardian.armNow()) || !takeover.volley())
      return NOTHING;
    this.#ports.announcer.announced(takeover.addresses);
    return new Set(effects.filter(({ type }) => type === 'announce' || type === 'send'));
  }

  #fitting(group: object, effects: readonly GroupEffect[]): Takeover | undefined {
    const takeover = this.#takeovers.get(group);
    return takeover !== undefined && fits(takeover, effects) ? takeover : undefined;
  }

  #prepare(): void {
    const { announcer, guardian } = this.#ports;
    this.close();
    if (this.#ports.groupCount() > FEW_GROUPS) return;
    guardian.prepare();
    const groups = [...this.#ports.candidates()];
    // All of them may come at once: then it is still no more than neighbours can take.
    const addresses = groups.flatMap(([, members]) => members.flatMap(({ config }) => config.addresses));
    if (!announcer.fitsBurst(addresses)) return;
    const into = this.#takeovers;
    for (const [group, members] of groups) {
      void this.#ready(members).then((takeover) => {
        // What came meanwhile made another one.
        if (takeover !== undefined && into === this.#takeovers) into.set(group, takeover);
      });
    }
  }

  /** Undefined where a takeover has more to do first than this can. Never rejects: what fails fails again when it matters. */
  async #ready(members: readonly Candidate[]): Promise<Takeover | undefined> {
    const { addresses: kernel, announcer, openVolley } = this.#ports;
    const addresses = members.flatMap(({ config }) => config.addresses);
    if (members.some(({ config }) => config.routes.length + config.rules.length > 0)) return undefined;
    try {
      const advertisements = members.map(shotsOf);
      const added = await kernel.shots(addresses);
      const announced = announcer.shots(addresses);
      const parts = [added, announced, ...advertisements];
      const shots: Shot[] = [];
      for (const part of parts) {
        if (part === undefined) return undefined;
        shots.push(...part);
      }
      return { candidates: members, addresses, volley: openVolley(shots) };
    } catch {
      return undefined;
    }
  }
}

function shotsOf({ config, priority, transport }: Candidate): readonly Shot[] | undefined {
  return transport?.shots?.(advertisementPackets(config, priority, transport));
}

/** Orders beyond the guardian's limits are refused, and told by the ordinary way. */
function isGiven(arm: () => void): boolean {
  try {
    arm();
    return true;
  } catch {
    return false;
  }
}

/** Whether it is this takeover: the same addresses, priorities and nothing else. */
function fits({ candidates }: Takeover, effects: readonly GroupEffect[]): boolean {
  let added = 0;
  for (const effect of effects) {
    if (effect.type === 'count' || effect.type === 'role' || effect.type === 'notice') continue;
    const candidate = candidates.find(
      ({ config }) => 'instance' in effect && config.name === effect.instance,
    );
    if (candidate === undefined) return false;
    if (effect.type === 'add-addresses') {
      if (effect.addresses !== candidate.config.addresses) return false;
      added += 1;
    } else if (effect.type === 'send') {
      if (effect.priority !== candidate.priority || !effect.afterAddresses) return false;
    } else if (effect.type !== 'announce') {
      return false;
    }
  }
  return added === candidates.length;
}
