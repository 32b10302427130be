/** In a network namespace of its own: carries out one line of JSON, `[what, argument]`, and answers with one line. */
import { createInterface } from 'node:readline';
import { openAcceptFilter } from '../../../src/io/host/accept-filter.js';
import { openAddresses } from '../../../src/io/netlink/addresses.js';
import { openVirtualMacs } from '../../../src/io/netlink/virtual-mac.js';
import { openAnnouncer } from '../../../src/io/vrrp/announcer.js';

const addresses = openAddresses();
const devices = openVirtualMacs();
const filter = openAcceptFilter();
const errors: string[] = [];
const announcer = openAnnouncer((error) => errors.push(error.message));

const work: Record<string, (argument: never) => unknown> = {
  keep: async (argument) => {
    const { faults } = await devices.keep(argument);
    return [...faults.values()].map(({ message }) => message).join('; ') || 'done';
  },
  add: (argument) => addresses.add(argument),
  del: (argument) => addresses.remove(argument),
  announce: (argument) => announcer.announce(argument),
  drop: (argument) => filter.drop(argument),
  errors: () => errors.join('; '),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [what, argument] = JSON.parse(line) as [string, never];
  try {
    const answer = await work[what]?.(argument);
    process.stdout.write(`${typeof answer === 'string' ? answer : 'done'}\n`);
  } catch (error) {
    process.stdout.write(`${String(error)}\n`);
  }
}
announcer.close();
devices.close();
addresses.close();
