/** Whether this host has the interfaces that the instances name. */
import type { VrrpInstance } from '../config/model.js';
import { assertHeld, NoInterfaceAddressError, primaryAddress } from './interface-address.js';
import { native } from './native.js';

/**
 * Looked at before anything is changed: whether every interface is there and can be the source of advertisements.
 * An interface may be down: its instance then waits for the link.
 *
 * @returns a sentence for each instance that cannot run, which says why and what to do
 */
export function interfaceFaults(instances: readonly VrrpInstance[]): readonly string[] {
  const virtual = instances.flatMap((instance) => instance.addresses.map((a) => a.address));
  return instances.flatMap((instance) => faultOf(instance, virtual) ?? []);
}

function faultOf(instance: VrrpInstance, virtual: readonly string[]): string | undefined {
  const names = [instance.interface, ...instance.addresses.map((address) => address.interface)].filter(
    // That device is made by the director itself.
    (name) => name !== instance.virtualMacInterface,
  );
  const missing = names.find((name) => !exists(name));
  if (missing !== undefined) {
    return `VRRP instance '${instance.name}' needs interface ${missing}, which this host does not have: create it, or correct the name in the configuration ('ip link' lists those there are)`;
  }
  const local = instance.transport.kind === 'multicast' ? undefined : instance.transport.local;
  // A link-local address comes with the link, and may be tentative at the start of the host: the instance waits for it.
  if (instance.family === 'ipv6' && local === undefined) return undefined;
  try {
    if (local === undefined) primaryAddress(instance.interface, instance.family, virtual);
    else assertHeld(instance.interface, instance.family, local);
    return undefined;
  } catch (error) {
    if (!(error instanceof NoInterfaceAddressError)) throw error;
    if (local !== undefined) {
      return `VRRP instance '${instance.name}' has no address to advertise from: ${error.message}`;
    }
    return `VRRP instance '${instance.name}' has no address to advertise from: give interface ${instance.interface} an IPv4 address of its own, besides the virtual ones ('ip addr add ADDRESS/LENGTH dev ${instance.interface}')`;
  }
}

function exists(name: string): boolean {
  try {
    native().interfaceInfo(name);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENODEV') return false;
    throw error;
  }
}
