import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { openEventStream } from '../io/operator/event-client.js';
import type { Command } from './command.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from './runtime-dir.js';

const USAGE = `Usage: director events [OPTIONS]

Prints what happens in the running director, one line of JSON for each event: first a snapshot of all instances, then
changes of state, notices and verdicts on tracked objects. Ends with Ctrl-C, or with status 1 when the director leaves.

${RUNTIME_OPTIONS_USAGE}  --json              lines of JSON (the default)
`;

export const command: Command = {
  name: 'events',
  summary: 'what happens, as lines of JSON',
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: { ...RUNTIME_OPTIONS, json: { type: 'boolean', default: true } },
    });
    const stream = await openEventStream(values['runtime-dir']);
    // Whoever reads these lines may leave first, as `head` does.
    let left = false;
    process.stdout.once('error', () => {
      left = true;
      stream.destroy();
    });
    stream.on('error', () => stream.destroy());
    stream.pipe(process.stdout, { end: false });
    await once(stream, 'close');
    return left ? 0 : 1;
  },
};
