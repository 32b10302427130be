import fc from 'fast-check';
import t from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import { formatTable, inOrder } from '../../../src/ipvs/format.js';
import type {
  Destination,
  DumpedDestination,
  DumpedService,
  ForwardingMethod,
  IpvsOp,
  Service,
  ServiceKey,
} from '../../../src/ipvs/model.js';
import {
  describeOp,
  destinationKeyText,
  opWords,
  PLAN_SLICE,
  plan,
  planInSlices,
  serviceKeyText,
} from '../../../src/ipvs/plan.js';
import { desiredServices, wholeServices } from '../../../src/planning/desired.js';
import { realServer, virtualServer } from '../config/servers.js';

const NONE: ReadonlySet<string> = new Set();
const prune = { ownedKeys: NONE, prune: true };

function destination(address: string, over: Partial<Destination> = {}): DumpedDestination {
  return {
    address,
    port: 80,
    forwarding: 'masq',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    activeConnections: 0,
    inactiveConnections: 0,
    persistentConnections: 0,
    ...over,
  };
}

function tcp(address: string, port = 80): ServiceKey {
  return { family: 'ipv4', protocol: 6, address, port };
}

function service(
  key: ServiceKey,
  destinations: readonly DumpedDestination[] = [],
  over: Partial<Service> = {},
): DumpedService {
  return {
    key,
    scheduler: 'rr',
    flags: 0,
    timeoutSeconds: 0,
    netmask: '255.255.255.255',
    ...over,
    destinations,
  };
}

/** The kernel's rules (ip_vs_ctl.c) on a table in memory; throws where the kernel would refuse. */
class SimulatedTable {
  readonly services = new Map<string, DumpedService>();

  constructor(services: readonly DumpedService[]) {
    for (const one of services) this.services.set(serviceKeyText(one.key), one);
  }

  #require(key: ServiceKey): DumpedService {
    const found = this.services.get(serviceKeyText(key));
    if (found === undefined) throw new Error(`ESRCH ${serviceKeyText(key)}`);
    return found;
  }

  apply(op: IpvsOp): void {
    if (op.op === 'add-service') {
      const text = serviceKeyText(op.service.key);
      if (this.services.has(text)) throw new Error(`EEXIST ${text}`);
      this.services.set(text, { ...op.service, destinations: [] });
      return;
    }
    if (op.op === 'edit-service') {
      const { destinations } = this.#require(op.service.key);
      this.services.set(serviceKeyText(op.service.key), { ...op.service, destinations });
      return;
    }
    const present = this.#require(op.key);
    const text = serviceKeyText(op.key);
    if (op.op === 'delete-service') {
      this.services.delete(text);
      return;
    }
    const at = present.destinations.findIndex(
      (one) => destinationKeyText(one) === destinationKeyText(op.destination),
    );
    if ((at === -1) !== (op.op === 'add-destination')) {
      throw new Error(`${at === -1 ? 'ENOENT' : 'EEXIST'} ${describeOp(op)}`);
    }
    const rest = present.destinations.filter((_, index) => index !== at);
    const counted = present.destinations[at] ?? destination('');
    const destinations = op.op === 'delete-destination' ? rest : [...rest, { ...counted, ...op.destination }];
    this.services.set(text, { ...present, destinations });
  }

  dump(): DumpedService[] {
    return [...this.services.values()];
  }
}

/** Comparable without the order of things, and without what has no effect. */
function canonical(services: readonly Service[]): Record<string, unknown> {
  return Object.fromEntries(
    services.map((one) => [
      serviceKeyText(one.key),
      {
        scheduler: one.scheduler,
        flags: one.flags,
        persistence: (one.flags & 1) === 0 ? undefined : [one.timeoutSeconds, one.netmask],
        destinations: Object.fromEntries(
          one.destinations.map((d) => [
            destinationKeyText(d),
            [d.forwarding, d.weight, d.upperThreshold, d.lowerThreshold],
          ]),
        ),
      },
    ]),
  );
}

