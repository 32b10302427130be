/** From desired and actual table to the least list of changes. */
import { endpointText } from '../util/ip-address.js';
import type { Destination, DumpedService, IpvsOp, Service, ServiceKey } from './model.js';
import { IP_VS_SVC_F, IPPROTO } from './uapi.js';

/** Services that `planInSlices` compares at a time. */
export const PLAN_SLICE = 500;

/** Which services may be removed when they are no longer desired, by `serviceKeyText`. */
export type OwnedKeys = Pick<ReadonlySet<string>, 'has'>;

/** The whole table is ours. */
export const EVERY_KEY: OwnedKeys = { has: () => true };

export interface PlanOptions {
  readonly ownedKeys: OwnedKeys;
  /** Whether anything is removed at all; false until the desired table is known to be whole. */
  readonly prune: boolean;
}

const PROTOCOL_NAMES = new Map<number, string>([
  [IPPROTO.TCP, 'tcp'],
  [IPPROTO.UDP, 'udp'],
  [IPPROTO.SCTP, 'sctp'],
]);

/** `tcp 192.0.2.1:80`, `udp [2001:db8::1]:53`, `fwm 3` or `fwm 3 ipv6`: one text for each key the kernel tells apart. */
export function serviceKeyText(key: ServiceKey): string {
  if ('fwmark' in key) return key.family === 'ipv6' ? `fwm ${key.fwmark} ipv6` : `fwm ${key.fwmark}`;
  const protocol = PROTOCOL_NAMES.get(key.protocol) ?? `protocol-${key.protocol}`;
  return `${protocol} ${endpointText(key.address, key.port)}`;
}

/** Address and port: what the kernel tells destinations of one service apart by (`ip_vs_lookup_dest`). */
export function destinationKeyText(destination: Destination): string {
  return endpointText(destination.address, destination.port);
}

/** The service's own attributes as text; without persistence its timeout and netmask have no effect and do not count. */
function serviceAttributes(service: Service): string {
  const persistent = (service.flags & IP_VS_SVC_F.PERSISTENT) !== 0;
  return [
    service.scheduler,
    service.flags & ~IP_VS_SVC_F.HASHED,
    persistent ? service.timeoutSeconds : '',
    persistent ? service.netmask : '',
    service.persistenceEngine ?? '',
  ].join(' ');
}

function sameDestination(desired: Destination, actual: Destination): boolean {
  // A kernel that marks a destination with a local address IP_VS_CONN_F_LOCALNODE does so again after every edit.
  const sameForwarding = desired.forwarding === actual.forwarding || actual.forwarding === 'local';
  return (
    sameForwarding &&
    desired.weight === actual.weight &&
    desired.upperThreshold === actual.upperThreshold &&
    desired.lowerThreshold === actual.lowerThreshold &&
    (desired.forwarding !== 'tunnel' || tunnelOptions(desired) === tunnelOptions(actual))
  );
}

/** Whether two services are one and the same, down to the order of their destinations. */
export function sameService(a: Service, b: Service): boolean {
  return (
    serviceAttributes(a) === serviceAttributes(b) &&
    a.destinations.length === b.destinations.length &&
    a.destinations.every((one, index) => {
      const other = b.destinations[index];
      return (
        other !== undefined &&
        one.address === other.address &&
        one.port === other.port &&
        sameDestination(one, other)
      );
    })
  );
}

/** Counters do not belong into an op. */
export function plainDestination(destination: Destination): Destination {
  const { address, port, forwarding, weight, upperThreshold, lowerThreshold, tunnel } = destination;
  return { address, port, forwarding, weight, upperThreshold, lowerThreshold, ...(tunnel && { tunnel }) };
}

interface Changes {
  readonly ops: IpvsOp[];
  /** Removals come last, so that nothing is empty in between. */
  readonly removals: IpvsOp[];
}

