/** How many entries of the connection table belong to services: what `ipvsadm -Ln` shows, and templates. */
import type { CountedService } from './model.js';

/** Connections whose real server is not in the table are in none of its numbers. */
export function connectionsIn(services: readonly CountedService[]): number {
  let sum = 0;
  for (const { destinations } of services) {
    for (const { activeConnections, inactiveConnections, persistentConnections } of destinations) {
      sum += activeConnections + inactiveConnections + persistentConnections;
    }
  }
  return sum;
}
