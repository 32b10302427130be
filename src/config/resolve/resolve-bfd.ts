/** BFD sessions of the validated file as one director sees them. */
import { interfaceFor } from '../interface-for.js';
import type { BfdSettings, InstanceBfd, TrackKind, VrrpTransportKind } from '../model.js';
import type { ConfigFile } from '../schema/schema.js';
import type { FileInstanceBfd, FileTrackedBfd } from '../schema/schema-bfd.js';

type Timers = Pick<FileInstanceBfd, 'interval' | 'min_receive' | 'multiplier'>;

function settingsOf({ interval, min_receive: minReceive, multiplier }: Timers): BfdSettings {
  return { intervalMs: interval, minReceiveMs: minReceive ?? interval, multiplier };
}

/** Without `peers`: between the addresses of the transport, or else those under `directors`. */
export function resolveInstanceBfd(
  { directors }: ConfigFile,
  bfd: FileInstanceBfd,
  transport: VrrpTransportKind,
  director: string,
): InstanceBfd {
  const settings = settingsOf(bfd);
  const { peers: named } = bfd;
  if (named === undefined && transport.kind !== 'multicast' && transport.local !== undefined)
    return { local: transport.local, peers: transport.peers, settings };
  const addressOf = (name: string) => named?.[name] ?? directors[name]?.address ?? '';
  const others = Object.keys(directors).filter((name) => name !== director);
  return { local: addressOf(director), peers: others.map(addressOf), settings };
}

export function resolveTrackedBfd(bfd: FileTrackedBfd, director: string): TrackKind {
  return {
    type: 'bfd',
    interface: interfaceFor(bfd.interface, director),
    peer: addressFor(bfd.peer, director),
    source: bfd.source === undefined ? undefined : addressFor(bfd.source, director),
    settings: settingsOf(bfd),
  };
}

/** Throws when a map leaves the director out, which the checks have refused. */
function addressFor(value: FileTrackedBfd['peer'], director: string): string {
  const address = typeof value === 'string' ? value : value[director];
  if (address === undefined) throw new Error(`invariant: no address for director ${director}`);
  return address;
}
