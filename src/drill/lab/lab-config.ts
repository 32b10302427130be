/** The lab runs the very file of `config/`; only another advertisement interval makes a copy of it. Pure. */
import { dump, load } from 'js-yaml';
import { isMapping } from '../../util/mapping.js';

/**
 * The text of a configuration with `interval` (such as `100ms`) in every VRRP instance.
 * Throws TypeError when the text is no configuration.
 */
export function withAdvertisementInterval(text: string, interval: string): string {
  const document = load(text);
  const vrrp = isMapping(document) ? document['vrrp'] : undefined;
  const instances = isMapping(vrrp) ? vrrp['instances'] : undefined;
  if (!isMapping(document) || !isMapping(vrrp) || !Array.isArray(instances)) {
    throw new TypeError('the configuration has no vrrp.instances');
  }
  const changed = instances.map((instance: unknown) =>
    isMapping(instance) ? { ...instance, advertisement_interval: interval } : instance,
  );
  return dump({ ...document, vrrp: { ...vrrp, instances: changed } });
}
