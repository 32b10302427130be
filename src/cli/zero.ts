import { parseArgs } from 'node:util';
import type { Command } from './command.js';
import { withKernelTable } from './kernel-table.js';

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
    await withKernelTable((ipvs) => ipvs.zero());
    return 0;
  },
};