function planDestinations(desired: Service, actual: DumpedService, prune: boolean, changes: Changes): void {
  const { key } = desired;
  const held = new Map(
    actual.destinations.map((destination) => [destinationKeyText(destination), destination]),
  );
  const wanted = new Set<string>();
  const quiesced: IpvsOp[] = [];
  const edited: IpvsOp[] = [];
  for (const destination of desired.destinations) {
    const text = destinationKeyText(destination);
    if (wanted.has(text)) continue;
    wanted.add(text);
    const present = held.get(text);
    if (present === undefined) {
      changes.ops.push({ op: 'add-destination', key, destination: plainDestination(destination) });
    } else if (!sameDestination(destination, present)) {
      const edit: IpvsOp = { op: 'edit-destination', key, destination: plainDestination(destination) };
      (destination.weight === 0 ? quiesced : edited).push(edit);
    }
  }
  // Weights fall to 0 after others rose: at no time is there no destination with a weight.
  changes.ops.push(...edited, ...quiesced);
  if (!prune) return;
  for (const [text, destination] of held) {
    if (wanted.has(text)) continue;
    changes.removals.push({ op: 'delete-destination', key, destination: plainDestination(destination) });
  }
}

function planNewService(service: Service, ops: IpvsOp[]): void {
  ops.push({ op: 'add-service', service });
  const added = new Set<string>();
  for (const destination of service.destinations) {
    const text = destinationKeyText(destination);
    if (added.has(text)) continue;
    added.add(text);
    ops.push({ op: 'add-destination', key: service.key, destination: plainDestination(destination) });
  }
}

/**
 * What turns `actual` into `desired`, in an order in which no connection is dropped and nothing is empty in between:
 * services with their destinations are added and edited first, what is not desired goes last. A change of weight,
 * thresholds or forwarding method is an edit (`ip_vs_edit_dest`), never a removal. Of two desired services with one
 * key the first counts. A service of `actual` that is neither desired nor owned is never touched.
 */
export function plan(...input: Parameters<typeof planInSlices>): IpvsOp[] {
  const slices = planInSlices(...input);
  for (;;) {
    const slice = slices.next();
    if (slice.done === true) return slice.value;
  }
}

/** `plan` for a caller who has other things to do in between: yields after each PLAN_SLICE services, returns the ops. */
export function* planInSlices(
  desired: readonly Service[],
  actual: readonly DumpedService[],
  options: PlanOptions,
): Generator<undefined, IpvsOp[]> {
  const held = new Map(actual.map((service) => [serviceKeyText(service.key), service]));
  const wanted = new Set<string>();
  const changes: Changes = { ops: [], removals: [] };
  for (const [index, service] of desired.entries()) {
    if (index % PLAN_SLICE === PLAN_SLICE - 1) yield;
    const text = serviceKeyText(service.key);
    if (wanted.has(text)) continue;
    wanted.add(text);
    const present = held.get(text);
    if (present === undefined) {
      planNewService(service, changes.ops);
      continue;
    }
    if (serviceAttributes(service) !== serviceAttributes(present)) {
      changes.ops.push({ op: 'edit-service', service });
    }
    planDestinations(service, present, options.prune, changes);
  }
  const { ops, removals } = changes;
  if (options.prune) {
    for (const [text, service] of held) {
      if (!wanted.has(text) && options.ownedKeys.has(text)) {
        removals.push({ op: 'delete-service', key: service.key });
      }
    }
  }
  return ops.concat(removals);
}

function serviceSwitch(key: ServiceKey): string {
  if ('fwmark' in key) return key.family === 'ipv6' ? `-f ${key.fwmark} -6` : `-f ${key.fwmark}`;
  const endpoint = endpointText(key.address, key.port);
  if (key.protocol === IPPROTO.UDP) return `-u ${endpoint}`;
  return key.protocol === IPPROTO.SCTP ? `--sctp-service ${endpoint}` : `-t ${endpoint}`;
}

/** Scheduler flags as `ipvsadm -b` takes and `ipvsadm -Ln` shows them; empty without any. */
export function schedulerFlagsText(service: Service): string {
  const named = service.scheduler === 'sh' || service.scheduler === 'mh';
  const names: readonly [number, string][] = [
    [IP_VS_SVC_F.SCHED1, named ? `${service.scheduler}-fallback` : 'flag-1'],
    [IP_VS_SVC_F.SCHED2, named ? `${service.scheduler}-port` : 'flag-2'],
    [IP_VS_SVC_F.SCHED3, 'flag-3'],
  ];
  return names
    .filter(([flag]) => (service.flags & flag) !== 0)
    .map(([, name]) => name)
    .join(',');
}

