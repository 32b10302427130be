/** Sets the sysctls that the configuration needs and puts back what was there. */
import type { Log } from '../../ports.js';
import type { Sysctls } from '../services-ports.js';

export interface SysctlKeeperPorts {
  readonly sysctls: Sysctls;
  readonly log: Log;
  /** One that cannot be set is told, and is no error. */
  dispensable(key: string): boolean;
  /** Remembers the values from before, across a crash of this process. */
  save(before: Readonly<Record<string, string>>): Promise<void>;
}

/** They are not as they were; each was told with its reason. */
export class SysctlsLeftError extends Error {
  override readonly name = 'SysctlsLeftError';
  readonly code = 'ERR_SYSCTLS_LEFT';
  constructor(keys: readonly string[]) {
    super(`not put back: ${keys.join(', ')}`);
  }
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

  /** Puts everything back; what cannot be is known to the next start. @throws SysctlsLeftError */
  async restore(): Promise<void> {
    for (const key of [...this.#before.keys()].toReversed()) await this.#restore(key);
    if (this.#before.size > 0) throw new SysctlsLeftError([...this.#before.keys()]);
  }

  async #restore(key: string): Promise<void> {
    const { sysctls, log } = this.#ports;
    const value = this.#before.get(key);
    try {
      // One that is gone went with its interface, and so did what was set.
      if (value !== undefined && (await sysctls.read(key)) !== undefined) {
        await sysctls.write(key, value);
        log.info({ event: 'sysctl', sysctl: key, to: value }, `sysctl ${key} put back to ${value}`);
      }
      this.#before.delete(key);
      await this.#save();
    } catch (error) {
      log.warn({ sysctl: key, err: error }, `sysctl ${key} could not be put back to ${value}`);
    }
  }

  #save(): Promise<void> {
    return this.#ports.save(Object.fromEntries(this.#before));
  }
}
