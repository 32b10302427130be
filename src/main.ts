#!/usr/bin/env node
/** The entry: finds the command, runs it, turns errors into one clear sentence and an exit status. */
import { type Command, OperationalError, UsageError } from './cli/command.js';

/** Loaded one at a time, so that `check` does not pay for the daemon. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  check: async () => (await import('./cli/check.js')).command,
};

const ORDER = Object.keys(COMMANDS);

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
    "'director COMMAND --help' tells more. Exit status: 0 done, 1 failed, 2 wrong configuration or arguments.",
    '',
  ].join('\n');
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await help());
    return name === undefined ? 2 : 0;
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

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError || (error instanceof TypeError && 'code' in error)) {
    process.stderr.write(`director: ${error.message}\nTry 'director --help'.\n`);
    process.exitCode = 2;
  } else if (error instanceof OperationalError) {
    process.stderr.write(`director: ${error.message}\n`);
    process.exitCode = 1;
  } else {
    throw error;
  }
}