function serviceOptions(service: Service): string {
  let text = ` -s ${service.scheduler}`;
  if ((service.flags & IP_VS_SVC_F.PERSISTENT) !== 0) {
    text += ` -p ${service.timeoutSeconds}`;
    if (service.netmask !== (service.key.family === 'ipv6' ? '128' : '255.255.255.255')) {
      text += ` -M ${service.netmask}`;
    }
  }
  if (service.persistenceEngine !== undefined) text += ` --pe ${service.persistenceEngine}`;
  if ((service.flags & IP_VS_SVC_F.ONEPACKET) !== 0) text += ' -o';
  const flags = schedulerFlagsText(service);
  return flags === '' ? text : `${text} -b ${flags}`;
}

/** `ipvsadm` has a switch for three of the methods; `local` and `bypass` are the kernel's own. */
const FORWARDING_SWITCHES = { masq: '-m', tunnel: '-i', droute: '-g', local: '-g', bypass: '-g' } as const;

const CHECKSUM_SWITCHES = { none: '--tun-nocsum', csum: '--tun-csum', remcsum: '--tun-remcsum' } as const;

/** Empty for ipip. */
function tunnelOptions({ tunnel }: Destination): string {
  if (tunnel === undefined) return '';
  const port = tunnel.type === 'gue' ? ` --tun-port ${tunnel.port}` : '';
  return ` --tun-type ${tunnel.type}${port} ${CHECKSUM_SWITCHES[tunnel.checksum]}`;
}

function destinationOptions(destination: Destination): string {
  let text = ` ${FORWARDING_SWITCHES[destination.forwarding]} -w ${destination.weight}`;
  if (destination.forwarding === 'tunnel') text += tunnelOptions(destination);
  if (destination.upperThreshold !== 0) text += ` -x ${destination.upperThreshold}`;
  if (destination.lowerThreshold !== 0) text += ` -y ${destination.lowerThreshold}`;
  return text;
}

/** The command line that would do the same, such as `ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.2:80 -m -w 1`. */
export function describeOp(op: IpvsOp): string {
  switch (op.op) {
    case 'add-service':
      return `ipvsadm -A ${serviceSwitch(op.service.key)}${serviceOptions(op.service)}`;
    case 'edit-service':
      return `ipvsadm -E ${serviceSwitch(op.service.key)}${serviceOptions(op.service)}`;
    case 'delete-service':
      return `ipvsadm -D ${serviceSwitch(op.key)}`;
    case 'add-destination':
      return `ipvsadm -a ${serviceSwitch(op.key)} -r ${destinationKeyText(op.destination)}${destinationOptions(op.destination)}`;
    case 'edit-destination':
      return `ipvsadm -e ${serviceSwitch(op.key)} -r ${destinationKeyText(op.destination)}${destinationOptions(op.destination)}`;
    case 'delete-destination':
      return `ipvsadm -d ${serviceSwitch(op.key)} -r ${destinationKeyText(op.destination)}`;
  }
}

/** The same for a sentence: `add real server 10.0.0.2:80 to tcp 192.0.2.1:80`. */
export function opWords(op: IpvsOp): string {
  if (op.op === 'add-service' || op.op === 'edit-service') {
    return `${op.op === 'add-service' ? 'add' : 'edit'} virtual server ${serviceKeyText(op.service.key)}`;
  }
  const key = serviceKeyText(op.key);
  switch (op.op) {
    case 'delete-service':
      return `delete virtual server ${key}`;
    case 'add-destination':
      return `add real server ${destinationKeyText(op.destination)} to ${key}`;
    case 'edit-destination':
      return `edit real server ${destinationKeyText(op.destination)} of ${key}`;
    case 'delete-destination':
      return `delete real server ${destinationKeyText(op.destination)} of ${key}`;
  }
}
