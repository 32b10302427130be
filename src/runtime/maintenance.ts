/** Which instances an operator has taken out of service, now and across restarts. */

import type { ElectionConfig } from '../config/model.js';
import { messageOf } from '../util/error-message.js';
import { workInTurn } from '../util/in-turn.js';
import { renameIn } from '../util/rename-in.js';
import type { Log, MaintenanceFile } from './ports.js';
import type { MaintenanceOrder } from './status.js';

/** Named in an order, and not there. */
export class NoInstanceError extends Error {
  readonly code = 'ERR_NO_INSTANCE';
}

/** The order could not be made to last. */
export class PersistError extends Error {
  readonly code = 'ERR_PERSIST';
}

export class Maintenance {
  readonly #file: MaintenanceFile;
  readonly #log: Log;
  readonly #on = new Set<string>();
  readonly #persistent = new Set<string>();
  /** What an order leaves as it is must be what the order before made of it. */
  readonly #inTurn = workInTurn();

  constructor(file: MaintenanceFile, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  /** Names that are out of service from the start on. */
  async load(): Promise<readonly string[]> {
    for (const name of await this.#file.load()) {
      this.#on.add(name);
      this.#persistent.add(name);
    }
    if (this.#on.size > 0) {
      const instances = [...this.#on];
      this.#log.warn(
        { event: 'maintenance', instances },
        `in maintenance as before: ${instances.join(', ')}`,
      );
    }
    return [...this.#on];
  }

  of(instance: string): 'off' | 'on' | 'persistent' {
    if (this.#persistent.has(instance)) return 'persistent';
    return this.#on.has(instance) ? 'on' : 'off';
  }

  /** A reload gave instances other names, by those before; whoever is out of service stays so. Never rejects. */
  renamed(names: ReadonlyMap<string, string>): Promise<void> {
    return this.#inTurn(async () => {
      for (const set of [this.#on, this.#persistent]) renameIn(set, names);
      if (![...names.values()].some((name) => this.#persistent.has(name))) return;
      try {
        await this.#save([...this.#persistent]);
      } catch (error) {
        this.#log.error({ event: 'maintenance', err: error }, messageOf(error));
      }
    });
  }

  /**
   * Takes an order down and returns all instances that it concerns: those of one sync group go together.
   * @throws NoInstanceError, or PersistError; nothing has changed then.
   */
  take(order: MaintenanceOrder, config: ElectionConfig): Promise<readonly string[]> {
    return this.#inTurn(() => this.#take(order, config));
  }

  async #take(order: MaintenanceOrder, config: ElectionConfig): Promise<readonly string[]> {
    const known = concerned(order, config);
    // The end for all is also that of what the file has no more: it would come back with it.
    const isEnd = order.instances === null && !order.on;
    const names = isEnd ? [...new Set([...known, ...this.#on])] : known;
    const persistent = new Set(this.#persistent);
    for (const name of names) {
      if (!order.on) persistent.delete(name);
      else if (order.persist) persistent.add(name);
    }
    const before = [...this.#persistent].join('\n');
    if ([...persistent].join('\n') !== before) await this.#save([...persistent]);
    this.#persistent.clear();
    for (const name of persistent) this.#persistent.add(name);
    for (const name of names) {
      if (order.on) this.#on.add(name);
      else this.#on.delete(name);
    }
    const { on, persist } = order;
    this.#log.warn(
      { event: 'maintenance', instances: names, on, persist },
      `maintenance ${on ? 'begins' : 'ends'}: ${names.join(', ')}`,
    );
    return names;
  }

  async #save(names: readonly string[]): Promise<void> {
    try {
      await this.#file.save(names);
    } catch (cause) {
      const words = messageOf(cause);
      throw new PersistError(`maintenance cannot be made to last: ${words}`, { cause });
    }
  }
}

function concerned({ instances }: MaintenanceOrder, config: ElectionConfig): readonly string[] {
  const known = config.instances.map(({ name }) => name);
  const wanted = instances ?? known;
  const stranger = wanted.find((name) => !known.includes(name));
  if (stranger !== undefined) {
    throw new NoInstanceError(
      `there is no VRRP instance '${stranger}': there are ${known.join(', ') || 'none'}`,
    );
  }
  const all = new Set(wanted);
  for (const group of config.syncGroups) {
    if (group.instances.some((name) => all.has(name))) for (const name of group.instances) all.add(name);
  }
  return [...all];
}
