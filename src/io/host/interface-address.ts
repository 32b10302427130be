/** Which of an interface's addresses is its own. */
import { readFileSync } from 'node:fs';
import type { AddressFamily } from '../../util/ip-address.js';
import { AF_INET, AF_INET6, addressText, isLinkLocal } from '../../util/ip-address.js';
import { native } from '../sockets/native.js';

/** All IPv6 addresses of this network namespace, with their flags. */
const IF_INET6 = '/proc/net/if_inet6';
/** linux/if_addr.h: duplicate address detection is not over; not with IFA_F_OPTIMISTIC, which may be used. */
const IFA_F_OPTIMISTIC = 0x04;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;

/** An interface has no address that could be the source of what it sends. */
export class NoInterfaceAddressError extends Error {
  override readonly name = 'NoInterfaceAddressError';
  readonly code = 'ERR_NO_INTERFACE_ADDRESS';
}

/**
 * Where an interface speaks from: its primary IPv4 address, which is the first in the kernel's list (`ifa_list`
 * has primary addresses before secondary ones), or its first link-local IPv6 address that is not tentative.
 * The interface may be down.
 *
 * @param avoid virtual addresses, which a predecessor may have left on the interface
 * @throws {NoInterfaceAddressError} when there is none
 */
export function primaryAddress(
  interfaceName: string,
  family: AddressFamily,
  avoid: readonly string[],
): string {
  const candidates = addressesOf(interfaceName, family).filter(
    (address) => !avoid.includes(address) && (family === 'ipv4' || isLinkLocal(address)),
  );
  const unusable = family === 'ipv6' ? unusableIpv6() : new Set<string>();
  const usable = candidates.find((address) => !unusable.has(`${address}%${interfaceName}`));
  if (usable !== undefined) return usable;
  const kind = family === 'ipv4' ? 'IPv4' : 'link-local IPv6';
  const tentative = candidates[0];
  throw new NoInterfaceAddressError(
    tentative === undefined
      ? `interface ${interfaceName} has no ${kind} address of its own${avoid.length > 0 ? ' beside virtual ones' : ''}`
      : `the address ${tentative} of interface ${interfaceName} is tentative: duplicate address detection is not over, or failed`,
  );
}

/**
 * @throws {NoInterfaceAddressError} when the interface does not hold `address`, or may not use it yet
 */
export function assertHeld(interfaceName: string, family: AddressFamily, address: string): void {
  if (!addressesOf(interfaceName, family).includes(address)) {
    throw new NoInterfaceAddressError(`interface ${interfaceName} does not hold the address ${address}`);
  }
  if (family === 'ipv6' && unusableIpv6().has(`${address}%${interfaceName}`)) {
    throw new NoInterfaceAddressError(
      `the address ${address} of interface ${interfaceName} is tentative: duplicate address detection is not over, or failed`,
    );
  }
}

function addressesOf(interfaceName: string, family: AddressFamily): string[] {
  const wanted = family === 'ipv6' ? AF_INET6 : AF_INET;
  const addresses: string[] = [];
  for (const entry of native().interfaceAddresses()) {
    // The kernel's list carries labels such as `eth0:vip` in place of the name.
    if (entry.family !== wanted || entry.name.split(':')[0] !== interfaceName) continue;
    const address = addressText(entry.address);
    if (address !== undefined) addresses.push(address);
  }
  return addresses;
}

/** Addresses that bind(2) would refuse, as `address%interface`. */
function unusableIpv6(): Set<string> {
  const found = new Set<string>();
  let text: string;
  try {
    text = readFileSync(IF_INET6, 'utf8');
  } catch {
    // A kernel without IPv6, which has no such addresses either.
    return found;
  }
  for (const line of text.split('\n')) {
    const [address = '', , , , flags = '', name = ''] = line.trim().split(/\s+/);
    const bits = Number.parseInt(flags, 16);
    const optimistic = (bits & IFA_F_OPTIMISTIC) !== 0;
    const refused = (bits & IFA_F_DADFAILED) !== 0 || ((bits & IFA_F_TENTATIVE) !== 0 && !optimistic);
    if (refused) found.add(`${addressText(Buffer.from(address, 'hex')) ?? ''}%${name}`);
  }
  return found;
}
