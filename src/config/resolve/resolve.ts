/** The validated file as one director sees it. */

import { interfaceFor } from '../interface-for.js';
import type { DirectorConfig } from '../model.js';
import type { ConfigFile } from '../schema/schema.js';
import { resolveVirtualServer } from './resolve-servers.js';
import { resolveVrrp } from './resolve-vrrp.js';

/** `file` has passed every check, and `director` is a key under its `directors`. */
export function resolveConfig(file: ConfigFile, director: string): DirectorConfig {
  const sync = file.connection_sync;
  return {
    director,
    peers: Object.entries(file.directors)
      .filter(([name]) => name !== director)
      .map(([, peer]) => peer.address),
    saysVrrp: file.vrrp !== undefined,
    ...resolveVrrp(file, director),
    connectionSync: sync && { interface: interfaceFor(sync.interface, director), id: sync.id },
    virtualServers: file.virtual_servers.flatMap(resolveVirtualServer),
  };
}
