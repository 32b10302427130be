/** Who gets the new connections of a virtual server: real servers, by health and quorum, or the sorry server. Pure. */
import type { RealServer, VirtualServer } from '../config/model-servers.js';

/** Whether a real server serves; undefined while that is not known. */
export type Serves = (virtualServerName: string, realServer: RealServer) => boolean | undefined;

/** How real servers stand by their checks. */
export interface Standings {
  readonly serves: Serves;
  /** The weight that the checks of one ask for; undefined: the configured one. */
  readonly weight?: (virtualServerName: string, realServer: RealServer) => number | undefined;
  /** This director may be what has failed: what its checks hold for failed keeps the connections that it has. */
  readonly isInDoubt?: boolean;
}

export interface PoolInput extends Standings {
  /** Whether the sorry server had the traffic up to now: the hysteresis goes by it. */
  readonly wasSorry: boolean;
  /** The part of its weight that a real server gets which came back not long ago, above 0 to 1. */
  readonly share: (realServer: RealServer) => number;
}

/**
 * A real server that has failed is left out, or gets weight 0 with `on_failure: weight_zero` and in doubt. One that is not known yet is
 * left out, and may serve. Below the quorum those that serve get weight 0 as well and keep what connections they have:
 * the sorry server has the traffic.
 *
 * @returns those in the table, with the weight that each gets there
 */
export function poolOf(server: VirtualServer, input: PoolInput): readonly RealServer[] {
  const { wasSorry, share, isInDoubt } = input;
  const { sorryServer, onFailure } = server;
  const standing = standingOf(server, input);
  const panics = areTooFew(server, standing);
  const isQuorate = panics || sorryServer === undefined || mayReachQuorum(server, standing, wasSorry);
  const members: RealServer[] = [];
  for (const { realServer, serves: isServing } of standing) {
    if (isServing === true) members.push(isQuorate ? ramped(realServer, share) : quiescent(realServer));
    else if (isServing === false && panics) members.push(realServer);
    else if (isServing === false && (isInDoubt === true || onFailure === 'weight_zero'))
      members.push(quiescent(realServer));
  }
  if (sorryServer !== undefined && !isQuorate) members.push(sorryServer);
  return members;
}

/** Whether too few are healthy to believe it: all get new connections, whatever their checks say. */
export function isInPanic(server: VirtualServer, standings: Standings): boolean {
  return server.panicThreshold > 0 && areTooFew(server, standingOf(server, standings));
}

interface Standing {
  readonly realServer: RealServer;
  readonly serves: boolean | undefined;
}

function standingOf(
  { name, realServers }: VirtualServer,
  { serves, weight }: Standings,
): readonly Standing[] {
  return realServers.map((realServer) => ({
    realServer: weighed(realServer, weight?.(name, realServer)),
    serves: serves(name, realServer),
  }));
}

/** What its checks ask for does not bring back one that is quiescent, and yields to the operator's word. */
export function weighed(realServer: RealServer, asked: number | undefined): RealServer {
  const { weight, isWeightFixed } = realServer;
  if (asked === undefined || asked === weight || weight === 0 || isWeightFixed === true) return realServer;
  return { ...realServer, weight: asked };
}

/** As keepalived has it: what serves must exceed the quorum by the hysteresis to come back, and fall below it by as much to go. */
function mayReachQuorum(
  { quorum }: VirtualServer,
  standing: readonly Standing[],
  wasSorry: boolean,
): boolean {
  const needed = quorum.up + (wasSorry ? quorum.hysteresis : -quorum.hysteresis);
  let possible = 0;
  for (const { realServer, serves } of standing) if (serves !== false) possible += realServer.weight;
  return possible >= needed;
}

/** Of those that are to have traffic at all. What is not known counts as healthy. */
function areTooFew({ panicThreshold }: VirtualServer, standing: readonly Standing[]): boolean {
  if (panicThreshold === 0) return false;
  const meant = standing.filter(({ realServer }) => realServer.weight > 0);
  const healthy = meant.filter(({ serves }) => serves !== false).length;
  return healthy < panicThreshold * meant.length;
}

function quiescent(realServer: RealServer): RealServer {
  return { ...realServer, weight: 0 };
}

function ramped(realServer: RealServer, share: PoolInput['share']): RealServer {
  const { weight } = realServer;
  if (weight <= 1) return realServer;
  const part = share(realServer);
  return part >= 1 ? realServer : { ...realServer, weight: Math.max(1, Math.floor(weight * part)) };
}
