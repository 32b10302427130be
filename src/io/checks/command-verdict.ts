/** What the end of a script says. */
import type { CommandOutcome, ProbeOutcome } from '../../runtime/services/services-ports.js';

/** Of a script's output, in the reason. */
const MAX_REASON_CHARACTERS = 200;

/** The exit status that asks for weight 0, where it carries one: 1 is for failures. */
const WEIGHT_0_STATUS = 2;

/** `carriesWeight`: whether an exit status from 2 on is a weight. */
export function commandVerdict(
  outcome: CommandOutcome,
  timeoutMs: number,
  carriesWeight = false,
): ProbeOutcome {
  const said =
    'output' in outcome && outcome.output !== ''
      ? `: ${outcome.output.replace(/\s+/g, ' ').slice(0, MAX_REASON_CHARACTERS)}`
      : '';
  const bad = (reason: string): ProbeOutcome => ({ ok: false, reason });
  switch (outcome.type) {
    case 'exited':
      if (outcome.status === 0) return { ok: true };
      if (carriesWeight && outcome.status >= WEIGHT_0_STATUS)
        return { ok: true, weight: outcome.status - WEIGHT_0_STATUS };
      return bad(`exit status ${outcome.status}${said}`);
    case 'killed':
      return bad(`ended by ${outcome.signal}${said}`);
    case 'timed-out':
      return bad(`not done within ${timeoutMs} ms${said}`);
    case 'cancelled':
      return { ok: undefined, reason: 'ended before it was done' };
    case 'refused':
      return bad(`not run: ${outcome.reason}`);
  }
}
