/** Real servers that leave the configuration: first weight 0, then gone. */
import type { Destination, DumpedDestination, DumpedService, Service, ServiceKey } from './model.js';
import { destinationKeyText, serviceKeyText } from './plan.js';

/**
 * So long a removed real server keeps its connections at most, where the configuration does not say: UDP from one port would
 * never let go of it.
 */
export const DRAIN_LIMIT_MS = 30_000;

/** A real server that is leaving. */
export interface Drain {
  /** Of the virtual server. */
  readonly key: ServiceKey;
  readonly destination: DumpedDestination;
  readonly sinceMs: number;
  /** It is removed after so long, whoever is connected. */
  readonly limitMs: number;
}

/** By `drainKey`: since when, in milliseconds. */
export type DrainTimes = Readonly<Record<string, number>>;

export function drainKey(key: ServiceKey, destination: Destination): string {
  return `${serviceKeyText(key)} -> ${destinationKeyText(destination)}`;
}

/**
 * `desired` with the real servers of `actual` that belong to no configuration, at weight 0: new connections go
 * elsewhere, the established ones stay. One is left out, and so removed, when it has weight 0 already and no connection
 * is left, or after its limit. One that is configured but left out of `desired` has failed, and never drains.
 *
 * @param configured all real servers of the configuration, healthy or not; asked only when there are others
 * @param times of those that drained before
 * @param limits by `serviceKeyText`, DRAIN_LIMIT_MS where there is none; asked only when one leaves
 */
export function withDrains(
  desired: readonly Service[],
  configured: () => readonly Service[],
  actual: readonly DumpedService[],
  times: DrainTimes,
  nowMs: number,
  limits: () => ReadonlyMap<string, number>,
): { readonly desired: readonly Service[]; readonly drains: readonly Drain[] } {
  let known: ReadonlyMap<string, Service> | undefined;
  let limitsKnown: ReadonlyMap<string, number> | undefined;
  const limitOf = (text: string): number | undefined => {
    limitsKnown ??= limits();
    return limitsKnown.get(text);
  };
  const configuredAt = (text: string): readonly Destination[] => {
    known ??= new Map(configured().map((service) => [serviceKeyText(service.key), service]));
    return known.get(text)?.destinations ?? [];
  };
  const held = new Map(actual.map((service) => [serviceKeyText(service.key), service]));
  const drains: Drain[] = [];
  const whole = desired.map((service) => {
    const text = serviceKeyText(service.key);
    const serving = new Set(service.destinations.map(destinationKeyText));
    const present = held.get(text)?.destinations ?? [];
    const others = present.filter((destination) => !serving.has(destinationKeyText(destination)));
    if (others.length === 0) return service;
    const staying = new Set(configuredAt(text).map(destinationKeyText));
    const leaving = others
      .filter((destination) => !staying.has(destinationKeyText(destination)))
      .map((destination) => {
        const sinceMs = Math.min(times[drainKey(service.key, destination)] ?? nowMs, nowMs);
        return { key: service.key, destination, sinceMs, limitMs: limitOf(text) ?? DRAIN_LIMIT_MS };
      })
      .filter((drain) => !isDrained(drain, nowMs));
    if (leaving.length === 0) return service;
    drains.push(...leaving);
    const quiescent = leaving.map(({ destination }) => ({ ...destination, weight: 0 }));
    return { ...service, destinations: [...service.destinations, ...quiescent] };
  });
  return { desired: whole, drains };
}

/** Whether nothing keeps it any longer. A connection may have begun since the dump while its weight was not 0. */
export function isDrained({ destination, sinceMs, limitMs }: Drain, nowMs: number): boolean {
  const { weight, activeConnections, inactiveConnections } = destination;
  const empty = weight === 0 && activeConnections + inactiveConnections === 0;
  return empty || nowMs >= sinceMs + limitMs;
}
