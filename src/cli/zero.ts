import { parseArgs } from 'node:util';
import { openIpvs, thisHost } from '../io/netlink/ipvs.js';
import { openPackageSocket } from '../io/netlink/package-socket.js';
import type { Command } from './command.js';

const USAGE = `Usage: director zero

Zeroes the kernel's counters of all virtual servers and real servers, as 'ipvsadm -Z' does. The table, its connections and
its rates stay as they are.
`;

export const command: Command = {
  name: 'zero',
  summary: "zero the kernel's IPVS counters, as 'ipvsadm -Z' does",
  usage: USAGE,
  async run(argv) {
    parseArgs({ args: [...argv], options: {} });
    const ipvs = await openIpvs(thisHost(openPackageSocket));
    try {
      await ipvs.zero();
      return 0;
    } finally {
      ipvs.close();
    }
  },
};
