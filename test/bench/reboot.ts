/**
 * `npm run bench:reboot`: how many connections live on when the master reboots and takes its role back, with ours and with
 * keepalived, each with its kernel's connection synchronisation, in the VM of the drill.
 */
import { parseArgs } from 'node:util';
import type { Survivors } from './guest/reboot-survivors.js';
import { inGuest, say } from './support/guest.js';
import { contendersOf, numberWithin } from './support/options.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:reboot -- [OPTIONS]

  --connections N   of each use (busy, one request, idle), 1 to 400, default 100
  --only WHO        ours or keepalived; default both
  --json            the results as JSON on standard output, progress on standard error

In the VM of the drill, LVS-NAT. The power of the master fails, the other one takes over, the host boots with nothing in its
kernel, and takes its role back: keepalived as soon as it hears the weaker master, ours when it has the connections
(config/nat.yaml).
`;

const RUN_LIMIT_MS = 15 * 60_000;

type Chosen = NonNullable<ReturnType<typeof options>>;

function options() {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '100' },
      only: { type: 'string' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  return {
    connections: numberWithin(values.connections, 1, 400, 'connections'),
    contenders: contendersOf(values.only),
    json: values.json,
  };
}

function measured({ connections, contenders }: Chosen, signal: AbortSignal): Promise<Survivors[]> {
  return inGuest({ signal }, async (guest) => {
    const results: Survivors[] = [];
    for (const who of contenders) {
      say(`${who}: a reboot of the master with ${3 * connections} connections (a few minutes)`);
      results.push(
        ...(await guest.results<Survivors>('reboot-survivors.js', [who, String(connections)], RUN_LIMIT_MS)),
      );
    }
    return results;
  });
}

await runBench({
  name: 'bench:reboot',
  usage: USAGE,
  options,
  run: async (chosen, signal) => {
    const results = await measured(chosen, signal);
    if (chosen.json) process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`);
    else {
      printTable(
        ['who', 'connections', 'after the takeover', 'after the return', 'from the boot to the role, s'],
        results.map(({ who, opened, tookOver, survived, returnMs }) => [
          who,
          String(opened),
          String(tookOver),
          String(survived),
          (returnMs / 1000).toFixed(1),
        ]),
      );
    }
    return 0;
  },
});
