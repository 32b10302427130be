/** Which of our routes and rules the kernel has, and which went away. */

import { NLM_F_REPLACE } from '../../../netlink/message.js';
import {
  decodeRoute,
  isOwnRoute,
  type KernelRoute,
  placeKey,
  RTM_DELROUTE,
  RTM_NEWROUTE,
} from '../../../netlink/route-messages.js';
import { decodeRule, RTM_DELRULE } from '../../../netlink/rule-messages.js';
import type { LostRouting } from '../../../runtime/ports.js';
import type { NetlinkMessage } from '../connection.js';

/** Dumps in a row that an event of one of our routes may overtake, before one is taken for the truth. */
const MAX_OVERTAKEN_DUMPS = 8;

export interface RouteWatchOptions {
  /** Our routes in all tables, as dumpOwnRoutes has them. */
  readonly dump: () => Promise<readonly KernelRoute[]>;
  /** Repeats work that fails. */
  readonly insist: (work: () => Promise<void>) => void;
  readonly onLost: (lost: LostRouting) => void;
}

/**
 * The kernel tells of every route that is removed by a request. It says nothing of IPv4 routes that it drops itself,
 * with their link or the address they prefer (fib_table_flush), so `check` compares with a dump. A burst of checks
 * makes one dump, and at most one more after it. A route of ours that someone else's took the place of is told by the
 * new one alone (NLM_F_REPLACE); and an IPv6 route of ours may wait for his to go.
 *
 * Rules are told by requests alone, whoever's they are: one like ours may have stood in its place.
 */
export class RouteWatch {
  readonly #known = new Map<string, KernelRoute>();
  /** Places that someone else's route was seen to take: ours may come back when it goes. */
  readonly #taken = new Set<string>();
  readonly #options: RouteWatchOptions;
  #events = 0;
  #checking = false;
  #again = false;
  /** Something may have made routes go, and no route was told since. */
  #atRisk = false;

  constructor(options: RouteWatchOptions) {
    this.#options = options;
  }

  /** An event. What is not ours costs a look at one byte, unless it is a replacement or a removal. */
  take({ type, flags, payload }: NetlinkMessage): void {
    if (type === RTM_DELRULE) return this.#ruleGone(payload);
    if (type !== RTM_NEWROUTE && type !== RTM_DELROUTE) return;
    if (isOwnRoute(payload)) return this.#own(type === RTM_NEWROUTE, payload);
    const replaces = type === RTM_NEWROUTE && (flags & NLM_F_REPLACE) !== 0 && this.#known.size > 0;
    const leaves = type === RTM_DELROUTE && this.#taken.size > 0;
    if (!replaces && !leaves) return;
    const route = decodeRoute(payload);
    if (route === undefined) return;
    const place = placeKey(route);
    if (replaces && this.#isKnown(place)) {
      this.#taken.add(place);
      this.check();
    } else if (leaves && this.#taken.delete(place)) {
      this.#options.onLost({ kind: 'route', ...route });
    }
  }

  #isKnown(place: string): boolean {
    for (const route of this.#known.values()) if (placeKey(route) === place) return true;
    return false;
  }

  #own(added: boolean, payload: Uint8Array): void {
    const route = decodeRoute(payload);
    if (route === undefined) return;
    this.#events += 1;
    if (!added) return this.#gone(routeKey(route));
    this.#know(route);
    // Links are told on another socket: this may be older than what made a route go without a word.
    if (!this.#atRisk) return;
    this.#atRisk = false;
    this.#compareSoon();
  }

  #ruleGone(payload: Uint8Array): void {
    const rule = decodeRule(payload);
    if (rule !== undefined) this.#options.onLost({ kind: 'rule', ...rule });
  }

  /** The first dump: nothing of it is news. */
  async begin(): Promise<void> {
    for (const route of await this.#options.dump()) this.#know(route);
  }

  /** Routes may have gone without an event. Without routes of ours there is nothing to look for. */
  check(): void {
    this.#atRisk = true;
    if (this.#known.size > 0) this.#compareSoon();
  }

  /** Events were lost: there may even be routes that were never told of, and rules that went. */
  resync(): void {
    this.#options.onLost({ kind: 'unknown' });
    this.#compareSoon();
  }

  #compareSoon(): void {
    this.#again = true;
    if (this.#checking) return;
    this.#checking = true;
    this.#options.insist(() => this.#compare());
  }

  async #compare(): Promise<void> {
    let overtaken = 0;
    while (this.#again) {
      this.#again = false;
      const events = this.#events;
      const routes = await this.#options.dump();
      if (events !== this.#events && overtaken < MAX_OVERTAKEN_DUMPS) {
        overtaken += 1;
        this.#again = true;
        continue;
      }
      const present = new Set(routes.map(routeKey));
      for (const key of this.#known.keys()) {
        if (!present.has(key)) this.#gone(key);
      }
      for (const route of routes) this.#know(route);
    }
    this.#checking = false;
  }

  #know(route: KernelRoute): void {
    this.#known.set(routeKey(route), route);
  }

  #gone(key: string): void {
    const route = this.#known.get(key);
    if (route === undefined) return;
    this.#known.delete(key);
    this.#options.onLost({ kind: 'route', ...route });
  }
}

function routeKey(route: KernelRoute): string {
  return `${placeKey(route)} ${route.interfaceIndex}`;
}