const arbitraryDestination: fc.Arbitrary<DumpedDestination> = fc
  .record({
    host: fc.integer({ min: 1, max: 6 }),
    port: fc.constantFrom(80, 8000),
    forwarding: fc.constantFrom<ForwardingMethod>('masq', 'tunnel', 'droute'),
    weight: fc.nat(3),
    upperThreshold: fc.constantFrom(0, 10),
    activeConnections: fc.nat(9),
  })
  .map(({ host, ...over }) => destination(`10.0.0.${host}`, over));

const arbitraryService: fc.Arbitrary<DumpedService> = fc
  .record({
    key: fc.oneof(
      fc.integer({ min: 1, max: 5 }).map((host) => tcp(`192.0.2.${host}`)),
      fc.record({
        family: fc.constantFrom('ipv4' as const, 'ipv6' as const),
        fwmark: fc.integer({ min: 1, max: 3 }),
      }),
    ),
    scheduler: fc.constantFrom('rr', 'wlc', 'sh'),
    flags: fc.constantFrom(0, 1, 4, 8),
    timeoutSeconds: fc.constantFrom(0, 300),
    netmask: fc.constantFrom('255.255.255.255', '255.255.255.0'),
    destinations: fc.uniqueArray(arbitraryDestination, { maxLength: 5, selector: destinationKeyText }),
  })
  .map(({ key, destinations, ...over }) => service(key, destinations, over));

const arbitraryTable = fc.uniqueArray(arbitraryService, {
  maxLength: 6,
  selector: (one) => serviceKeyText(one.key),
});

void t.test('property: the plan turns actual into desired, and then there is nothing to do', async (t) => {
  fc.assert(
    fc.property(arbitraryTable, arbitraryTable, fc.func(fc.boolean()), (desired, actual, isOwned) => {
      const ownedKeys = new Set(actual.map((one) => serviceKeyText(one.key)).filter((text) => isOwned(text)));
      const table = new SimulatedTable(actual);
      for (const op of plan(desired, actual, { ownedKeys, prune: true })) table.apply(op);
      const wanted = new Set(desired.map((one) => serviceKeyText(one.key)));
      const foreign = actual.filter(
        ({ key }) => !wanted.has(serviceKeyText(key)) && !ownedKeys.has(serviceKeyText(key)),
      );
      t.same(canonical(table.dump()), canonical([...foreign, ...desired]));
      t.same(plan(desired, table.dump(), { ownedKeys, prune: true }), []);
      for (const one of foreign) t.same(table.services.get(serviceKeyText(one.key)), one);
    }),
    { numRuns: 300 },
  );
});

void t.test('property: without prune nothing is removed', async (t) => {
  fc.assert(
    fc.property(arbitraryTable, arbitraryTable, (desired, actual) => {
      const ownedKeys = new Set(actual.map((one) => serviceKeyText(one.key)));
      const ops = plan(desired, actual, { ownedKeys, prune: false });
      t.notOk(ops.some(({ op }) => op.startsWith('delete')));
    }),
    { numRuns: 100 },
  );
});

void t.test(
  'property: removals come after all else, destinations right behind their new service',
  async (t) => {
    fc.assert(
      fc.property(arbitraryTable, arbitraryTable, (desired, actual) => {
        const ownedKeys = new Set(actual.map((one) => serviceKeyText(one.key)));
        const ops = plan(desired, actual, { ownedKeys, prune: true });
        const firstRemoval = ops.findIndex(({ op }) => op.startsWith('delete'));
        if (firstRemoval !== -1) t.ok(ops.slice(firstRemoval).every(({ op }) => op.startsWith('delete')));
        for (const [index, op] of ops.entries()) {
          if (op.op !== 'add-service') continue;
          const behind = ops.slice(index + 1, index + 1 + op.service.destinations.length);
          t.ok(behind.every((next) => next.op === 'add-destination' && next.key === op.service.key));
        }
      }),
      { numRuns: 100 },
    );
  },
);

