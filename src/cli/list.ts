import { parseArgs } from 'node:util';
import { openIpvs, thisHost } from '../io/netlink/ipvs.js';
import { openPackageSocket } from '../io/netlink/package-socket.js';
import { formatTable } from '../ipvs/format.js';
import type { Command } from './command.js';

const USAGE = `Usage: director list [--json]

Prints the kernel's IPVS table as 'ipvsadm -Ln' does.

  --json              the table as JSON
`;

export const command: Command = {
  name: 'list',
  summary: "the kernel's IPVS table, as 'ipvsadm -Ln' shows it",
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({ args: [...argv], options: { json: { type: 'boolean', default: false } } });
    const ipvs = await openIpvs(thisHost(openPackageSocket));
    try {
      const [services, info] = [await ipvs.dump(), await ipvs.info()];
      process.stdout.write(
        values.json ? `${JSON.stringify({ ...info, services }, null, 2)}\n` : formatTable(services, info),
      );
      return 0;
    } finally {
      ipvs.close();
    }
  },
};
