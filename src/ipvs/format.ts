/** The table in the look of `ipvsadm -Ln` (ipvsadm 1.31), column for column, with `--tun-info` perhaps, and of `--daemon`. */
import { addressBytes, endpointText } from '../util/ip-address.js';
import type {
  DestinationTunnel,
  DumpedDestination,
  DumpedService,
  DumpedSyncDaemon,
  ForwardingMethod,
  Service,
} from './model.js';
import { destinationKeyText, schedulerFlagsText } from './plan.js';
import { IP_VS_SVC_F, IPPROTO } from './uapi.js';

const TITLE = 'Prot LocalAddress:Port Scheduler Flags';
const REMOTE = '  -> RemoteAddress:Port           Forward';
const NUMBERS = 'Weight ActiveConn InActConn';

const FORWARDING_NAMES: Readonly<Record<ForwardingMethod, string>> = {
  masq: 'Masq',
  local: 'Local',
  tunnel: 'Tunnel',
  droute: 'Route',
  bypass: 'Bypass',
};

/** Without a checksum, with one, with a remote one. */
const CHECKSUM_MARKS: Readonly<Record<DestinationTunnel['checksum'], string>> = {
  none: '-c',
  csum: '+c',
  remcsum: 'r+c',
};

/** An unsigned 32-bit difference read as a signed number: `ipvsadm` sorts so, with 192.0.0.0 before 10.0.0.0. */
const signedDifference = (left: number, right: number): number => (left - right) | 0;

function compareAddresses(left: string, right: string): number {
  const leftBytes = addressBytes(left);
  const rightBytes = addressBytes(right);
  if (leftBytes === undefined || rightBytes === undefined) return left < right ? -1 : Number(left > right);
  if (leftBytes.length !== rightBytes.length) return leftBytes.length - rightBytes.length;
  const leftView = new DataView(leftBytes.buffer);
  const rightView = new DataView(rightBytes.buffer);
  for (let at = 0; at < leftBytes.length; at += 4) {
    const difference = signedDifference(leftView.getUint32(at), rightView.getUint32(at));
    if (difference !== 0) return difference;
  }
  return 0;
}

type Keyed = Pick<Service, 'key'>;

/** By firewall mark (0 without one), family, protocol, address and port. */
function compareServices(left: Keyed, right: Keyed): number {
  const leftMark = 'fwmark' in left.key ? left.key.fwmark : 0;
  const rightMark = 'fwmark' in right.key ? right.key.fwmark : 0;
  if (leftMark !== rightMark) return signedDifference(leftMark, rightMark);
  if (left.key.family !== right.key.family) return left.key.family === 'ipv4' ? -1 : 1;
  if ('fwmark' in left.key || 'fwmark' in right.key) return 0;
  if (left.key.protocol !== right.key.protocol) return left.key.protocol - right.key.protocol;
  return compareAddresses(left.key.address, right.key.address) || left.key.port - right.key.port;
}

type Addressed = Pick<DumpedDestination, 'address' | 'port'>;

function compareDestinations(left: Addressed, right: Addressed): number {
  return compareAddresses(left.address, right.address) || left.port - right.port;
}

/**
 * A merge sort that halves as the C library's qsort(3) does. Signed differences make no order where addresses lie all
 * around the circle (10.0.0.1, 100.64.0.1, 192.0.2.1): then the outcome is the algorithm's, and must be the same one.
 */
function sortedLikeQsort<T>(values: readonly T[], compare: (left: T, right: T) => number): readonly T[] {
  if (values.length < 2) return values;
  const half = values.length >> 1;
  const left = sortedLikeQsort(values.slice(0, half), compare);
  const right = sortedLikeQsort(values.slice(half), compare);
  const merged: T[] = [];
  let leftAt = 0;
  let rightAt = 0;
  for (;;) {
    const leftNext = left[leftAt];
    const rightNext = right[rightAt];
    if (leftNext === undefined) return merged.concat(right.slice(rightAt));
    if (rightNext === undefined) return merged.concat(left.slice(leftAt));
    if (compare(leftNext, rightNext) <= 0) {
      merged.push(leftNext);
      leftAt += 1;
    } else {
      merged.push(rightNext);
      rightAt += 1;
    }
  }
}

/** Services and their destinations in the order of `ipvsadm -L`. */
export function inOrder<Each extends Keyed & { readonly destinations: readonly Addressed[] }>(
  services: readonly Each[],
): readonly Each[] {
  return sortedLikeQsort(services, compareServices).map((service) => ({
    ...service,
    destinations: sortedLikeQsort(service.destinations, compareDestinations),
  }));
}

