/** Keeps the macvlan devices of the instances that have a MAC address of their own. */
import type { VrrpInstance } from '../config/model.js';
import type { Log, VirtualMacs } from './ports.js';

/** RFC 9568 section 7.3: 00-00-5E-00-01-{VRID} for IPv4, 00-00-5E-00-02-{VRID} for IPv6. */
export function virtualMacAddress({ family, virtualRouterId }: VrrpInstance): string {
  const group = family === 'ipv4' ? '01' : '02';
  return `00:00:5e:00:${group}:${virtualRouterId.toString(16).padStart(2, '0')}`;
}

export class VirtualMacKeeper {
  readonly #devices: VirtualMacs;
  readonly #log: Log;
  #kept = new Map<string, VrrpInstance>();

  constructor(devices: VirtualMacs, log: Log) {
    this.#devices = devices;
    this.#log = log;
  }

  /** Makes the devices of `instances` and removes those that are no longer wanted. */
  async keep(instances: readonly VrrpInstance[]): Promise<void> {
    const wanted = new Map<string, VrrpInstance>();
    for (const instance of instances) {
      if (instance.virtualMacInterface !== undefined) wanted.set(instance.virtualMacInterface, instance);
    }
    for (const name of this.#kept.keys()) {
      if (!wanted.has(name)) await this.#devices.remove(name);
    }
    this.#kept = wanted;
    for (const [name, instance] of wanted) {
      await this.#create(name, instance).catch((error: unknown) => {
        // A parent that is missing is its instance's fault, and `parentIsBack` makes the device when it is there.
        if (!(error instanceof Error && 'code' in error && error.code === 'ERR_NO_INTERFACE')) throw error;
      });
    }
  }

  /** A device that was made anew has lost the devices on top of it. */
  parentIsBack(parent: string): void {
    for (const [name, instance] of this.#kept) {
      if (instance.interface !== parent) continue;
      this.#create(name, instance).catch((error: unknown) =>
        this.#log.error({ interface: name, err: error }, `${name} could not be made again`),
      );
    }
  }

  #create(name: string, instance: VrrpInstance): Promise<void> {
    const { interface: parent, family } = instance;
    return this.#devices.create({ name, parent, family, mac: virtualMacAddress(instance) });
  }
}
