import { RUNTIME_DIRECTORY } from '../io/host/state-file.js';

/** Option of the commands that speak to a running daemon, for `parseArgs`. */
export const RUNTIME_OPTIONS = {
  'runtime-dir': { type: 'string', default: RUNTIME_DIRECTORY },
} as const;

export const RUNTIME_OPTIONS_USAGE = `  --runtime-dir DIR   socket and state of the daemon (default ${RUNTIME_DIRECTORY})
`;
