/** `director status` out of the two processes' answers. Pure. */
import type { VirtualServer } from '../config/model-servers.js';
import type { ServicesStatus } from './services/services-messages.js';
import type { DirectorStatus, ElectionStatus } from './status.js';
import { virtualServerStatus } from './virtual-server-status.js';

/** What it said before may be true no more. */
const unknown = () => ({ health: 'unknown', reason: 'the services process does not answer' }) as const;

/** `services`: undefined when the services process does not answer. Then `configured` is what is known. */
export function mergedStatus(
  election: ElectionStatus,
  services: ServicesStatus | undefined,
  configured: readonly VirtualServer[],
): DirectorStatus {
  const { connection_sync: sync } = election;
  return {
    ...election,
    virtual_servers:
      services?.virtual_servers ?? configured.map((server) => virtualServerStatus(server, unknown)),
    connection_sync:
      sync === null
        ? null
        : { ...sync, daemons: services?.sync_daemons ?? [], faults: services?.sync_faults ?? [] },
    peer_channel: services?.peer_channel ?? null,
    services: {
      ...election.services,
      answers: services !== undefined,
      faults: services?.faults ?? [],
      event_loop: services?.event_loop ?? null,
      log: services?.log ?? null,
    },
  };
}
