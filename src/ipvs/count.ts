/** How many entries of the connection table belong to services, by what the kernel shows of them. */
import type { CountedService } from './model.js';

const PROTOCOLS_WITH_STATES = new Set([6, 132]);

export interface TableNumbers {
  /** `ActiveConn`, `InActConn` and persistence templates of all services. */
  readonly connections: number;
  /**
   * Those that do not go by themselves within minutes: established connections of TCP and SCTP, all of other protocols and of
   * firewall marks, and templates. As `isCompared` (sync/digest.ts) has it of single ones.
   */
  readonly lasting: number;
  /**
   * Established connections and templates of TCP and SCTP. Of those alone the kernel tells a peer in any case: what is half
   * open or closing it does not tell of or is about to end, and a flow of UDP has to have some packets first.
   */
  readonly established: number;
  /** Connections that these services have ever taken; a service that goes takes its number along. */
  readonly made: number;
}

/** Connections whose real server is not in the table are in none of its numbers. */
export function tableNumbers(services: readonly CountedService[]): TableNumbers {
  let [connections, lasting, established, made] = [0, 0, 0, 0];
  for (const { key, stats, destinations } of services) {
    const hasStates = 'protocol' in key && PROTOCOLS_WITH_STATES.has(key.protocol);
    if (hasStates) made += stats.connections;
    for (const { activeConnections, inactiveConnections, persistentConnections } of destinations) {
      connections += activeConnections + inactiveConnections + persistentConnections;
      lasting += activeConnections + persistentConnections + (hasStates ? 0 : inactiveConnections);
      if (hasStates) established += activeConnections + persistentConnections;
    }
  }
  return { connections, lasting, established, made };
}
