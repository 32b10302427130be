/** Virtual rules of the routing policy, over rtnetlink: see docs/decisions/0015. */
import type { VirtualRule } from '../../../config/model.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../../../netlink/message.js';
import { RTM_DELRULE, RTM_NEWRULE, rulePayload } from '../../../netlink/rule-messages.js';
import { ruleText } from '../../../planning/routing-text.js';
import type { NetlinkConnection } from '../connection.js';
import { type DumpedRule, dumpOwnRules } from './route-dump.js';
import { RoutingError, type RoutingFailure } from './routing-error.js';

/**
 * Adds rules; returns those that were not there. One of someone else that is alike stays his; where the kernel takes no
 * second (before it compared FRA_PROTOCOL, fib_rules.c, rule_exists), his does what ours would.
 *
 * @throws {RoutingError} with what failed; the others are done
 */
export async function addRules(
  connection: NetlinkConnection,
  rules: readonly VirtualRule[],
): Promise<readonly VirtualRule[]> {
  if (rules.length === 0) return [];
  const results = await connection.transact(
    rules.map((rule) => ({
      type: RTM_NEWRULE,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      payload: rulePayload(rule),
    })),
  );
  const added: VirtualRule[] = [];
  const failures: RoutingFailure[] = [];
  for (const [position, rule] of rules.entries()) {
    const error = results[position]?.error;
    if (error === undefined) added.push(rule);
    else if (error.code !== 'EEXIST') failures.push({ what: ruleText(rule), error });
  }
  if (failures.length > 0) throw new RoutingError('add the rule', failures);
  return added;
}

/** @throws {RoutingError} with what failed; the others are gone */
export async function removeRules(
  connection: NetlinkConnection,
  rules: readonly VirtualRule[],
): Promise<void> {
  if (rules.length === 0) return;
  // Not every kernel looks at FRA_PROTOCOL when it searches for what is to go (fib_rules.c, rule_find).
  const own = new Set((await dumpOwnRules()).map(placeKey));
  const ours = rules.filter((rule) => own.has(placeKey(rule)));
  const results = await connection.transact(
    ours.map((rule) => ({ type: RTM_DELRULE, flags: 0, payload: rulePayload(rule) })),
  );
  const failures = ours.flatMap((rule, position) => {
    const error = results[position]?.error;
    return error === undefined || error.code === 'ENOENT' ? [] : [{ what: ruleText(rule), error }];
  });
  if (failures.length > 0) throw new RoutingError('remove the rule', failures);
}

/** Exactly these, without a word about what is gone already. */
export async function removeDumpedRules(
  connection: NetlinkConnection,
  rules: readonly DumpedRule[],
): Promise<void> {
  if (rules.length === 0) return;
  await connection.transact(rules.map(({ payload }) => ({ type: RTM_DELRULE, flags: 0, payload })));
}

function placeKey({ family, priority }: Pick<VirtualRule, 'family' | 'priority'>): string {
  return `${family} ${priority}`;
}
