import { STATE_DIRECTORY } from '../io/host/maintenance-file.js';
import { RUNTIME_DIRECTORY } from '../io/host/state-file.js';

/** Option of the commands that speak to a running daemon, for `parseArgs`. */
export const RUNTIME_OPTIONS = {
  'runtime-dir': { type: 'string', default: RUNTIME_DIRECTORY },
} as const;

export const RUNTIME_OPTIONS_USAGE = `  --runtime-dir DIR   socket and state of the daemon (default ${RUNTIME_DIRECTORY})
`;

/** Option of the commands that read or write what a reboot keeps. */
export const STATE_OPTIONS = {
  'state-dir': { type: 'string', default: STATE_DIRECTORY },
} as const;

export const STATE_OPTIONS_USAGE = `  --state-dir DIR     what survives a reboot (default ${STATE_DIRECTORY})
`;
