/** What has changed is worked on alone, and comes out as if all had been compared. */
import fc from 'fast-check';
import t from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import type { ServiceKey } from '../../../src/ipvs/model.js';
import { plan, serviceKeyText } from '../../../src/ipvs/plan.js';
import { desiredServices } from '../../../src/planning/desired.js';
import { type Comparison, TableComparer, type Wanted } from '../../../src/runtime/services/table-comparer.js';
import { onPort, realServer, virtualServer } from '../config/servers.js';
import { directorConfig } from '../vrrp/instances.js';
import { FakeKernel, running } from './fake-kernel.js';

const NO_PRUNING = { ownedKeys: new Set<string>(), prune: true };

/** Of each virtual server the real servers with a weight, and whether each is up. */
type Drawn = readonly (readonly (readonly [host: number, weight: number, up: boolean])[])[];

const drawn: fc.Arbitrary<Drawn> = fc.array(
  fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat({ max: 2 }), fc.boolean()), {
    selector: ([host]) => host,
    minLength: 1,
    maxLength: 4,
  }),
  { minLength: 3, maxLength: 3 },
);

function wantedFrom(shape: Drawn, servers: number, ownedKeys: ReadonlySet<string>): Wanted {
  const active = shape.slice(0, servers).map((reals, index) =>
    onPort(
      virtualServer({
        name: `web-${index}`,
        realServers: reals.map(([host, weight]) => realServer(`10.0.0.${host}`, { weight })),
        sorryServer: index === 0 ? realServer('10.0.0.9') : undefined,
        drainMs: 5000,
      }),
      8000 + index,
    ),
  );
  const upOf = (name: string, address: string): boolean => {
    const index = active.findIndex((one) => one.name === name);
    return shape[index]?.find(([host]) => address === `10.0.0.${host}`)?.[2] ?? true;
  };
  return {
    active,
    serves: (name, { address }) => upOf(name, address),
    ownedKeys,
    prune: true,
    drainTimes: {},
    nowMs: 1_000_000,
  };
}

async function settle(kernel: FakeKernel, comparison: Comparison | undefined): Promise<string> {
  await kernel.ipvs.apply(comparison?.ops ?? []);
  const services = [...kernel.table].map(([key, { destinations, scheduler }]) => {
    const each = destinations.map(({ address, port, weight }) => `${address}:${port} ${weight}`);
    return `${key} ${scheduler} ${each.toSorted().join()}`;
  });
  return services.toSorted().join('\n');
}

void t.test('any change of what is wanted', async () => {
  await fc.assert(
    fc.asyncProperty(
      drawn,
      drawn,
      fc.integer({ min: 1, max: 3 }),
      fc.nat({ max: 3 }),
      async (first, then, servers, kept) => {
        const [one, other] = [new FakeKernel(), new FakeKernel()];
        const before = wantedFrom(first, servers, new Set());
        const table = desiredServices(before.active, before);
        const keys = new Set(table.map(({ key }) => serviceKeyText(key)));
        const wanted = () => wantedFrom(then, Math.min(kept, servers), keys);
        for (const kernel of [one, other]) {
          await kernel.ipvs.apply(plan(table, [], NO_PRUNING));
          kernel.connections(1);
        }
        const known = { services: table, drains: [], pruned: true, exclusive: false };
        const ipvs = { ...one.ipvs, dump: () => Promise.reject(new Error('not all of it')) };
        const breathe = async () => {};
        const changed = await new TableComparer({ ipvs, breathe }).changed(known, wanted);
        const whole = await new TableComparer({ ipvs: other.ipvs, breathe }).whole(known, wanted);
        const [left, right] = [await settle(one, changed), await settle(other, whole)];
        return changed !== undefined && left === right && changed.repairs.length === 0;
      },
    ),
    { numRuns: 500 },
  );
});

void t.test('a reload of one weight asks for one service, and is one message', async (t) => {
  const kernel = new FakeKernel();
  const servers: VirtualServer[] = Array.from({ length: 300 }, (_, index) =>
    onPort(
      virtualServer({ name: `web-${index}`, realServers: [realServer('10.0.0.1'), realServer('10.0.0.2')] }),
      1000 + index,
    ),
  );
  let dumps = 0;
  const asked: string[] = [];
  const { ipvs } = kernel;
  const real = { ...ipvs };
  Object.assign(ipvs, {
    dump: () => {
      dumps += 1;
      return real.dump();
    },
    destinations: (key: ServiceKey) => {
      asked.push(serviceKeyText(key));
      return real.destinations(key);
    },
  });
  const { service, pass } = await running(directorConfig({ virtualServers: servers }), {}, kernel);
  await pass(100);
  const [before, ops] = [dumps, kernel.ops.length];
  asked.length = 0;
  const heavy = (server: VirtualServer) => ({
    ...server,
    realServers: [realServer('10.0.0.1', { weight: 7 }), realServer('10.0.0.2')],
  });
  await service.reconfigure(
    directorConfig({
      virtualServers: servers.map((server, index) => (index === 150 ? heavy(server) : server)),
    }),
  );
  t.equal(dumps, before);
  t.strictSame(asked, ['tcp 192.0.2.51:1150']);
  t.strictSame(kernel.ops.slice(ops), ['ipvsadm -e -t 192.0.2.51:1150 -r 10.0.0.1:80 -m -w 7']);
  kernel.table.delete('tcp 192.0.2.51:1007');
  await pass(31_000);
  t.equal(kernel.table.size, servers.length, 'and all of it is compared now and then');
});

void t.test('a service that has gone is found by what is to change in it', async (t) => {
  const web = virtualServer({ realServers: [realServer('10.0.0.1')] });
  const { kernel, service, lines, pass } = await running(directorConfig({ virtualServers: [web] }));
  await pass(100);
  kernel.table.clear();
  await service.reconfigure(
    directorConfig({ virtualServers: [{ ...web, realServers: [realServer('10.0.0.1', { weight: 5 })] }] }),
  );
  t.strictSame(kernel.servers, ['10.0.0.1 weight 5']);
  t.match(lines, ['somebody changed the IPVS table (1 virtual server gone, 1 real server gone): repaired']);
});
