/** Keeps the macvlan devices of the instances that have a MAC address of their own. */
import type { VrrpInstance } from '../../config/model.js';
import type { Clock, LinkMonitor, Log, VirtualMac, VirtualMacs } from '../ports.js';

export interface VirtualMacKeeperPorts {
  readonly devices: VirtualMacs;
  readonly links: LinkMonitor;
  readonly clock: Clock;
  readonly log: Log;
  /** The fault of a device came, went or is another. */
  onFault(device: string): void;
}

/** Somebody who undoes what is mended finds it mended ever more slowly. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 30_000;
/** After so long without a repair it is at once again. */
const CALM_MS = 60_000;
/** No event tells when what the kernel refused would go. */
const RETRY_MS = 5000;

/** RFC 9568 section 7.3: 00-00-5E-00-01-{VRID} for IPv4, 00-00-5E-00-02-{VRID} for IPv6. */
export function virtualMacAddress({ family, virtualRouterId }: VrrpInstance): string {
  const group = family === 'ipv4' ? '01' : '02';
  return `00:00:5e:00:${group}:${virtualRouterId.toString(16).padStart(2, '0')}`;
}

export class VirtualMacKeeper {
  readonly #ports: VirtualMacKeeperPorts;
  #wanted: readonly VirtualMac[] = [];
  #faults = new Map<string, string>();
  #cancel: (() => void) | undefined;
  #pauseMs = MIN_PAUSE_MS;
  #lookedAtMs = -Infinity;
  #mendedAtMs = -Infinity;

  constructor(ports: VirtualMacKeeperPorts) {
    this.#ports = ports;
  }

  /**
   * Makes the devices of `instances`, adopting what is there, and removes the others of ours; afterwards the link
   * monitor knows them. What cannot be is told by `faultOf` and tried again. Instances that still serve must be among
   * `instances`: a device takes its addresses along. Of two that name one device the first counts.
   */
  async keep(instances: readonly VrrpInstance[]): Promise<void> {
    const wanted = new Map<string, VirtualMac>();
    for (const instance of instances) {
      const { interface: parent, family, virtualMacInterface: name } = instance;
      if (name === undefined || wanted.has(name)) continue;
      wanted.set(name, { name, parent, family, mac: virtualMacAddress(instance) });
    }
    this.#wanted = [...wanted.values()];
    if (await this.#look()) await this.#ports.links.catchUp();
  }

  /** Why an instance's device cannot serve, as a sentence's end. */
  faultOf({ virtualMacInterface: name }: VrrpInstance): string | undefined {
    return name === undefined ? undefined : this.#faults.get(name);
  }

  /** A link came, went or changed: a device of ours or its parent may be another, or need to be set up again. */
  changed(interfaceName: string): void {
    const concerned = this.#wanted.some(
      ({ name, parent }) => name === interfaceName || parent === interfaceName,
    );
    if (!concerned) return;
    if (this.#ports.clock.nowMs() - this.#mendedAtMs > CALM_MS) this.#pauseMs = MIN_PAUSE_MS;
    this.#lookAt(this.#lookedAtMs + this.#pauseMs);
  }

  #lookAt(timeMs: number): void {
    const { clock, log } = this.#ports;
    this.#cancel ??= clock.at(Math.max(timeMs, clock.nowMs()), () => {
      this.#cancel = undefined;
      this.#look().catch((error: unknown) => {
        log.error({ err: error }, 'the virtual MAC devices could not be looked at');
        this.#lookAt(clock.nowMs() + RETRY_MS);
      });
    });
  }

  /** Returns whether anything was changed. */
  async #look(): Promise<boolean> {
    const { clock, devices, log } = this.#ports;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#lookedAtMs = clock.nowMs();
    const { faults, mended, removed } = await devices.keep(this.#wanted);
    for (const name of removed) log.info({ event: 'virtual-mac', interface: name }, `removed ${name}`);
    for (const name of mended) log.info({ event: 'virtual-mac', interface: name }, `${name} is made and up`);
    if (mended.length > 0) {
      this.#mendedAtMs = clock.nowMs();
      this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS);
    }
    this.#setFaults(new Map([...faults].map(([name, error]) => [name, error.message])));
    if (faults.size > 0 && this.#wanted.length > 0) this.#lookAt(clock.nowMs() + RETRY_MS);
    return mended.length + removed.length > 0;
  }

  #setFaults(faults: Map<string, string>): void {
    const before = this.#faults;
    this.#faults = faults;
    for (const name of new Set([...before.keys(), ...faults.keys()])) {
      const fault = faults.get(name);
      if (fault === before.get(name)) continue;
      if (fault !== undefined) this.#ports.log.error({ event: 'virtual-mac', interface: name }, fault);
      this.#ports.onFault(name);
    }
  }
}
