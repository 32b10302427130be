/** Tells when a virtual server's traffic goes elsewhere than to its healthy real servers. */
import type { VirtualServer } from '../../config/model-servers.js';
import type { Service } from '../../ipvs/model.js';
import { serviceKeyText } from '../../ipvs/plan.js';
import { serviceKeyOf, sorryInUse } from '../../planning/desired.js';
import { isInPanic, type Standings } from '../../planning/pool.js';
import { endpointText } from '../../util/ip-address.js';
import type { Log } from '../ports.js';

/** By `serviceKeyText`. */
type Keys = ReadonlySet<string>;

export class PoolTeller {
  readonly #log: Log;
  #sorry: Keys = new Set();
  #panics: Keys = new Set();

  constructor(log: Log) {
    this.#log = log;
  }

  /** The kernel has `table` by now, for these virtual servers. */
  tell(active: readonly VirtualServer[], table: readonly Service[], standings: Standings): void {
    const concerned = active.filter(
      (server) => server.sorryServer !== undefined || server.panicThreshold > 0,
    );
    const sorry = sorryInUse(concerned, table);
    const panics = new Set(concerned.filter((server) => isInPanic(server, standings)).map(keyOf));
    for (const server of concerned) {
      const key = keyOf(server);
      if (sorry.has(key) !== this.#sorry.has(key)) this.#tellSorry(server, sorry.has(key));
      if (panics.has(key) !== this.#panics.has(key)) this.#tellPanic(server, panics.has(key));
    }
    this.#sorry = sorry;
    this.#panics = panics;
  }

  isSorry(server: VirtualServer): boolean {
    return server.sorryServer !== undefined && this.#sorry.has(keyOf(server));
  }

  isInPanic(server: VirtualServer): boolean {
    return server.panicThreshold > 0 && this.#panics.has(keyOf(server));
  }

  #tellSorry({ name, sorryServer, quorum }: VirtualServer, inUse: boolean): void {
    if (sorryServer === undefined) return;
    const endpoint = endpointText(sorryServer.address, sorryServer.port);
    const fields = { event: 'sorry-server', virtualServer: name, sorryServer: endpoint, inUse };
    const few =
      quorum.up === 1 ? 'no real server serves' : `real servers do not reach the quorum ${quorum.up}`;
    if (inUse) this.#log.warn(fields, `${name}: ${few}, the sorry server ${endpoint} does`);
    else this.#log.info(fields, `${name}: real servers serve again, the sorry server ${endpoint} does not`);
  }

  #tellPanic({ name, panicThreshold }: VirtualServer, panics: boolean): void {
    const threshold = `${Math.round(panicThreshold * 100)}%`;
    const fields = { event: 'panic', virtualServer: name, threshold, panics };
    if (panics) {
      this.#log.error(
        fields,
        `${name}: fewer than ${threshold} of its real servers are healthy: all get traffic, whatever their checks say`,
      );
    } else
      this.#log.info(
        fields,
        `${name}: ${threshold} of its real servers are healthy again: those alone get traffic`,
      );
  }
}

function keyOf(server: VirtualServer): string {
  return serviceKeyText(serviceKeyOf(server));
}
