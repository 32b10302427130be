/** VRRP packets that were not taken: counted by interface and reason, and told with what to do about them. */
import type { DiscardReason } from '../../../vrrp/packet.js';
import type { Clock, Log, TransportRejection } from '../../ports.js';
import type { StrangerBudget } from './stranger-budget.js';

export type Discarded = DiscardReason | TransportRejection | 'unknown-vrid';

/** The same sender and reason are told again after so long. */
const TOLD_FOR_MS = 600_000;
/** Senders and reasons that are remembered; a flood of forged sources must not fill the memory. */
const MAX_TOLD = 256;

/** What a person should know; undefined for what is normal on a shared segment. */
const WORDS: Readonly<Record<Discarded, string | undefined>> = {
  'bad-ttl': 'its TTL is too low: it came through a router, or its sender needs transport: min_ttl',
  'bad-version': 'it has another VRRP version than the instance: version must be the same on all routers',
  'bad-type': 'it is no advertisement',
  'bad-length': 'it is shorter than it says',
  'bad-checksum': 'its checksum is wrong',
  'bad-vrid': 'its virtual router identifier is 0',
  'bad-authentication': 'it is authenticated, which RFC 3768 has abolished: switch that off at its sender',
  'bad-interval': 'its advertisement interval is 0',
  'bad-destination': 'it was sent to another address than it should be',
  'unknown-peer': 'its sender is none of the named peers',
  'unknown-vrid': undefined,
};

/** Reasons that only say that a packet is not for this channel. */
export const MEANT_FOR_ANOTHER: ReadonlySet<Discarded> = new Set([
  'unknown-vrid',
  'unknown-peer',
  'bad-destination',
]);

export class Discards {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #budget: StrangerBudget;
  readonly #counters = new Map<string, Map<Discarded, number>>();
  readonly #toldAtMs = new Map<string, number>();

  constructor(clock: Clock, log: Log, budget: StrangerBudget) {
    this.#clock = clock;
    this.#log = log;
    this.#budget = budget;
  }

  discard(interfaceName: string, reason: Discarded, source: string, ttl: number | undefined): void {
    let ofInterface = this.#counters.get(interfaceName);
    if (ofInterface === undefined) {
      ofInterface = new Map();
      this.#counters.set(interfaceName, ofInterface);
    }
    ofInterface.set(reason, (ofInterface.get(reason) ?? 0) + 1);
    const words = WORDS[reason];
    if (words === undefined || !this.#isNews(`${interfaceName} ${source} ${reason}`)) return;
    if (!this.#budget.allows(reason)) return;
    this.#log.warn(
      { event: 'discarded', interface: interfaceName, source, reason, ttl },
      `a VRRP packet of ${source} on ${interfaceName} is ignored: ${words}`,
    );
  }

  /** By the name that `director status` shows, such as `discarded_bad_ttl`. */
  counters(interfaceName: string): Record<string, number> {
    const ofInterface = this.#counters.get(interfaceName) ?? [];
    return Object.fromEntries(
      [...ofInterface].map(([reason, n]) => [`discarded_${reason.replaceAll('-', '_')}`, n]),
    );
  }

  #isNews(what: string): boolean {
    const now = this.#clock.nowMs();
    const last = this.#toldAtMs.get(what);
    if (last !== undefined && now - last < TOLD_FOR_MS) return false;
    if (last === undefined && this.#toldAtMs.size >= MAX_TOLD) {
      const [oldest = ''] = this.#toldAtMs.keys();
      this.#toldAtMs.delete(oldest);
    }
    this.#toldAtMs.delete(what);
    this.#toldAtMs.set(what, now);
    return true;
  }
}
