/** Which virtual IPv6 addresses a host may use as a source of its own traffic. Pure. */
import type { VirtualAddress } from '../config/model.js';
import { familyOf, isLinkLocal, knownAddressBytes } from '../util/ip-address.js';
import {
  IFA_F_DADFAILED,
  IFA_F_DEPRECATED,
  IFA_F_TENTATIVE,
  type InterfaceAddress,
} from './address-messages.js';

const UNFIT = IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED;

/**
 * The addresses to add as preferred; every other IPv6 address is to be added as deprecated (preferred lifetime 0).
 *
 * Linux lists the newest address of an interface first and keeps the first of equals (ipv6_dev_get_saddr), so that a
 * virtual address would become the source of all that the master itself sends: health checks, ssh, DNS. Such
 * connections break when the address moves. RFC 6724 rule 3 passes over a deprecated address as long as there is
 * another, and everything that is sent to it works as before. (IPv4 has no such trouble: a secondary address is
 * no source.)
 *
 * Preferred is only the first address of a subnet in which the host has no other: a DIP that is the interface's only
 * address must be the source towards its real servers, and a deprecated one would lose to a preferred address of
 * another interface (rule 3 comes before rule 5). A /128 makes no subnet, and of link-local addresses every
 * interface has one of its own.
 */
export function preferredSources<T extends { readonly address: VirtualAddress; readonly index: number }>(
  wanted: readonly T[],
  present: readonly InterfaceAddress[],
): Set<T> {
  const key = (address: string, prefixLength: number, index: number): string =>
    `${networkText(address, prefixLength)}/${prefixLength}%${index}`;
  const ours = new Set(wanted.map(({ address, index }) => `${networkText(address.address, 128)}%${index}`));
  const served = new Set<string>();
  for (const one of present) {
    const fit = one.family === 'ipv6' && (one.flags & UNFIT) === 0;
    if (fit && !ours.has(`${networkText(one.address, 128)}%${one.interfaceIndex}`)) {
      served.add(key(one.address, one.prefixLength, one.interfaceIndex));
    }
  }
  const preferred = new Set<T>();
  for (const one of wanted) {
    const { address, prefixLength } = one.address;
    if (familyOf(address) !== 'ipv6' || prefixLength === 128 || isLinkLocal(address)) continue;
    const subnet = key(address, prefixLength, one.index);
    if (served.has(subnet)) continue;
    served.add(subnet);
    preferred.add(one);
  }
  return preferred;
}

function networkText(address: string, prefixLength: number): string {
  return knownAddressBytes(address)
    .map((byte, index) => byte & ~(0xff >> Math.min(8, Math.max(0, prefixLength - 8 * index))))
    .join('.');
}
