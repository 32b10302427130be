/** The lab runs the very file of `config/`; only another advertisement interval makes a copy of it. Pure. */
import { dump, load } from 'js-yaml';

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The text of a configuration with `interval` (such as `100ms`) in every VRRP instance.
 * Throws TypeError when the text is no configuration.
 */
export function withAdvertisementInterval(text: string, interval: string): string {
  const document = load(text);
  const vrrp = isRecord(document) ? document['vrrp'] : undefined;
  const instances = isRecord(vrrp) ? vrrp['instances'] : undefined;
  if (!isRecord(document) || !isRecord(vrrp) || !Array.isArray(instances)) {
    throw new TypeError('the configuration has no vrrp.instances');
  }
  const changed = instances.map((instance: unknown) =>
    isRecord(instance) ? { ...instance, advertisement_interval: interval } : instance,
  );
  return dump({ ...document, vrrp: { ...vrrp, instances: changed } });
}
