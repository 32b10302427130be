import { parseArgs } from 'node:util';
import type { KernelIpvs } from '../io/netlink/ipvs.js';
import { formatTable } from '../ipvs/format.js';
import { formatCounted, formatSettings } from '../ipvs/format-columns.js';
import { type Command, UsageError } from './command.js';
import { jsonText } from './json-text.js';
import { withKernelTable } from './kernel-table.js';

const USAGE = `Usage: director list [--stats | --rate | --thresholds | --persistent-conn | --timeout] [--exact] [--json]

Prints the kernel's IPVS table as 'ipvsadm -Ln' does.

  --stats             with connections, packets and bytes since the counters were zeroed
  --rate              with the same in a second
  --exact             with --stats or --rate: numbers in full, not shortened to K, M, G or T
  --thresholds        with the upper and lower thresholds of connections
  --persistent-conn   with the persistent connections
  --timeout           the timeouts of connections (tcp, tcpfin, udp) in seconds, and nothing else
  --json              the same as JSON
`;

/** One of them at most. */
const VIEWS = ['stats', 'rate', 'thresholds', 'persistent-conn', 'timeout'] as const;
type View = (typeof VIEWS)[number];

export const command: Command = {
  name: 'list',
  summary: "the kernel's IPVS table, as 'ipvsadm -Ln' shows it",
  usage: USAGE,
  async run(argv) {
    const flag = { type: 'boolean', default: false } as const;
    const { values } = parseArgs({
      args: [...argv],
      options: {
        stats: flag,
        rate: flag,
        thresholds: flag,
        'persistent-conn': flag,
        timeout: flag,
        exact: flag,
        json: flag,
      },
    });
    const [view, other] = VIEWS.filter((name) => values[name]);
    if (other !== undefined) throw new UsageError(`--${view} and --${other} exclude each other`);
    if (values.exact && view !== 'stats' && view !== 'rate')
      throw new UsageError('--exact goes with --stats or --rate');
    const { json, exact } = values;
    process.stdout.write(await withKernelTable((ipvs) => shown(ipvs, view, { json, exact })));
    return 0;
  },
};

async function shown(
  ipvs: KernelIpvs,
  view: View | undefined,
  { json, exact }: { readonly json: boolean; readonly exact: boolean },
): Promise<string> {
  if (view === 'timeout') {
    const timeouts = await ipvs.timeouts();
    const { tcpSeconds, tcpFinSeconds, udpSeconds } = timeouts;
    return json
      ? jsonText(timeouts)
      : `Timeout (tcp tcpfin udp): ${tcpSeconds} ${tcpFinSeconds} ${udpSeconds}\n`;
  }
  const info = await ipvs.info();
  if (view === 'stats' || view === 'rate') {
    const services = await ipvs.read();
    return json ? jsonText({ ...info, services }) : formatCounted(services, info, view, exact);
  }
  const services = await ipvs.dump();
  if (json) return jsonText({ ...info, services });
  return view === undefined ? formatTable(services, info) : formatSettings(services, info, view);
}
