/** The name of the macvlan device that bears a virtual router's MAC address. */
import { fnv1a } from '../util/fnv1a.js';
import type { AddressFamily } from '../util/ip-address.js';

/** IFNAMSIZ without the final zero. */
const MAX_NAME = 15;
const DIGITS = 36;
/** `vrrp4-255-` leaves five characters. */
const SHORT_NAMES = DIGITS ** 5;

/**
 * `vrrp4-51-eth0`: made of the virtual router's own settings alone, so that it stays whatever else comes and goes in the
 * file. Where that is too long for the kernel, five digits that are drawn from the parent's name stand for it.
 */
export function virtualMacName(family: AddressFamily, virtualRouterId: number, parent: string): string {
  const head = `vrrp${family === 'ipv4' ? 4 : 6}-${virtualRouterId}-`;
  const whole = head + parent;
  if (new TextEncoder().encode(whole).length <= MAX_NAME) return whole;
  return head + (fnv1a(parent) % SHORT_NAMES).toString(DIGITS).padStart(5, '0');
}
