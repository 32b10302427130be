import t from 'tap';
import { tableNumbers } from '../../../src/ipvs/count.js';
import { type CountedService, NO_TRAFFIC } from '../../../src/ipvs/model.js';

function service(
  key: CountedService['key'],
  made: number,
  ...numbers: [number, number, number][]
): CountedService {
  return {
    key,
    stats: { ...NO_TRAFFIC, connections: made },
    destinations: numbers.map(([activeConnections, inactiveConnections, persistentConnections], index) => ({
      address: `10.0.0.${index}`,
      port: 80,
      weight: 1,
      stats: NO_TRAFFIC,
      activeConnections,
      inactiveConnections,
      persistentConnections,
    })),
  };
}

const at = (protocol: number) => ({ family: 'ipv4', protocol, address: '10.9.0.1', port: 80 }) as const;

void t.test('what lasts, and what a peer is told of in any case', async (t) => {
  const tcp = service(at(6), 500, [10, 20, 3], [1, 2, 0]);
  t.same(tableNumbers([tcp]), { connections: 36, lasting: 14, established: 14, made: 500 });
  const udp = service(at(17), 70, [5, 6, 0]);
  t.same(tableNumbers([udp]), { connections: 11, lasting: 11, established: 0, made: 0 });
  const mark = service({ family: 'ipv4', fwmark: 1 }, 7, [1, 2, 3]);
  t.same(tableNumbers([tcp, udp, mark]), { connections: 53, lasting: 31, established: 14, made: 500 });
  t.same(tableNumbers([]), { connections: 0, lasting: 0, established: 0, made: 0 });
});
