/** Which of an interface's addresses is its own. */
import { addressText } from '../ip-address.js';
import { native } from './native.js';
import { AF_INET } from './socket-constants.js';

/** An interface has no IPv4 address that could be the source of what it sends. */
export class NoInterfaceAddressError extends Error {
  override readonly name = 'NoInterfaceAddressError';
  readonly code = 'ERR_NO_INTERFACE_ADDRESS';
}

/**
 * The interface's primary IPv4 address: the first in the kernel's list, which has primary addresses before
 * secondary ones (`ifa_list`). The interface may be down.
 *
 * @param avoid virtual addresses, which a predecessor may have left on the interface
 * @throws {NoInterfaceAddressError} when there is none
 */
export function primaryAddress(interfaceName: string, avoid: readonly string[]): string {
  const addon = native();
  for (const entry of addon.interfaceAddresses()) {
    // The kernel's list carries labels such as `eth0:vip` in place of the name.
    if (entry.family !== AF_INET || entry.name.split(':')[0] !== interfaceName) continue;
    const address = addressText(entry.address);
    if (address !== undefined && !avoid.includes(address)) return address;
  }
  throw new NoInterfaceAddressError(
    `interface ${interfaceName} has no IPv4 address of its own${avoid.length > 0 ? ' beside virtual ones' : ''}`,
  );
}
