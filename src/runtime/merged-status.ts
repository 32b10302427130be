/** `director status` out of the two processes' answers. Pure. */
import type { VirtualServer } from '../config/model.js';
import type { ServicesStatus } from './services/services-messages.js';
import type { DirectorStatus, ElectionStatus, VirtualServerStatus } from './status.js';

const SILENT = 'the services process does not answer';

/** `services`: undefined when the services process does not answer. Then `configured` is what is known. */
export function mergedStatus(
  election: ElectionStatus,
  services: ServicesStatus | undefined,
  configured: readonly VirtualServer[],
): DirectorStatus {
  const { connection_sync: sync } = election;
  return {
    ...election,
    virtual_servers: services?.virtual_servers ?? configured.map(unknownStatus),
    connection_sync:
      sync === null
        ? null
        : { ...sync, daemons: services?.sync_daemons ?? [], faults: services?.sync_faults ?? [] },
    services: {
      ...election.services,
      answers: services !== undefined,
      event_loop: services?.event_loop ?? null,
      log: services?.log ?? null,
    },
  };
}

/** What it said before may be true no more. */
function unknownStatus(server: VirtualServer): VirtualServerStatus {
  const { name, address, port, protocol, scheduler, forwarding } = server;
  return {
    name,
    address,
    port,
    protocol,
    scheduler,
    forwarding,
    real_servers: server.realServers.map((real) => ({
      address: real.address,
      port: real.port,
      weight: real.weight,
      health: 'unknown',
      reason: SILENT,
    })),
  };
}
