/** What moves with an instance beside its addresses: routes and rules, over one rtnetlink connection. */

import { routeText, ruleText } from '../../../planning/routing-text.js';
import type { Routing } from '../../../runtime/ports.js';
import { workInTurn } from '../../../util/in-turn.js';
import { NETLINK_ROUTE, NetlinkConnection } from '../connection.js';
import { dumpOwnRoutes, dumpOwnRules } from './route-dump.js';
import { addRoutes, removeDumped, removeRoutes } from './routes.js';
import { addRules, removeDumpedRules, removeRules } from './rules.js';

export interface HostRouting extends Routing {
  close(): void;
}

/** Opens one rtnetlink connection. Throws with the kernel's code when it refuses. */
export function openRouting(): HostRouting {
  const connection = NetlinkConnection.openImmediate(NETLINK_ROUTE);
  /** Each takes several steps: one that is called later must not come between. */
  const inTurn = workInTurn();
  return {
    // A rule without its table sends packets nowhere: it comes last and goes first.
    add: ({ routes, rules }) =>
      inTurn(async () => {
        const added = (await addRoutes(connection, routes)).map(routeText);
        return [...added, ...(await addRules(connection, rules)).map(ruleText)];
      }),
    remove: ({ routes, rules }) =>
      inTurn(async () => {
        await removeRules(connection, rules);
        await removeRoutes(connection, routes);
      }),
    clear: () =>
      inTurn(async () => {
        const rules = await dumpOwnRules();
        const routes = await dumpOwnRoutes();
        await removeDumpedRules(connection, rules);
        await removeDumped(connection, routes);
        return rules.length + routes.length;
      }),
    close: () => connection.close(),
  };
}
