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

/** Among the names of instances, where it is none: those that a later file adds, too. */
const WHOLE_DIRECTOR = '*';

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
  async load(config: ElectionConfig): Promise<readonly string[]> {
    for (const name of await this.#file.load()) {
      this.#on.add(name);
      this.#persistent.add(name);
    }
    for (const set of [this.#on, this.#persistent]) join(set, config);
    const instances = namesOf(this.#on);
    if (instances.length > 0)
      this.#log.warn(
        { event: 'maintenance', instances },
        `in maintenance as before: ${instances.join(', ')}`,
      );
    return instances;
  }

  of(instance: string): 'off' | 'on' | 'persistent' {
    if (this.#persistent.has(instance)) return 'persistent';
    return this.#on.has(instance) ? 'on' : 'off';
  }

  /** A reload gave instances other names, by those before; whoever is out of service stays so. Never rejects. */
  renamed(names: ReadonlyMap<string, string>): Promise<void> {
    return this.#inTurn(async () => {
      for (const set of [this.#on, this.#persistent]) renameIn(set, names);
      if ([...names.values()].some((name) => this.#persistent.has(name))) await this.#saveLate();
    });
  }

  /** A reload brought instances that go with the whole director, or with their sync group; returns their names. Never rejects. */
  joined(config: ElectionConfig): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const instances = join(this.#on, config);
      if (instances.length > 0)
        this.#log.warn({ event: 'maintenance', instances }, `in maintenance, too: ${instances.join(', ')}`);
      if (join(this.#persistent, config).length > 0) await this.#saveLate();
      return instances;
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
    const names = isEnd ? [...new Set([...known, ...namesOf(this.#on)])] : known;
    // Who takes one back does not mean the whole any more.
    const meant = order.instances === null || !order.on ? [...names, WHOLE_DIRECTOR] : names;
    const persistent = new Set(this.#persistent);
    for (const name of meant) {
      if (!order.on) persistent.delete(name);
      else if (order.persist) persistent.add(name);
    }
    const before = [...this.#persistent].join('\n');
    if ([...persistent].join('\n') !== before) await this.#save([...persistent]);
    this.#persistent.clear();
    for (const name of persistent) this.#persistent.add(name);
    for (const name of meant) {
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

  /** What was ordered before holds, whether or not that lasts. */
  async #saveLate(): Promise<void> {
    try {
      await this.#save([...this.#persistent]);
    } catch (error) {
      this.#log.error({ event: 'maintenance', err: error }, messageOf(error));
    }
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

function namesOf(set: ReadonlySet<string>): readonly string[] {
  return [...set].filter((name) => name !== WHOLE_DIRECTOR);
}

/** Adds what goes with those that are in it already; returns their names. */
function join(set: Set<string>, config: ElectionConfig): readonly string[] {
  const added = new Set(set.has(WHOLE_DIRECTOR) ? config.instances.map(({ name }) => name) : []);
  for (const { instances } of config.syncGroups)
    if (instances.some((name) => set.has(name))) for (const name of instances) added.add(name);
  const names = [...added].filter((name) => !set.has(name));
  for (const name of names) set.add(name);
  return names;
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
