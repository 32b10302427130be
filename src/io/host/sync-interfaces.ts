/** What the kernel tells of the sockets of its IPVS sync daemons. */
import { readFileSync } from 'node:fs';
import type { SyncDaemon } from '../../ipvs/model.js';
import type { SyncInterfaces } from '../../runtime/services/services-ports.js';
import { AF_INET, addressText } from '../../util/ip-address.js';
import { native } from '../sockets/native.js';

/** 224.0.0.81 and port 8848 as /proc/net has them: the address in the host's byte order (little-endian), the port not. */
const GROUP = '510000E0';
const GROUP_AND_PORT = `${GROUP}:2290`;
const UNSPECIFIED = '0.0.0.0';

export const syncInterfaces: SyncInterfaces = {
  index(interfaceName) {
    try {
      return native().interfaceInfo(interfaceName).index;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENODEV') return undefined;
      throw error;
    }
  },
  socketFault(daemon) {
    try {
      return daemon.state === 'backup' ? groupFault(daemon) : sourceFault(daemon);
    } catch {
      // A procfs that does not show it: nothing known.
      return undefined;
    }
  },
};

/** A device that leaves its network namespace, or whose MTU falls below 68, forgets its groups and keeps its index. */
function groupFault({ interface: name }: SyncDaemon): string | undefined {
  const members = groupMembers(readFileSync('/proc/net/igmp', 'latin1'));
  return members.has(name)
    ? undefined
    : `the backup sync daemon is deaf: ${name} is not a member of 224.0.0.81`;
}

/** The master's socket is bound to the address that the interface had first; the kernel sends nothing without it. */
function sourceFault({ interface: name }: SyncDaemon): string | undefined {
  const sources = senderAddresses(readFileSync('/proc/net/udp', 'latin1'));
  if (sources.length === 0 || sources.includes(UNSPECIFIED)) return undefined;
  const held = new Set(
    native()
      .interfaceAddresses()
      .filter(({ family }) => family === AF_INET)
      .map(({ address }) => addressText(address)),
  );
  if (sources.some((source) => held.has(source))) return undefined;
  return `the master sync daemon on ${name} is mute: this host no longer holds its source address ${sources.join(', ')}`;
}

/** Interfaces that listen to the sync daemons' group; `text` is that of /proc/net/igmp. */
export function groupMembers(text: string): ReadonlySet<string> {
  const members = new Set<string>();
  let device = '';
  for (const line of text.split('\n')) {
    device = /^\d+\t([^\s:]+)/.exec(line)?.[1] ?? device;
    if (/^\t+/.test(line) && line.trimStart().startsWith(GROUP)) members.add(device);
  }
  return members;
}

/** Local addresses of the sockets that send to the group; `text` is that of /proc/net/udp. */
export function senderAddresses(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [, local = '', remote] = line.trim().split(/\s+/);
    if (remote !== GROUP_AND_PORT) return [];
    const address = addressText(Buffer.from(local.slice(0, 8), 'hex').toReversed());
    return address === undefined ? [] : [address];
  });
}
