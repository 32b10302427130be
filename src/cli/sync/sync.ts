import { type Command, UsageError } from '../command.js';
import { digest } from './digest.js';
import { replay } from './replay.js';

const USAGE = `Usage: director sync WHAT [OPTIONS]

What the sync daemons of the directors say to each other of connections:

  replay              tell the peer of all connections of this host again, in the group of the kernel's sync daemon
    --buckets LIST    of these buckets alone, 0 to 255, with commas between them
  digest              count and sum of this host's connections by bucket, which are the same where the tables are
  --json              the same as JSON
`;

const KINDS: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = { replay, digest };

export const command: Command = {
  name: 'sync',
  summary: 'what the directors tell each other of connections: replay and digest',
  usage: USAGE,
  async run([kind = '', ...argv]) {
    const run = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
    if (run === undefined) throw new UsageError(`sync: one of ${Object.keys(KINDS).join(', ')}`);
    return run(argv);
  },
};
