/** Which of our routes the main table has, and which went away. */
import type { NetlinkMessage } from './netlink.js';
import { decodeOwnRoute, type KernelRoute, RTM_DELROUTE, RTM_NEWROUTE } from './rtnetlink-routes.js';

/** Dumps in a row that an event of one of our routes may overtake, before one is taken for the truth. */
const MAX_OVERTAKEN_DUMPS = 8;

export interface RouteWatchOptions {
  /** Our routes in the main table, as dumpOwnRoutes has them. */
  readonly dump: () => Promise<readonly KernelRoute[]>;
  /** Repeats work that fails. */
  readonly insist: (work: () => Promise<void>) => void;
  readonly nameOf: (interfaceIndex: number) => string | undefined;
  readonly onGone: (route: { destination: string; prefixLength: number; interface: string }) => void;
}

/**
 * The kernel tells of every route that is removed by a request. It says nothing of IPv4 routes that it drops itself,
 * with their link or the address they prefer (fib_table_flush), so `check` compares with a dump. A burst of checks
 * makes one dump, and at most one more after it.
 */
export class RouteWatch {
  /** With the interface's name as it was: when the route is told gone, the interface may be too. */
  readonly #known = new Map<string, { route: KernelRoute; name: string | undefined }>();
  readonly #options: RouteWatchOptions;
  #events = 0;
  #checking = false;
  #again = false;

  constructor(options: RouteWatchOptions) {
    this.#options = options;
  }

  /** An event. What is not ours costs a look at one byte. */
  take(message: NetlinkMessage): void {
    if (message.type !== RTM_NEWROUTE && message.type !== RTM_DELROUTE) return;
    const route = decodeOwnRoute(message.payload);
    if (route === undefined) return;
    this.#events += 1;
    if (message.type === RTM_NEWROUTE) this.#know(route);
    else this.#gone(routeKey(route));
  }

  /** The first dump: nothing of it is news. */
  async begin(): Promise<void> {
    for (const route of await this.#options.dump()) this.#know(route);
  }

  /** Routes may have gone without an event. Without routes of ours there is nothing to look for. */
  check(): void {
    if (this.#known.size > 0) this.resync();
  }

  /** Events were lost: there may even be routes that were never told of. */
  resync(): void {
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
    this.#known.set(routeKey(route), { route, name: this.#options.nameOf(route.interfaceIndex) });
  }

  #gone(key: string): void {
    const known = this.#known.get(key);
    if (known === undefined) return;
    this.#known.delete(key);
    const { destination, prefixLength, interfaceIndex } = known.route;
    const name = this.#options.nameOf(interfaceIndex) ?? known.name;
    if (name !== undefined) this.#options.onGone({ destination, prefixLength, interface: name });
  }
}

function routeKey(route: KernelRoute): string {
  return `${route.destination}/${route.prefixLength}%${route.interfaceIndex}/${route.metric}`;
}