void t.test('a service that had a weight keeps one at every step', async (t) => {
  const key = tcp('192.0.2.1');
  const actual = [service(key, [destination('10.0.0.1'), destination('10.0.0.2', { weight: 0 })])];
  const desired = [service(key, [destination('10.0.0.1', { weight: 0 }), destination('10.0.0.2')])];
  t.same(plan(desired, actual, prune).map(describeOp), [
    'ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.2:80 -m -w 1',
    'ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 0',
  ]);
});

void t.test('weight, thresholds and forwarding method change by edits', async (t) => {
  const key = tcp('192.0.2.1');
  const actual = [service(key, [destination('10.0.0.1'), destination('10.0.0.2')], { scheduler: 'wlc' })];
  const desired = [
    service(key, [
      destination('10.0.0.1', { weight: 5 }),
      destination('10.0.0.2', { forwarding: 'droute', upperThreshold: 9, lowerThreshold: 3 }),
    ]),
  ];
  t.same(plan(desired, actual, prune).map(describeOp), [
    'ipvsadm -E -t 192.0.2.1:80 -s rr',
    'ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 5',
    'ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 1 -x 9 -y 3',
  ]);
});

void t.test('what is owned and no longer desired goes; the foreign stays', async (t) => {
  const actual = [service(tcp('192.0.2.1')), service(tcp('192.0.2.2'), [destination('10.0.0.1')])];
  const ownedKeys = new Set(['tcp 192.0.2.1:80']);
  t.same(plan([], actual, { ownedKeys, prune: true }).map(describeOp), ['ipvsadm -D -t 192.0.2.1:80']);
});

void t.test('no endless edits', async (t) => {
  const key = tcp('192.0.2.1');
  const local = [service(key, [destination('10.0.0.1', { forwarding: 'local' })])];
  t.same(
    plan([service(key, [destination('10.0.0.1')])], local, prune),
    [],
    'a local address dumped as local',
  );
  const other = [service(key, [], { timeoutSeconds: 360, netmask: '255.255.255.0' })];
  t.same(plan([service(key)], other, prune), [], 'timeout and netmask without persistence');
});

void t.test('duplicates: the first counts', async (t) => {
  const key = tcp('192.0.2.1');
  const twice = [destination('10.0.0.1'), destination('10.0.0.1', { weight: 9 })];
  const first = [service(key, twice), service(key, [], { scheduler: 'lc' })];
  t.same(plan(first, [], prune).map(describeOp), [
    'ipvsadm -A -t 192.0.2.1:80 -s rr',
    'ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1',
  ]);
  t.same(plan([service(key, twice)], [service(key, [destination('10.0.0.1')])], prune), []);
});

void t.test('command lines and words', async (t) => {
  const v6: ServiceKey = { family: 'ipv6', protocol: 17, address: '2001:db8::1', port: 53 };
  const mark: ServiceKey = { family: 'ipv6', fwmark: 7 };
  const sctp: ServiceKey = { family: 'ipv4', protocol: 132, address: '192.0.2.1', port: 9 };
  const full = service(mark, [], {
    scheduler: 'sh',
    flags: 1 | 4 | 8 | 16,
    timeoutSeconds: 60,
    netmask: '64',
    persistenceEngine: 'sip',
  });
  t.equal(
    describeOp({ op: 'add-service', service: full }),
    'ipvsadm -A -f 7 -6 -s sh -p 60 -M 64 --pe sip -o -b sh-fallback,sh-port',
  );
  t.equal(describeOp({ op: 'delete-service', key: v6 }), 'ipvsadm -D -u [2001:db8::1]:53');
  const gone: IpvsOp = {
    op: 'delete-destination',
    key: sctp,
    destination: destination('10.0.0.1', { port: 9 }),
  };
  t.equal(describeOp(gone), 'ipvsadm -d --sctp-service 192.0.2.1:9 -r 10.0.0.1:9');
  t.equal(opWords(gone), 'delete real server 10.0.0.1:9 of sctp 192.0.2.1:9');
  t.equal(opWords({ op: 'edit-service', service: full }), 'edit virtual server fwm 7 ipv6');
  t.equal(opWords({ op: 'delete-service', key: v6 }), 'delete virtual server udp [2001:db8::1]:53');
  t.equal(serviceKeyText({ family: 'ipv4', fwmark: 3 }), 'fwm 3');
});

