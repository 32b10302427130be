/** Whether a virtual server has enough real servers to be worth a master. */
import type { RealServer } from '../config/model-servers.js';
import type { Observation } from './settle.js';

export type RealServerHealth = 'up' | 'down' | 'unknown' | 'unchecked';

/**
 * The weights of the real servers that serve against `quorum`. Undefined while the verdict depends on real servers
 * that were not heard yet: what counted before goes on.
 */
export function quorumObservation<Real extends Pick<RealServer, 'weight'>>(
  realServers: readonly Real[],
  quorum: number,
  healthOf: (realServer: Real) => RealServerHealth,
): Observation | undefined {
  let serving = 0;
  let possible = 0;
  for (const realServer of realServers) {
    const health = healthOf(realServer);
    if (health === 'unknown') possible += realServer.weight;
    else if (health !== 'down') serving += realServer.weight;
  }
  if (serving >= quorum) return { ok: true };
  if (serving + possible >= quorum) return undefined;
  return { ok: false, reason: `real servers of weight ${serving} serve, the quorum is ${quorum}` };
}
