/** Virtual servers by the thousand, as lines of our configuration file. */

/** The first port; one virtual server has one. */
const FIRST_PORT = 1000;

/** What differs from one reload to the next. */
export interface Change {
  /** Weight of every tenth virtual server's first real server. */
  readonly weight: number;
  /** Write a scheduler that there is not at every third virtual server. */
  readonly faulty?: boolean;
}

function realServers(server: number, count: number, weight: number): string {
  const lines = Array.from({ length: count }, (_, i) => {
    const number = server * count + i;
    const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
    return `{ address: ${address}, weight: ${i === 0 && server % 10 === 0 ? weight : 1} }`;
  });
  return lines.join(', ');
}

/** `count` virtual servers on `address`, with so many real servers each. */
export function balancedYaml(
  address: string,
  count: number,
  realServersEach: number,
  { weight, faulty = false }: Change,
): string[] {
  const lines = Array.from({ length: count }, (_, i) => [
    `  - name: service${i}`,
    `    address: ${address}`,
    `    port: ${FIRST_PORT + i}`,
    '    forwarding: dr',
    `    scheduler: ${faulty && i % 3 === 0 ? 'none-such' : 'rr'}`,
    `    real_servers: [${realServers(i, realServersEach, weight)}]`,
  ]);
  return ['virtual_servers:', ...lines.flat()];
}
