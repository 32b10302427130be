import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openStateFile, VRRP_STATE } from '../../io/host/state-file.js';
import { openAddresses } from '../../io/netlink/addresses.js';
import { openRouting } from '../../io/netlink/routing/routing.js';
import { openVirtualMacs } from '../../io/netlink/virtual-mac.js';
import { ControlSocketError, lockRuntimeDirectory } from '../../io/operator/control-server.js';
import type { Command } from '../command.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from '../runtime-dir.js';

const USAGE = `Usage: director withdraw [OPTIONS]

The service manager calls this when the service has ended, however it did: what a director left behind that had no time to
clear away (virtual addresses, routes, rules, virtual MAC devices) leaves the kernel. Does nothing while a director runs.
The IPVS table stays for the next start, which adopts it.

${RUNTIME_OPTIONS_USAGE}`;

/** Says what it took away; undefined when there was nothing. */
async function withdraw(runtimeDirectory: string): Promise<string | undefined> {
  const { addresses: wanted } = await openStateFile(VRRP_STATE, runtimeDirectory).load();
  const [addresses, routing, virtualMacs] = [openAddresses(), openRouting(), openVirtualMacs()];
  try {
    const held = await addresses.held(wanted);
    const moved = await routing.clear();
    await addresses.remove(held);
    const { removed: devices } = await virtualMacs.keep([]);
    const parts = [
      ...held.map(({ address, prefixLength, interface: name }) => `${address}/${prefixLength} on ${name}`),
      ...(moved > 0 ? [`${moved} routes and rules`] : []),
      ...devices,
    ];
    return parts.length === 0 ? undefined : `the director left without a word: removed ${parts.join(', ')}`;
  } finally {
    addresses.close();
    routing.close();
    virtualMacs.close();
  }
}

export const command: Command = {
  name: 'withdraw',
  summary: 'removes what a director left that was killed',
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({ args: [...argv], options: RUNTIME_OPTIONS });
    const directory = values['runtime-dir'];
    if (!existsSync(directory)) return 0;
    let unlock: () => void;
    try {
      unlock = lockRuntimeDirectory(directory);
    } catch (error) {
      if (error instanceof ControlSocketError && error.running) return 0;
      throw error;
    }
    try {
      const removed = await withdraw(directory);
      if (removed !== undefined) process.stdout.write(`${removed}\n`);
    } finally {
      unlock();
    }
    return 0;
  },
};