const web = virtualServer({
  service: { protocol: 'tcp', address: '192.0.2.1', port: 80 },
  scheduler: 'wrr',
  persistence: { timeoutMs: 300_500, netmask: '255.255.255.0', engine: undefined },
  realServers: [
    realServer('10.0.0.1', { port: 8080 }),
    realServer('10.0.0.2', { port: 8080, weight: 0 }),
    realServer('10.0.0.3', { port: 8080, weight: 3 }),
  ],
});

void t.test('desired: the unhealthy are left out, a configured weight 0 stays', async (t) => {
  const [one] = desiredServices([web], {
    serves: (name, { address }) => name === 'web' && address !== '10.0.0.3',
  });
  t.same(one, {
    key: tcp('192.0.2.1'),
    scheduler: 'wrr',
    flags: 1,
    timeoutSeconds: 301,
    netmask: '255.255.255.0',
    destinations: [
      {
        address: '10.0.0.1',
        port: 8080,
        forwarding: 'masq',
        weight: 1,
        upperThreshold: 0,
        lowerThreshold: 0,
      },
      {
        address: '10.0.0.2',
        port: 8080,
        forwarding: 'masq',
        weight: 0,
        upperThreshold: 0,
        lowerThreshold: 0,
      },
    ],
  });
});

void t.test('desired: who serves when some do not', async (t) => {
  const [one, two] = [realServer('10.0.0.1'), realServer('10.0.0.2', { weight: 3 })];
  const sorryServer = realServer('10.0.0.9', { port: 8080 });
  const base = { realServers: [one, two], sorryServer };
  const table = (server: Partial<VirtualServer>, first: boolean | undefined, second: boolean | undefined) =>
    desiredServices([virtualServer({ ...base, ...server })], {
      serves: (_, real) => (real === one ? first : second),
    })
      .flatMap(({ destinations }) => destinations)
      .map(({ address, weight }) => `${address} ${weight}`);
  const sorry = '10.0.0.9 1';
  t.strictSame(table({}, true, false), ['10.0.0.1 1']);
  t.strictSame(table({}, false, false), [sorry]);
  t.strictSame(table({}, false, undefined), [], 'who is not known may serve');
  t.strictSame(table({ onFailure: 'weight_zero' }, false, true), ['10.0.0.1 0', '10.0.0.2 3']);
  t.strictSame(table({ onFailure: 'weight_zero' }, false, undefined), ['10.0.0.1 0']);
  t.strictSame(table({ onFailure: 'weight_zero' }, false, false), ['10.0.0.1 0', '10.0.0.2 0', sorry]);
  const quiescent = { realServers: [one, { ...two, weight: 0 }] };
  t.strictSame(table(quiescent, false, true), ['10.0.0.2 0', sorry], 'nobody takes new connections');
  t.strictSame(table({ sorryServer: undefined }, false, false), []);
});

void t.test('desired: what makes a service, and what makes a destination', async (t) => {
  const tunnel = { type: 'gue', port: 6080, checksum: 'csum' } as const;
  const [sip, marked] = wholeServices([
    virtualServer({
      service: { protocol: 'udp', address: '2001:db8::1', port: 5060 },
      scheduler: 'mh',
      schedulerFlags: ['mh-port', 'mh-fallback'],
      onePacket: true,
      persistence: { timeoutMs: 1000, netmask: '64', engine: 'sip' },
      realServers: [
        realServer('fd00::2', { forwarding: 'tun', tunnel, upperThreshold: 9, lowerThreshold: 4 }),
        realServer('10.0.0.2', { forwarding: 'dr' }),
      ],
    }),
    virtualServer({ service: { fwmark: 7, family: 'ipv6' } }),
  ]);
  t.match(sip, {
    key: { family: 'ipv6', protocol: 17, address: '2001:db8::1', port: 5060 },
    flags: 1 | 4 | 8 | 16,
    netmask: '64',
    persistenceEngine: 'sip',
    destinations: [
      { forwarding: 'tunnel', tunnel, upperThreshold: 9, lowerThreshold: 4 },
      { forwarding: 'droute', tunnel: undefined },
    ],
  });
  t.match(marked, { key: { family: 'ipv6', fwmark: 7 }, flags: 0, timeoutSeconds: 0, netmask: '128' });
});

