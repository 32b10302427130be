/** Virtual routes in the main table, over rtnetlink. */
import type { VirtualRoute } from '../config/model.js';
import type { Routes } from '../runtime/ports.js';
import { workInTurn } from '../util/in-turn.js';
import { interfaceIndexes, NoInterfaceError } from './addresses.js';
import { NETLINK_ROUTE, NetlinkConnection } from './netlink.js';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from './netlink-message.js';
import { dumpOwnRoutes } from './route-dump.js';
import { type KernelRoute, RTM_DELROUTE, RTM_NEWROUTE, routePayload } from './rtnetlink-routes.js';

/** Adding or removing some of the routes failed; the others are done. */
export class RouteError extends Error {
  override readonly name = 'RouteError';
  readonly code = 'ERR_ROUTE';
  /** What failed, with the kernel's words. */
  readonly failures: readonly { readonly route: VirtualRoute; readonly error: Error }[];

  constructor(verb: string, failures: readonly { route: VirtualRoute; error: Error }[]) {
    const list = failures.map(({ route, error }) => `${routeText(route)}: ${error.message}`);
    super(`cannot ${verb} the route ${list.join('; ')}`, { cause: failures[0]?.error });
    this.failures = failures;
  }
}

/** Somebody else's route has the same destination and metric. It is left alone. */
export class ForeignRouteError extends Error {
  override readonly name = 'ForeignRouteError';
  readonly code = 'ERR_FOREIGN_ROUTE';
  constructor() {
    super(
      'the main table has a route of someone else with this destination and metric: remove it or give this one another metric',
    );
  }
}

export interface HostRoutes extends Routes {
  close(): void;
}

/** As ip-route(8) writes it. */
export function routeText(route: VirtualRoute): string {
  const via = route.via === undefined ? '' : ` via ${route.via}`;
  const source = route.source === undefined ? '' : ` src ${route.source}`;
  const metric = route.metric === undefined ? '' : ` metric ${route.metric}`;
  return `${route.destination}/${route.prefixLength}${via} dev ${route.interface}${source}${metric}`;
}

/** Opens one rtnetlink connection. Throws with the kernel's code when it refuses. */
export function openRoutes(): HostRoutes {
  const connection = NetlinkConnection.openImmediate(NETLINK_ROUTE);
  /** Each takes several steps: one that is called later must not come between. */
  const inTurn = workInTurn();
  return {
    add: (routes) => inTurn(() => add(connection, routes)),
    remove: (routes) => inTurn(() => remove(connection, routes)),
    close: () => connection.close(),
  };
}

/**
 * The kernel's NLM_F_REPLACE takes the place of whatever has the same destination and metric, whoever made it: so a
 * route is added with NLM_F_EXCL, and replaces only one that bears our protocol number.
 */
async function add(connection: NetlinkConnection, routes: readonly VirtualRoute[]): Promise<void> {
  const { known, failures } = resolve(routes);
  const send = (batch: readonly Resolved[], flags: number) =>
    connection.transact(
      batch.map(({ route, index }) => ({
        type: RTM_NEWROUTE,
        flags: NLM_F_CREATE | flags,
        payload: routePayload('new', route, index),
      })),
    );
  const existing: Resolved[] = [];
  const collect = (batch: readonly Resolved[], results: Awaited<ReturnType<typeof send>>): void => {
    for (const [position, one] of batch.entries()) {
      const error = results[position]?.error;
      if (error?.code === 'EEXIST') existing.push(one);
      else if (error !== undefined) failures.push({ route: one.route, error });
    }
  };
  collect(known, await send(known, NLM_F_EXCL));
  if (existing.length > 0) {
    const ours = await dumpOwnRoutes();
    const replaced: Resolved[] = [];
    for (const one of existing.splice(0)) {
      if (ours.some((route) => sameSlot(route, one.route))) replaced.push(one);
      else failures.push({ route: one.route, error: new ForeignRouteError() });
    }
    collect(replaced, await send(replaced, NLM_F_REPLACE));
  }
  if (failures.length > 0) throw new RouteError('add', failures);
}

async function remove(connection: NetlinkConnection, routes: readonly VirtualRoute[]): Promise<void> {
  // An interface that is gone took its routes along.
  const { known } = resolve(routes);
  const results = await connection.transact(
    known.map(({ route, index }) => ({
      type: RTM_DELROUTE,
      flags: 0,
      payload: routePayload('delete', route, index),
    })),
  );
  const failures = known.flatMap(({ route }, position) => {
    const error = results[position]?.error;
    return error === undefined || error.code === 'ESRCH' ? [] : [{ route, error }];
  });
  if (failures.length > 0) throw new RouteError('remove', failures);
}

interface Resolved {
  readonly route: VirtualRoute;
  readonly index: number;
}

function resolve(routes: readonly VirtualRoute[]): {
  known: Resolved[];
  failures: { route: VirtualRoute; error: Error }[];
} {
  const indexes = interfaceIndexes(routes.map((route) => route.interface));
  const known: Resolved[] = [];
  const failures: { route: VirtualRoute; error: Error }[] = [];
  for (const route of routes) {
    const index = indexes.get(route.interface);
    if (index === undefined) failures.push({ route, error: new NoInterfaceError(route.interface) });
    else known.push({ route, index });
  }
  return { known, failures };
}

/** IP6_RT_PRIO_USER: what the kernel makes of an IPv6 route without a metric. */
const DEFAULT_IPV6_METRIC = 1024;

function sameSlot(ours: KernelRoute, wanted: VirtualRoute): boolean {
  const ipv6 = wanted.destination.includes(':');
  const metric = ipv6 ? wanted.metric || DEFAULT_IPV6_METRIC : (wanted.metric ?? 0);
  return (
    ours.destination === wanted.destination &&
    ours.prefixLength === wanted.prefixLength &&
    ours.metric === metric
  );
}
