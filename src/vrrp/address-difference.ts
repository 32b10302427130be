import type { VirtualAddress } from '../config/model.js';

/** One text per address and place, to compare by. */
export function addressText(address: VirtualAddress): string {
  return `${address.address}/${address.prefixLength} on ${address.interface}`;
}

export interface AddressDifference {
  readonly added: readonly VirtualAddress[];
  readonly removed: readonly VirtualAddress[];
}

export function addressDifference(
  before: readonly VirtualAddress[],
  after: readonly VirtualAddress[],
): AddressDifference {
  const old = new Set(before.map(addressText));
  const now = new Set(after.map(addressText));
  return {
    added: after.filter((address) => !old.has(addressText(address))),
    removed: before.filter((address) => !now.has(addressText(address))),
  };
}
