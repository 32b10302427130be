/** Which BFD sessions a director has: one with each peer of a link, whoever asks for it (RFC 5881 section 3). Pure. */
import type { BfdSettings, ElectionConfig, TrackedObject } from '../config/model.js';
import { type AddressFamily, familyOf } from '../util/ip-address.js';

export interface WantedBfd {
  readonly interface: string;
  readonly family: AddressFamily;
  readonly peer: string;
  /** Undefined: the interface's primary address. */
  readonly source: string | undefined;
  readonly settings: BfdSettings;
  /** Names of the VRRP instances that take over from the peer. */
  readonly instances: readonly string[];
  readonly objects: readonly TrackedObject[];
}

export function bfdKey({ interface: device, peer }: Pick<WantedBfd, 'interface' | 'peer'>): string {
  return `${device} ${peer}`;
}

export function planBfd({
  instances,
  tracked,
}: Pick<ElectionConfig, 'instances' | 'tracked'>): readonly WantedBfd[] {
  const wanted = new Map<string, WantedBfd>();
  const add = (one: WantedBfd): void => {
    const before = wanted.get(bfdKey(one)) ?? one;
    wanted.set(bfdKey(one), {
      ...before,
      source: before.source ?? one.source,
      instances: [...new Set([...before.instances, ...one.instances])],
      objects: [...new Set([...before.objects, ...one.objects])],
    });
  };
  for (const { name, interface: device, bfd } of instances) {
    for (const peer of bfd?.peers ?? []) {
      const { local: source, settings } = bfd ?? {};
      if (settings === undefined) continue;
      add({
        interface: device,
        family: familyOf(peer),
        peer,
        source,
        settings,
        instances: [name],
        objects: [],
      });
    }
  }
  for (const object of tracked) {
    const { kind } = object;
    if (kind.type !== 'bfd') continue;
    const { interface: device, peer, source, settings } = kind;
    add({
      interface: device,
      family: familyOf(peer),
      peer,
      source,
      settings,
      instances: [],
      objects: [object],
    });
  }
  return [...wanted.values()];
}