void t.test('format: as ipvsadm -Ln shows it', async (t) => {
  const udp: ServiceKey = { family: 'ipv4', protocol: 17, address: '192.0.2.1', port: 53 };
  const v6: ServiceKey = { family: 'ipv6', protocol: 6, address: '2001:db8::1', port: 80 };
  const services = [
    service({ family: 'ipv6', fwmark: 4 }),
    service({ family: 'ipv4', fwmark: 3 }, [destination('10.0.0.1', { port: 0 })], {
      flags: 1,
      timeoutSeconds: 60,
      netmask: '255.255.255.0',
    }),
    service(v6, [destination('2001:db8::2', { forwarding: 'droute' })]),
    service(udp, [], { flags: 4 }),
    service(tcp('192.0.2.1'), [
      {
        ...destination('10.0.0.2', { port: 8000, weight: 2 }),
        activeConnections: 12,
        inactiveConnections: 3,
      },
      destination('10.0.0.1', { forwarding: 'tunnel' }),
    ]),
    service(tcp('10.1.1.1'), [], { scheduler: 'sh', flags: 8 | 16 }),
  ];
  t.equal(
    formatTable(inOrder(services), { version: '1.2.1', connectionTableSize: 4096 }),
    [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
      'TCP  192.0.2.1:80 rr',
      '  -> 10.0.0.1:80                  Tunnel  1      0          0         ',
      '  -> 10.0.0.2:8000                Masq    2      12         3         ',
      'TCP  10.1.1.1:80 sh (sh-fallback,sh-port)',
      'UDP  192.0.2.1:53 rr ops',
      'TCP  [2001:db8::1]:80 rr',
      '  -> [2001:db8::2]:80             Route   1      0          0         ',
      'FWM  3 rr persistent 60 mask 255.255.255.0',
      '  -> 10.0.0.1:0                   Masq    1      0          0         ',
      'FWM  4 IPv6 rr',
      '',
    ].join('\n'),
  );
});

void t.test('format: addresses all around the circle come as the C library sorts them', async (t) => {
  const info = { version: '1.2.1', connectionTableSize: 4096 };
  const order = (...addresses: readonly string[]) =>
    [
      ...formatTable(inOrder(addresses.map((address) => service(tcp(address)))), info).matchAll(
        /^TCP {2}(\S+):80/gm,
      ),
    ].map(([, address]) => address);
  // Each of the three is below the next in a circle, so the order they came in decides.
  t.same(order('10.0.0.1', '100.64.0.1', '192.0.2.1'), ['10.0.0.1', '100.64.0.1', '192.0.2.1']);
  t.same(order('100.64.0.1', '192.0.2.1', '10.0.0.1'), ['100.64.0.1', '192.0.2.1', '10.0.0.1']);
  t.same(order('192.0.2.1', '10.0.0.1', '100.64.0.1'), ['192.0.2.1', '10.0.0.1', '100.64.0.1']);
  t.same(order('192.0.2.1', '100.64.0.1', '10.0.0.1'), ['192.0.2.1', '10.0.0.1', '100.64.0.1']);
});

void t.test('thousands of services are compared in slices, with the same changes', async (t) => {
  const wanted = Array.from({ length: 3 * PLAN_SLICE + 1 }, (_, i) => service(tcp('192.0.2.1', i + 1)));
  const actual = wanted.filter((_, i) => i % 7 !== 0);
  const slices = planInSlices(wanted, actual, prune);
  let yields = 0;
  let slice = slices.next();
  for (; slice.done !== true; slice = slices.next()) yields += 1;
  t.equal(yields, 3);
  t.same(slice.value, plan(wanted, actual, prune));
  t.equal(slice.value.length, wanted.length - actual.length);
});