/** `TCP  192.0.2.1:80`. */
export function serviceName({ key }: Keyed): string {
  if ('fwmark' in key) return `FWM  ${key.fwmark}${key.family === 'ipv6' ? ' IPv6' : ''}`;
  const protocol = key.protocol === IPPROTO.TCP ? 'TCP' : key.protocol === IPPROTO.UDP ? 'UDP' : 'SCTP';
  return `${protocol.padEnd(4)} ${endpointText(key.address, key.port)}`;
}

/** With its scheduler and flags. */
export function serviceLine(service: Service): string {
  let line = `${serviceName(service)} ${service.scheduler}`;
  const schedulerFlags = schedulerFlagsText(service);
  if (schedulerFlags !== '') line += ` (${schedulerFlags})`;
  if ((service.flags & IP_VS_SVC_F.PERSISTENT) !== 0) {
    line += ` persistent ${service.timeoutSeconds}`;
    if (service.netmask !== (service.key.family === 'ipv6' ? '128' : '255.255.255.255')) {
      line += ` mask ${service.netmask}`;
    }
    if (service.persistenceEngine !== undefined) line += ` pe ${service.persistenceEngine}`;
  }
  if ((service.flags & IP_VS_SVC_F.ONEPACKET) !== 0) line += ' ops';
  return line;
}

/** Such as `gue:6080:-c`. */
function tunnelText({ forwarding, tunnel }: DumpedDestination): string {
  if (forwarding !== 'tunnel') return 'n/a';
  if (tunnel === undefined || tunnel.type === 'ipip') return 'ipip';
  const port = tunnel.type === 'gue' ? `${tunnel.port}:` : '';
  return `${tunnel.type}:${port}${CHECKSUM_MARKS[tunnel.checksum]}`;
}

/** The last columns are padded too, as there: a line ends in blanks. */
function destinationLine(destination: DumpedDestination, withTunnels: boolean): string {
  const cells = [
    destinationKeyText(destination).padEnd(28),
    FORWARDING_NAMES[destination.forwarding].padEnd(7),
    ...(withTunnels ? [tunnelText(destination).padEnd(13)] : []),
    String(destination.weight | 0).padEnd(6),
    String(destination.activeConnections).padEnd(10),
    String(destination.inactiveConnections).padEnd(10),
  ];
  return `  -> ${cells.join(' ')}`;
}

/** What IPVS_CMD_GET_INFO tells. */
export interface IpvsInfo {
  readonly version: string;
  readonly connectionTableSize: number;
}

/** The line above the titles; `ipvsadm` leaves it out where one service is asked for, and so does undefined. */
export function versionLines(info: IpvsInfo | undefined): readonly string[] {
  if (info === undefined) return [];
  return [`IP Virtual Server version ${info.version} (size=${info.connectionTableSize})`];
}

/**
 * The whole answer of `ipvsadm -Ln`, or with `--tun-info`, with a closing line break. As its like, it prints services and
 * destinations as they come: `inOrder` sorts.
 */
export function formatTable(
  services: readonly DumpedService[],
  info: IpvsInfo | undefined,
  withTunnels = false,
): string {
  const remote = withTunnels ? `${REMOTE} ${'TunnelInfo'.padEnd(13)}` : REMOTE;
  const lines = [...versionLines(info), TITLE, `${remote} ${NUMBERS}`];
  for (const service of services) {
    lines.push(serviceLine(service));
    for (const destination of service.destinations) lines.push(destinationLine(destination, withTunnels));
  }
  return `${lines.join('\n')}\n`;
}

/** The answer of `ipvsadm -Ln --daemon`: a line for each sync daemon, the master's first; none without one. */
export function formatDaemons(daemons: readonly DumpedSyncDaemon[]): string {
  return daemons
    .toSorted((left, right) => Number(left.state === 'backup') - Number(right.state === 'backup'))
    .map(({ state, interface: device, syncid, maxLength, group, port, ttl }) => {
      const more = Object.entries({ maxlen: maxLength, group, port, ttl });
      const told = more.flatMap(([name, value]) =>
        value === undefined || value === 0 ? [] : `, ${name}=${value}`,
      );
      return `${state} sync daemon (mcast=${device}, syncid=${syncid}${told.join('')})\n`;
    })
    .join('');
}
