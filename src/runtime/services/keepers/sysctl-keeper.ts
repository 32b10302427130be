/** Keeps the sysctls that the configuration needs, whatever others write to them, and puts back what was there. */
import { messageOf } from '../../../util/error-message.js';
import { workInTurn } from '../../../util/in-turn.js';
import { Looks } from '../../looks.js';
import type { Clock, Log } from '../../ports.js';
import { RepairPace } from '../../repair-pace.js';
import type { Sysctls } from '../services-ports.js';

export interface SysctlKeeperPorts {
  readonly clock: Clock;
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
  /** What is kept: what could not be set is not tried again before the next configuration. */
  #kept = new Map<string, string>();
  /** Of these, those that the kernel did not have then. */
  readonly #absent = new Set<string>();
  readonly #faults = new Map<string, string>();
  readonly #paces = new Map<string, RepairPace>();
  readonly #inTurn = workInTurn();
  readonly #looks: Looks;

  constructor(before: Readonly<Record<string, string>>, ports: SysctlKeeperPorts) {
    this.#before = new Map(Object.entries(before));
    this.#ports = ports;
    this.#looks = new Looks(ports.clock, () => this.#inTurn(() => this.#look()));
  }

  /** Why one is not as wanted, though it was. */
  get faults(): readonly string[] {
    return [...this.#faults.values()];
  }

  /** Sets what is wanted, in order; what is no longer wanted gets its old value back. */
  apply(wanted: ReadonlyMap<string, string>): Promise<void> {
    return this.#inTurn(() => this.#apply(wanted));
  }

  async #apply(wanted: ReadonlyMap<string, string>): Promise<void> {
    this.#kept.clear();
    this.#absent.clear();
    this.#faults.clear();
    for (const key of this.#before.keys()) {
      if (!wanted.has(key)) await this.#restore(key);
    }
    for (const [key, value] of wanted) {
      try {
        await this.#set(key, value);
        this.#kept.set(key, value);
      } catch (error) {
        if (!this.#ports.dispensable(key)) throw error;
        this.#ports.log.warn({ sysctl: key, err: error }, `sysctl ${key} cannot be set: going on without it`);
      }
    }
    if (wanted.size > 0) this.#looks.start();
    else this.#looks.stop();
  }

  /** Somebody may have written to one, or it is one of a device that was made again. */
  async #look(): Promise<void> {
    for (const [key, value] of this.#kept) {
      try {
        if (await this.#repair(key, value)) this.#faults.delete(key);
      } catch (error) {
        const words = messageOf(error);
        if (words !== this.#faults.get(key))
          this.#ports.log.error({ event: 'sysctl', sysctl: key, err: error }, `${words}; it is tried again`);
        this.#faults.set(key, words);
      }
    }
  }

  /** Whether it is as it is to be; false: not yet, not to make a contest of it. */
  async #repair(key: string, value: string): Promise<boolean> {
    const { clock, log, sysctls } = this.#ports;
    const found = await sysctls.read(key);
    if (found === undefined || isSame(found, value)) return true;
    const pace = this.#paces.get(key) ?? new RepairPace();
    this.#paces.set(key, pace);
    if (!pace.due(clock.nowMs())) return false;
    const isNews = pace.made(clock.nowMs());
    // What somebody wrote meanwhile is not what was there before us.
    if (this.#absent.delete(key)) await this.#write(key, value, found);
    else await sysctls.write(key, value);
    if (isNews)
      log.warn(
        { event: 'sysctl', sysctl: key, from: found, to: value },
        `somebody set ${key} to ${found}: repaired`,
      );
    return true;
  }

  async #set(key: string, value: string): Promise<void> {
    const { sysctls, log } = this.#ports;
    const current = await sysctls.read(key);
    if (current === undefined) {
      log.warn({ sysctl: key }, `this kernel has no sysctl ${key}`);
      this.#absent.add(key);
      return;
    }
    if (isSame(current, value)) return;
    await this.#write(key, value, current);
    log.info({ event: 'sysctl', sysctl: key, from: current, to: value }, `sysctl ${key} = ${value}`);
  }

  async #write(key: string, value: string, current: string): Promise<void> {
    const { sysctls } = this.#ports;
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
  }

  /** Puts everything back; what cannot be is known to the next start. @throws SysctlsLeftError */
  restore(): Promise<void> {
    this.#looks.stop();
    return this.#inTurn(() => this.#restoreAll());
  }

  async #restoreAll(): Promise<void> {
    this.#looks.stop();
    this.#kept.clear();
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

/** The kernel prints lists with tabs. */
function isSame(found: string, value: string): boolean {
  return found.replaceAll(/\s+/g, ' ') === value;
}
