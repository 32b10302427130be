import { type Command, UsageError } from '../command.js';
import { digest } from './digest.js';
import { replay } from './replay.js';
import { watch } from './watch.js';

const USAGE = `Usage: director sync WHAT [OPTIONS]

What the sync daemons of the directors say to each other of connections:

  replay              tell the peer of all connections of this host again, in the group of the kernel's sync daemon
    --buckets LIST    of these buckets alone, 0 to 255, with commas between them
  digest              count and sum of this host's connections by bucket, which are the same where the tables are
  watch               who says how much in the group, a line for each sender and second, until Ctrl-C; this host's
                      kernel too
    --interface NAME  where (default: that of connection_sync in the configuration)
    --group, --port   of the group (default 224.0.0.81 and 8848)
    -c, --config FILE, --director NAME   the configuration, and whose part of it
  --json              the same as JSON; of watch, a line for each second
`;

const KINDS: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = {
  replay,
  digest,
  watch,
};

export const command: Command = {
  name: 'sync',
  summary: 'what the directors tell each other of connections: replay, digest, watch',
  usage: USAGE,
  async run([kind = '', ...argv]) {
    const run = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
    if (run === undefined) throw new UsageError(`sync: one of ${Object.keys(KINDS).join(', ')}`);
    return run(argv);
  },
};
