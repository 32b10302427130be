/** What the end of a script says. */
import type { CommandOutcome, ProbeOutcome } from '../../runtime/services/services-ports.js';

/** Of a script's output, in the reason. */
const MAX_REASON_CHARACTERS = 200;

export function commandVerdict(outcome: CommandOutcome, timeoutMs: number): ProbeOutcome {
  const said =
    'output' in outcome && outcome.output !== ''
      ? `: ${outcome.output.replace(/\s+/g, ' ').slice(0, MAX_REASON_CHARACTERS)}`
      : '';
  const bad = (reason: string): ProbeOutcome => ({ ok: false, reason });
  switch (outcome.type) {
    case 'exited':
      return outcome.status === 0 ? { ok: true } : bad(`exit status ${outcome.status}${said}`);
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
