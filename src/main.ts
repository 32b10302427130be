#!/usr/bin/env node
/** The entry: finds the command, runs it, turns errors into one clear sentence and an exit status. */
import { type Command, UsageError } from './cli/command.js';

/** Loaded one at a time, so that `check` does not pay for the daemon. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  run: async () => (await import('./cli/run.js')).command,
  check: async () => (await import('./cli/check.js')).command,
  plan: async () => (await import('./cli/plan.js')).command,
  status: async () => (await import('./cli/status.js')).command,
  list: async () => (await import('./cli/list.js')).command,
  top: async () => (await import('./cli/top.js')).command,
  zero: async () => (await import('./cli/zero.js')).command,
  events: async () => (await import('./cli/events.js')).command,
  failover: async () => (await import('./cli/failover.js')).command,
  drain: async () => (await import('./cli/override.js')).drain,
  undrain: async () => (await import('./cli/override.js')).undrain,
  disable: async () => (await import('./cli/override.js')).disable,
  enable: async () => (await import('./cli/override.js')).enable,
  weight: async () => (await import('./cli/override.js')).weight,
  sync: async () => (await import('./cli/sync/sync.js')).command,
  drill: async () => (await import('./cli/drill.js')).command,
  load: async () => (await import('./cli/processes/load.js')).command,
  services: async () => (await import('./cli/processes/services.js')).command,
  withdraw: async () => (await import('./cli/processes/withdraw.js')).command,
};

/** Not for people: `run` and the service manager start them. */
const HIDDEN: ReadonlySet<string> = new Set(['load', 'services', 'withdraw']);
const ORDER = Object.keys(COMMANDS).filter((name) => !HIDDEN.has(name));

async function help(): Promise<string> {
  const rows = await Promise.all(
    ORDER.map(async (name) => {
      const command = await COMMANDS[name]?.();
      return `  ${name.padEnd(8)} ${command?.summary ?? ''}`;
    }),
  );
  return [
    'Usage: director COMMAND [OPTIONS]',
    '',
    ...rows,
    '',
    "'director COMMAND --help' tells more, 'director --version' which version this is. Exit status: 0 done, 1 failed, 2 wrong configuration or arguments.",
    '',
  ].join('\n');
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await help());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    const { version } = await import('./cli/version.js');
    process.stdout.write(`lvs-director ${version()}\n`);
    return 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    throw new UsageError(`there is no command '${name}'; commands are ${ORDER.join(', ')}`);
  }
  const command = await load();
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.usage);
    return 0;
  }
  return command.run(rest);
}

/** Errors that were foreseen carry a `code`; anything else is a broken invariant and crashes with its stack. */
function exitStatusOf(error: unknown): number {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error;
  if (error instanceof UsageError || error.code.startsWith('ERR_PARSE_ARGS')) {
    process.stderr.write(`director: ${error.message}\nTry 'director --help'.\n`);
    return 2;
  }
  process.stderr.write(`director: ${error.message}\n`);
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = exitStatusOf(error);
}
