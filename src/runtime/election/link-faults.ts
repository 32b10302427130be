/** What of a host's interfaces keeps an instance from serving. */
import type { VrrpInstance } from '../../config/model.js';
import type { LinkMonitor } from '../ports.js';
import { missingText } from './channels.js';

/** Interfaces whose links an instance needs. */
export function interfacesOf({ interface: own, addresses }: VrrpInstance): readonly string[] {
  return [...new Set([own, ...addresses.map((address) => address.interface)])];
}

/**
 * Why an instance cannot serve, as a sentence's end; undefined when its links are up. The link of its virtual MAC
 * device is that of the parent; `deviceFault` is what its keeper has to say.
 */
export function linkFault(
  links: LinkMonitor,
  instance: VrrpInstance,
  deviceFault: string | undefined,
): string | undefined {
  const interfaces = interfacesOf(instance);
  const missing = interfaces.find((name) => links.index(name) === undefined);
  if (missing !== undefined) return deviceFault ?? missingText(missing);
  const down = interfaces.find((name) => name !== instance.virtualMacInterface && !links.isUp(name));
  return down === undefined ? deviceFault : `link of ${down} is down`;
}
