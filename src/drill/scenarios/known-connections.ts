/** What a director's kernel knows of the client's connections. */
import type { OpenedConnection } from '../client/client-protocol.js';
import type { Lab } from '../lab/lab.js';
import { parseConnectionTable } from '../lab/observations.js';

/** States of connections that are over: those of thousands of requests, which the kernel keeps for two minutes. */
const OVER = /FIN_WAIT|TIME_WAIT|CLOSE|LAST_ACK/;

/** Which real server (RIP) each of them goes to, by the kernel's own table. */
export async function serversOf(
  lab: Lab,
  director: string,
  connections: readonly OpenedConnection[],
): Promise<Map<OpenedConnection, string>> {
  const lines = (await lab.procNet(director, 'ip_vs_conn')).split('\n');
  const table = parseConnectionTable(lines.filter((line) => !OVER.test(line)).join('\n'));
  const servers = new Map(
    table.map(({ protocol, virtualAddress, virtualPort, clientPort, realServer }) => [
      `${protocol} ${virtualAddress} ${virtualPort} ${clientPort}`,
      realServer,
    ]),
  );
  const { vip, port, services = {} } = lab.topology;
  const found = new Map<OpenedConnection, string>();
  for (const one of connections) {
    const { kind } = one;
    const service =
      kind === 'udp'
        ? `udp ${services.udp?.address} ${services.udp?.port}`
        : `tcp ${kind === 'ipv6' ? services.ipv6 : vip} ${port}`;
    const server = servers.get(`${service} ${one.port}`);
    if (server !== undefined) found.set(one, server);
  }
  return found;
}
