/** What is the matter with a peer, out of all that is heard of it: the channel, advertisements, gateways. Pure. */
import type { GatewayVerdict, Hello, PeerRole } from './hello.js';

export type Condition =
  /** Nothing was heard of it since this process started, which is not long ago. */
  | 'waiting'
  | 'up'
  /** It answers, and both are master of the same instance: advertisements do not arrive. */
  | 'two-masters'
  /** It answers, and does not reach its gateway. */
  | 'peer-isolated'
  /** Its advertisements arrive, and its services process does not answer. */
  | 'channel-silent'
  /** It answers nowhere, and the gateway does. */
  | 'peer-dead'
  /** It answers nowhere, and whether it is dead or cut off cannot be told from here. */
  | 'peer-silent'
  /** Neither the peer nor the gateway answers. */
  | 'self-isolated';

export interface Signs {
  readonly isUp: boolean;
  /** Since when it is up or not, in milliseconds. */
  readonly forMs: number;
  /** What it said last; undefined: nothing yet. */
  readonly hello: Pick<Hello, 'roles' | 'gateway'> | undefined;
  /** The instances are the same on both sides, in the same order. */
  readonly isSameVrrp: boolean;
  readonly roles: readonly PeerRole[];
  /** Another router's advertisements arrive: an instance is backup, and has heard a master. */
  readonly hearsMaster: boolean;
  readonly gateway: GatewayVerdict;
}

/** A peer may take so long to start. */
export const WAITING_MS = 10_000;

export function conditionOf(signs: Signs): Condition {
  const { isUp, hello, roles, gateway } = signs;
  if (isUp && hello !== undefined) {
    const both = roles.some((role, index) => role === 'master' && hello.roles[index] === 'master');
    if (both && signs.isSameVrrp) return 'two-masters';
    return hello.gateway === 'silent' ? 'peer-isolated' : 'up';
  }
  if (signs.hearsMaster) return 'channel-silent';
  if (gateway === 'silent') return 'self-isolated';
  if (hello === undefined && signs.forMs < WAITING_MS) return 'waiting';
  return gateway === 'answers' ? 'peer-dead' : 'peer-silent';
}

/** As the end of a sentence that begins with the peer's name. */
export const CONDITION_WORDS: Readonly<Record<Condition, string>> = {
  waiting: 'was not heard of yet',
  up: 'is up',
  'two-masters': 'answers, and both are master: advertisements do not arrive between the directors',
  'peer-isolated': 'answers, and does not reach the gateway: it is isolated',
  'channel-silent':
    'does not answer on the peer channel, though a master is heard: is its services process there, the port open, the key the same?',
  'peer-dead': 'is not heard at all, while the gateway answers: it is dead or cut off',
  'peer-silent': 'is not heard at all: it is dead, or one of the two is cut off',
  'self-isolated': 'is not heard, and the gateway does not answer: this director is isolated',
};

/** Names of the sections that the two files do not have in common, sorted. */
export function differingSections(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): readonly string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => a[name] !== b[name]).sort();
}
