/** The lab runs the files of `config/`; what is to be otherwise is changed in a copy. Pure. */
import { dump, load } from 'js-yaml';
import { isMapping } from '../../util/mapping.js';

type Mapping = Readonly<Record<string, unknown>>;

/** Throws TypeError when the text is no configuration. */
function readInstances(text: string): {
  readonly document: Mapping;
  readonly vrrp: Mapping;
  readonly instances: readonly unknown[];
} {
  const document = load(text);
  const vrrp = isMapping(document) ? document['vrrp'] : undefined;
  const instances = isMapping(vrrp) ? vrrp['instances'] : undefined;
  if (!isMapping(document) || !isMapping(vrrp) || !Array.isArray(instances)) {
    throw new TypeError('the configuration has no vrrp.instances');
  }
  return { document, vrrp, instances };
}

function withInstances(text: string, change: (instance: Mapping) => Mapping): string {
  const { document, vrrp, instances } = readInstances(text);
  const changed = instances.map((one) => (isMapping(one) ? change(one) : one));
  return dump({ ...document, vrrp: { ...vrrp, instances: changed } });
}

/**
 * The text of a configuration with `interval` (such as `100ms`) in every VRRP instance.
 * Throws TypeError when the text is no configuration.
 */
export function withAdvertisementInterval(text: string, interval: string): string {
  return withInstances(text, (instance) => ({ ...instance, advertisement_interval: interval }));
}

/**
 * The text of a configuration whose preferred director takes its role back: instances that say how they preempt stay as they are,
 * those that do not preempt do so at once. Throws TypeError when the text is no configuration.
 */
export function withPreemption(text: string): string {
  return withInstances(text, (instance) =>
    instance['preempt'] === false ? { ...instance, preempt: true } : instance,
  );
}

/** Whether the preferred director takes its role back by itself, sooner or later: no instance says that it does not. */
export function preempts(text: string): boolean {
  return readInstances(text).instances.every((one) => !isMapping(one) || one['preempt'] !== false);
}

/**
 * The text of a configuration whose first virtual server gives its last real server another weight: a reload that has something to
 * do. Throws TypeError when the text has no virtual server with real servers.
 */
export function withOtherWeight(text: string, weight: number): string {
  const document = load(text);
  const servers = isMapping(document) ? document['virtual_servers'] : undefined;
  const [first, ...others]: readonly unknown[] = Array.isArray(servers) ? servers : [];
  const reals = isMapping(first) ? first['real_servers'] : undefined;
  const last: unknown = Array.isArray(reals) ? reals.at(-1) : undefined;
  if (!isMapping(document) || !isMapping(first) || !Array.isArray(reals) || !isMapping(last)) {
    throw new TypeError('the configuration has no virtual server with real servers');
  }
  const changed = { ...first, real_servers: [...reals.slice(0, -1), { ...last, weight }] };
  return dump({ ...document, virtual_servers: [changed, ...others] });
}

/** The text of a configuration without its hooks: what a change of role starts is nothing for a drill. */
export function withoutHooks(text: string): string {
  const document = load(text);
  const vrrp = isMapping(document) ? document['vrrp'] : undefined;
  if (!isMapping(document) || !isMapping(vrrp) || vrrp['hooks'] === undefined) return text;
  const { hooks: _hooks, ...rest } = vrrp;
  return dump({ ...document, vrrp: rest });
}

/** Names of the directors of a configuration, in its order; empty when the text is none. */
export function directorNames(text: string): string[] {
  try {
    const document = load(text);
    const directors = isMapping(document) ? document['directors'] : undefined;
    return isMapping(directors) ? Object.keys(directors) : [];
  } catch {
    return [];
  }
}
