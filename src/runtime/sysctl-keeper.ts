/** Sets the sysctls that the configuration needs and puts back what was there. */
import type { Log, Sysctls } from './ports.js';

export interface SysctlKeeperPorts {
  readonly sysctls: Sysctls;
  readonly log: Log;
  /** One that cannot be set is told, and is no error. */
  dispensable(key: string): boolean;
  /** Remembers the values from before, across a crash of this process. */
  save(before: Readonly<Record<string, string>>): Promise<void>;
}

export class SysctlKeeper {
  readonly #ports: SysctlKeeperPorts;
  #before: Map<string, string>;

  constructor(before: Readonly<Record<string, string>>, ports: SysctlKeeperPorts) {
    this.#before = new Map(Object.entries(before));
    this.#ports = ports;
  }

  /** Sets what is wanted, in order; what is no longer wanted gets its old value back. */
  async apply(wanted: ReadonlyMap<string, string>): Promise<void> {
    for (const key of this.#before.keys()) {
      if (!wanted.has(key)) await this.#restore(key);
    }
    for (const [key, value] of wanted) {
      try {
        await this.#set(key, value);
      } catch (error) {
        if (!this.#ports.dispensable(key)) throw error;
        this.#ports.log.warn({ sysctl: key, err: error }, `sysctl ${key} cannot be set: going on without it`);
      }
    }
  }

  async #set(key: string, value: string): Promise<void> {
    const { sysctls, log } = this.#ports;
    const current = await sysctls.read(key);
    if (current === undefined) {
      log.warn({ sysctl: key }, `this kernel has no sysctl ${key}`);
      return;
    }
    // The kernel prints lists with tabs.
    if (current.replaceAll(/\s+/g, ' ') === value) return;
    const fresh = !this.#before.has(key);
    if (fresh) this.#before.set(key, current);
    await this.#save();
    try {
      await sysctls.write(key, value);
    } catch (error) {
      // It is what it was: nothing to put back.
      if (fresh) this.#before.delete(key);
      await this.#save();
      throw error;
    }
    log.info({ event: 'sysctl', sysctl: key, from: current, to: value }, `sysctl ${key} = ${value}`);
  }

  /** Puts everything back. */
  async restore(): Promise<void> {
    for (const key of [...this.#before.keys()].toReversed()) await this.#restore(key);
  }

  async #restore(key: string): Promise<void> {
    const { sysctls, log } = this.#ports;
    const value = this.#before.get(key);
    if (value !== undefined) {
      try {
        await sysctls.write(key, value);
        log.info({ event: 'sysctl', sysctl: key, to: value }, `sysctl ${key} put back to ${value}`);
      } catch (error) {
        log.warn({ sysctl: key, err: error }, `sysctl ${key} could not be put back`);
      }
    }
    this.#before.delete(key);
    await this.#save();
  }

  #save(): Promise<void> {
    return this.#ports.save(Object.fromEntries(this.#before));
  }
}
