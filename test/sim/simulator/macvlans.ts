/** The macvlan devices of a director's host, as io/netlink/virtual-mac.ts keeps them. */
import type { KeptVirtualMacs, VirtualMac } from '../../../src/runtime/ports.js';
import { Refused } from './refused.js';

/** Far from those of the interfaces. */
const FIRST_INDEX = 100_000;

export class MacVlans {
  readonly #devices = new Map<string, { readonly index: number; readonly parentIndex: number | undefined }>();
  #nextIndex = FIRST_INDEX;

  get names(): readonly string[] {
    return [...this.#devices.keys()];
  }

  index(name: string): number | undefined {
    return this.#devices.get(name)?.index;
  }

  /** Returns whether it was there. */
  delete(name: string): boolean {
    return this.#devices.delete(name);
  }

  over(parentIndex: number | undefined): readonly string[] {
    return this.names.filter((name) => this.#devices.get(name)?.parentIndex === parentIndex);
  }

  /** Where a device is to go, `remove` sees to what that takes along. */
  keep(
    wanted: readonly VirtualMac[],
    host: {
      readonly refuses: boolean;
      parentIndex(name: string): number | undefined;
      remove(name: string): void;
    },
  ): KeptVirtualMacs {
    const faults = new Map<string, Error>();
    const placed = new Map(wanted.map(({ name, parent }) => [name, host.parentIndex(parent)]));
    const removed = this.names.filter(
      (name) => !placed.has(name) || this.#devices.get(name)?.parentIndex !== placed.get(name),
    );
    for (const name of removed) host.remove(name);
    const mended: string[] = [];
    for (const [name, parentIndex] of placed) {
      if (parentIndex === undefined || this.#devices.has(name)) continue;
      if (host.refuses) faults.set(name, new Refused('ENOBUFS'));
      else {
        this.#devices.set(name, { index: this.#nextIndex, parentIndex });
        this.#nextIndex += 1;
        mended.push(name);
      }
    }
    return { faults, mended, removed };
  }
}
