/** Virtual routes, over rtnetlink: see docs/decisions/0015. */
import type { VirtualRoute } from '../../../config/model.js';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../../netlink/message.js';
import {
  placeKey,
  placeOf,
  RTM_DELROUTE,
  RTM_NEWROUTE,
  routePayload,
} from '../../../netlink/route-messages.js';
import { routeText } from '../../../planning/routing-text.js';
import { NoInterfaceError } from '../addresses.js';
import type { NetlinkConnection } from '../connection.js';
import { interfaceIndexes } from '../present-addresses.js';
import { type DumpedRoute, dumpOwnRoutes } from './route-dump.js';
import { RoutingError, type RoutingFailure } from './routing-error.js';

/** Somebody else's route is in the place of an IPv6 route. It is left alone. */
export class ForeignRouteError extends Error {
  override readonly name = 'ForeignRouteError';
  readonly code = 'ERR_FOREIGN_ROUTE';
  constructor() {
    super(
      'its table has a route of someone else with this destination and metric: remove it or give this one another metric',
    );
  }
}

interface Resolved {
  readonly route: VirtualRoute;
  readonly index: number | undefined;
}

/**
 * Adds routes, those that are there in other words (another next hop) in their new ones; returns those that were not
 * there in any.
 *
 * The kernel's NLM_F_REPLACE takes the place of whatever has the same table, destination and metric, whoever made it:
 * so a route is added with NLM_F_EXCL. Where the place is taken, an IPv4 route is put before what is there, which
 * stays and counts again when ours goes; IPv6 has no such order.
 *
 * @throws {RoutingError} with what failed; the others are done
 */
export async function addRoutes(
  connection: NetlinkConnection,
  routes: readonly VirtualRoute[],
): Promise<readonly VirtualRoute[]> {
  if (routes.length === 0) return [];
  const { known, failures } = resolve(routes);
  const added: VirtualRoute[] = [];
  const send = (batch: readonly Resolved[], flags: number) =>
    connection.transact(
      batch.map(({ route, index }) => ({
        type: RTM_NEWROUTE,
        flags: NLM_F_CREATE | flags,
        payload: routePayload('new', route, index),
      })),
    );
  const taken: Resolved[] = [];
  for (const [position, { error }] of (await send(known, NLM_F_EXCL)).entries()) {
    const one = known[position];
    if (one === undefined) continue;
    if (error === undefined) added.push(one.route);
    else if (error.code === 'EEXIST') taken.push(one);
    else failures.push({ what: routeText(one.route), error });
  }
  if (taken.length > 0) {
    const own = await dumpOwnRoutes();
    for (const one of taken) {
      const places = own.filter((route) => placeKey(route) === placeKey(placeOf(one.route)));
      const error = isIpv6(one.route)
        ? await addToTakenIpv6(send, one, places)
        : await addBefore(connection, send, one, places);
      if (error !== undefined) failures.push({ what: routeText(one.route), error });
      else if (places.length === 0) added.push(one.route);
    }
  }
  if (failures.length > 0) throw new RoutingError('add the route', failures);
  return added;
}

type Send = (
  batch: readonly Resolved[],
  flags: number,
) => Promise<readonly { readonly error: (Error & { code: string }) | undefined }[]>;

async function addToTakenIpv6(
  send: Send,
  one: Resolved,
  own: readonly DumpedRoute[],
): Promise<Error | undefined> {
  if (own.length === 0) return new ForeignRouteError();
  return (await send([one], NLM_F_REPLACE))[0]?.error;
}

async function addBefore(
  connection: NetlinkConnection,
  send: Send,
  one: Resolved,
  own: readonly DumpedRoute[],
): Promise<Error | undefined> {
  const error = (await send([one], 0))[0]?.error;
  // The very same is there.
  if (error?.code === 'EEXIST') return undefined;
  if (error !== undefined) return error;
  await removeDumped(connection, own);
  return undefined;
}

/** Exactly these, without a word about what is gone already. */
export async function removeDumped(
  connection: NetlinkConnection,
  routes: readonly DumpedRoute[],
): Promise<void> {
  if (routes.length === 0) return;
  await connection.transact(routes.map(({ payload }) => ({ type: RTM_DELROUTE, flags: 0, payload })));
}

/** @throws {RoutingError} with what failed; the others are gone */
export async function removeRoutes(
  connection: NetlinkConnection,
  routes: readonly VirtualRoute[],
): Promise<void> {
  if (routes.length === 0) return;
  const { known, homeless } = resolve(routes);
  const results = await connection.transact(
    known.map(({ route, index }) => ({
      type: RTM_DELROUTE,
      flags: 0,
      payload: routePayload('delete', route, index),
    })),
  );
  const failures: RoutingFailure[] = [];
  const unfound = [...homeless];
  for (const [position, { error }] of results.entries()) {
    const route = known[position]?.route;
    if (route === undefined || error === undefined) continue;
    if (error.code === 'ESRCH') unfound.push(route);
    else failures.push({ what: routeText(route), error });
  }
  if (unfound.length > 0) {
    // Gone with its device, as a rule; but a device may have another name by now, and has taken its routes along.
    const places = new Set(unfound.map((route) => placeKey(placeOf(route))));
    const left = (await dumpOwnRoutes()).filter((route) => places.has(placeKey(route)));
    await removeDumped(connection, left);
  }
  if (failures.length > 0) throw new RoutingError('remove the route', failures);
}

function resolve(routes: readonly VirtualRoute[]): {
  known: Resolved[];
  homeless: VirtualRoute[];
  failures: RoutingFailure[];
} {
  const indexes = interfaceIndexes(routes.flatMap((route) => route.interface ?? []));
  const known: Resolved[] = [];
  const homeless: VirtualRoute[] = [];
  const failures: RoutingFailure[] = [];
  for (const route of routes) {
    const index = route.interface === undefined ? undefined : indexes.get(route.interface);
    if (index !== undefined || route.interface === undefined) known.push({ route, index });
    else {
      homeless.push(route);
      failures.push({ what: routeText(route), error: new NoInterfaceError(route.interface) });
    }
  }
  return { known, homeless, failures };
}

function isIpv6({ destination }: VirtualRoute): boolean {
  return destination.includes(':');
}
