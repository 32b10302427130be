/** Real servers that are down by their checks, while it may as well be this host that is cut off. */
import type { DumpedService, Service } from './model.js';
import { destinationKeyText, serviceKeyText } from './plan.js';

/**
 * `desired` with those of `lingering` that `actual` has, at weight 0: no new connection goes there, and the established
 * ones stay.
 *
 * @param lingering the same virtual servers with the real servers that are down and not known to be so alone
 */
export function withLingering(
  desired: readonly Service[],
  lingering: readonly Service[],
  actual: readonly DumpedService[],
): readonly Service[] {
  const down = new Map(lingering.map((service) => [serviceKeyText(service.key), service.destinations]));
  const held = new Map(
    actual.map(({ key, destinations }) => [
      serviceKeyText(key),
      new Set(destinations.map(destinationKeyText)),
    ]),
  );
  return desired.map((service) => {
    const text = serviceKeyText(service.key);
    const kept = (down.get(text) ?? []).filter((one) => held.get(text)?.has(destinationKeyText(one)));
    if (kept.length === 0) return service;
    const quiescent = kept.map((destination) => ({ ...destination, weight: 0 }));
    return { ...service, destinations: [...service.destinations, ...quiescent] };
  });
}
