/** The roles of a director as a sentence, for `systemctl status`. Pure. */
import type { VrrpState } from '../vrrp/group-types.js';

/** Names told of one state. The service manager takes 4096 bytes (NOTIFY_BUFFER_MAX), and a person reads one line. */
const MAX_NAMES = 10;
const MAX_NAME_LENGTH = 40;
/** What somebody who looks wants to know first comes first. */
const ORDER: readonly VrrpState[] = ['fault', 'master', 'backup', 'initialize'];

/** `master of outside, inside; backup of db`. One line, whatever the names. */
export function rolesText(states: ReadonlyMap<string, VrrpState>): string {
  const parts = ORDER.flatMap((state) => {
    const names = [...states].filter(([, each]) => each === state).map(([name]) => name);
    if (names.length === 0) return [];
    const told = names.slice(0, MAX_NAMES).map((name) => name.slice(0, MAX_NAME_LENGTH));
    const more = names.length > told.length ? ` and ${names.length - told.length} more` : '';
    return [`${WORDS[state]} ${told.join(', ')}${more}`];
  });
  return parts.join('; ').replaceAll(/\p{Cc}/gu, ' ');
}

const WORDS: Record<VrrpState, string> = {
  fault: 'fault of',
  master: 'master of',
  backup: 'backup of',
  initialize: 'not taking part:',
};
