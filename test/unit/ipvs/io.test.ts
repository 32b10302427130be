import t from 'tap';
import { NetlinkError, type NetlinkRequest, type NetlinkResult } from '../../../src/io/netlink/connection.js';
import { type IpvsConnection, type IpvsHost, openIpvs } from '../../../src/io/netlink/ipvs.js';
import { encodeGetDestinations, encodeGetServices, encodeOp } from '../../../src/ipvs/encode.js';
import type { DumpedService, IpvsOp, ServiceKey } from '../../../src/ipvs/model.js';
import { describeOp } from '../../../src/ipvs/plan.js';
import {
  IPVS_CMD,
  IPVS_CMD_ATTR,
  IPVS_DEST_ATTR,
  IPVS_STATS_ATTR,
  IPVS_SVC_ATTR,
} from '../../../src/ipvs/uapi.js';
import { AttributeWriter } from '../../../src/netlink/attributes.js';

const FAMILY = 0x21;
const GENL_ID_CTRL = 0x10;
const EPERM = 1;
const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;

const done: NetlinkResult = { error: undefined, messages: [] };
const refused = (errno: number): NetlinkResult => ({ error: new NetlinkError(errno), messages: [] });
const hexOf = (payload: Uint8Array): string => Buffer.from(payload).toString('hex');

const key: ServiceKey = { family: 'ipv4', protocol: 6, address: '192.0.2.1', port: 80 };
const service: DumpedService = {
  key,
  scheduler: 'rr',
  flags: 0,
  timeoutSeconds: 0,
  netmask: '255.255.255.255',
  destinations: [],
};
const destination = {
  address: '10.0.0.1',
  port: 80,
  forwarding: 'masq',
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
} as const;

/** The kernel at message level: `answer` says what becomes of a request to the family. */
class FakeKernel implements IpvsHost {
  family: number | undefined = FAMILY;
  /** The family's number once the module was loaded by `loadModule`. */
  familyOfModule: number | undefined;
  readonly log: string[] = [];
  open = 0;
  answer: (payload: Uint8Array) => NetlinkResult = () => done;
  dumps: (payload: Uint8Array) => Uint8Array[] = () => [];

  connect(): IpvsConnection {
    this.open += 1;
    return {
      transact: async (requests) => requests.map((request) => this.#reply(request)),
      dump: async (type, payload) => {
        if (type !== this.family) throw new NetlinkError(ENOENT);
        return this.dumps(payload).map((message) => ({ type, flags: 0, payload: message }));
      },
      close: () => {
        this.open -= 1;
      },
    };
  }

  async loadModule(): Promise<void> {
    this.log.push('modprobe');
    if (this.familyOfModule === undefined) throw new Error('modprobe: FATAL: Module ip_vs not found');
    this.family = this.familyOfModule;
  }

  #reply({ type, payload }: NetlinkRequest): NetlinkResult {
    if (type !== GENL_ID_CTRL) {
      t.equal(type, this.family);
      this.log.push(hexOf(payload));
      return this.answer(payload);
    }
    if (this.family === undefined) return refused(ENOENT);
    return {
      error: undefined,
      messages: [{ type, flags: 0, payload: Uint8Array.of(1, 2, 0, 0, 6, 0, 1, 0, this.family, 0, 0, 0) }],
    };
  }
}

/** Refuses exactly these ops, everything else succeeds. */
function refusing(kernel: FakeKernel, ...refusals: readonly (readonly [IpvsOp, number])[]): void {
  const errnos = new Map(refusals.map(([op, errno]) => [hexOf(encodeOp(op)), errno]));
  kernel.answer = (payload) => {
    const errno = errnos.get(hexOf(payload));
    return errno === undefined ? done : refused(errno);
  };
}

void t.test('loads the module when the kernel has no such family', async (t) => {
  const kernel = new FakeKernel();
  kernel.family = undefined;
  kernel.familyOfModule = 0x25;
  const ipvs = await openIpvs(kernel);
  t.same(kernel.log, ['modprobe']);
  t.same(await ipvs.dump(), []);
  ipvs.close();
  t.equal(kernel.open, 0);
});

void t.test('says what to do when there is no IPVS', async (t) => {
  const kernel = new FakeKernel();
  kernel.family = undefined;
  await t.rejects(openIpvs(kernel), {
    code: 'ERR_NO_IPVS',
    message: /modprobe ip_vs/,
    cause: { message: /not found/ },
  });
  t.equal(kernel.open, 0, 'the connection is closed');
});

void t.test('one failure does not stop the rest and carries the kernel’s words', async (t) => {
  const kernel = new FakeKernel();
  const ipvs = await openIpvs(kernel);
  const scheduler = { ...service, scheduler: 'nonesuch' };
  const ops: IpvsOp[] = [
    { op: 'add-service', service: scheduler },
    { op: 'add-destination', key, destination },
    { op: 'delete-service', key },
  ];
  refusing(
    kernel,
    [{ op: 'add-service', service: scheduler }, ENOENT],
    [{ op: 'delete-service', key }, EPERM],
  );
  const results = await ipvs.apply(ops);
  t.same(
    results.map(({ op }) => op),
    ops,
  );
  t.match(results[0]?.error, {
    code: 'ERR_IPVS',
    errnoCode: 'ENOENT',
    message:
      /^cannot add virtual server tcp 192\.0\.2\.1:80: the kernel has no scheduler 'nonesuch' \(ENOENT/,
    cause: { errno: ENOENT },
  });
  t.equal(results[1]?.error, undefined);
  t.match(results[2]?.error, { message: /CAP_NET_ADMIN is missing/ });
});

void t.test('what somebody else did meanwhile is made good', async (t) => {
  const cases: readonly { op: IpvsOp; errno: number; remedy: string | undefined }[] = [
    { op: { op: 'add-service', service }, errno: EEXIST, remedy: 'ipvsadm -E' },
    { op: { op: 'edit-service', service }, errno: ESRCH, remedy: 'ipvsadm -A' },
    { op: { op: 'delete-service', key }, errno: ESRCH, remedy: undefined },
    { op: { op: 'add-destination', key, destination }, errno: EEXIST, remedy: 'ipvsadm -e' },
    { op: { op: 'edit-destination', key, destination }, errno: ENOENT, remedy: 'ipvsadm -a' },
    { op: { op: 'edit-destination', key, destination }, errno: ESRCH, remedy: 'ipvsadm -a' },
    { op: { op: 'delete-destination', key, destination }, errno: ENOENT, remedy: undefined },
    { op: { op: 'delete-destination', key, destination }, errno: ESRCH, remedy: undefined },
  ];
  const every: readonly IpvsOp[] = [
    { op: 'add-service', service },
    { op: 'edit-service', service },
    { op: 'add-destination', key, destination },
    { op: 'edit-destination', key, destination },
  ];
  for (const { op, errno, remedy } of cases) {
    const kernel = new FakeKernel();
    const ipvs = await openIpvs(kernel);
    refusing(kernel, [op, errno]);
    const [result] = await ipvs.apply([op]);
    t.same(result, { op, error: undefined }, `${op.op} errno ${errno}`);
    const second = every.find((one) => hexOf(encodeOp(one)) === kernel.log[1]);
    t.equal(second === undefined ? undefined : describeOp(second).slice(0, 10), remedy);
  }
});

void t.test('a real server whose virtual server is gone is tried once more, then refused', async (t) => {
  const kernel = new FakeKernel();
  const ipvs = await openIpvs(kernel);
  const op: IpvsOp = { op: 'add-destination', key, destination };
  refusing(kernel, [op, ESRCH]);
  const [result] = await ipvs.apply([op]);
  t.match(result?.error, { message: /the kernel has no such virtual server/ });
  t.equal(kernel.log.length, 2);
});

void t.test('dumps services with their own destinations, over one connection', async (t) => {
  const kernel = new FakeKernel();
  const keys = Array.from({ length: 20 }, (_, index) => ({ ...key, port: index + 1 }));
  kernel.dumps = (payload) => {
    if (payload[0] === 4)
      return keys.map((one) => encodeOp({ op: 'add-service', service: { ...service, key: one } }));
    const port = keys.find(
      (one) => hexOf(payload).slice(8) === hexOf(encodeOp({ op: 'delete-service', key: one })).slice(8),
    );
    return port === undefined
      ? []
      : [encodeOp({ op: 'add-destination', key, destination: { ...destination, port: port.port } })];
  };
  const ipvs = await openIpvs(kernel);
  const dumped = await ipvs.dump();
  t.same(
    dumped.map((one) => one.destinations.map(({ port }) => port)),
    keys.map(({ port }) => [port]),
  );
  t.equal(kernel.open, 1);
  ipvs.close();
  t.equal(kernel.open, 0);
});

/** A message of a dump as the kernel writes it, with `first` and the numbers after it as its counters. */
function countingMessage(kind: 'SERVICE' | 'DEST', first: number): Uint8Array {
  const { AF, PROTOCOL, ADDR, PORT, NETMASK } = IPVS_SVC_ATTR;
  const stats = (writer: AttributeWriter, type: number) =>
    writer.nested(type, (nest) => {
      for (const [index, counter] of Object.values(IPVS_STATS_ATTR).entries())
        nest.bytes(counter, new Uint8Array(new BigUint64Array([BigInt(first + index)]).buffer));
    });
  return new AttributeWriter(Uint8Array.of(1, 1, 0, 0))
    .nested(IPVS_CMD_ATTR[kind], (nest) => {
      if (kind === 'SERVICE') {
        nest
          .u16(AF, 2)
          .u16(PROTOCOL, 6)
          .bytes(ADDR, address(192, 0, 2, 1))
          .u16be(PORT, 80)
          .u32(NETMASK, 0);
        stats(nest, IPVS_SVC_ATTR.STATS64);
        return;
      }
      const { FWD_METHOD, WEIGHT, U_THRESH, L_THRESH, ACTIVE_CONNS, INACT_CONNS } = IPVS_DEST_ATTR;
      nest.bytes(IPVS_DEST_ATTR.ADDR, address(10, 0, 0, 1)).u16be(IPVS_DEST_ATTR.PORT, 80);
      nest.u32(FWD_METHOD, 0).u32(WEIGHT, 1).u32(U_THRESH, 0).u32(L_THRESH, 0);
      nest.u32(ACTIVE_CONNS, 11).u32(INACT_CONNS, 22);
      stats(nest, IPVS_DEST_ATTR.STATS64);
    })
    .finish();
}

/** `union nf_inet_addr`. */
function address(...octets: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, index) => octets[index] ?? 0);
}

void t.test('reads the counters of services and of their own destinations', async (t) => {
  const kernel = new FakeKernel();
  const asked: string[] = [];
  kernel.dumps = (payload) => {
    asked.push(hexOf(payload));
    const [command] = payload;
    return [countingMessage(command === IPVS_CMD.GET_SERVICE ? 'SERVICE' : 'DEST', 100 * asked.length)];
  };
  const ipvs = await openIpvs(kernel);
  t.match(await ipvs.read(), [
    {
      key,
      stats: { connections: 100, incomingBytes: 103, outgoingBytesPerSecond: 109 },
      destinations: [
        {
          address: '10.0.0.1',
          port: 80,
          weight: 1,
          activeConnections: 11,
          inactiveConnections: 22,
          persistentConnections: 0,
          stats: { connections: 200, incomingBytes: 203, outgoingBytesPerSecond: 209 },
        },
      ],
    },
  ]);
  t.same(asked, [hexOf(encodeGetServices()), hexOf(encodeGetDestinations(key))]);
  kernel.dumps = () => [new Uint8Array(4)];
  await t.rejects(ipvs.read(), { code: 'ERR_IPVS_ANSWER' });
});

void t.test('finds the family again after the module was loaded anew', async (t) => {
  const kernel = new FakeKernel();
  const ipvs = await openIpvs(kernel);
  kernel.family = 0x30;
  t.same(await ipvs.dump(), []);
  t.same((await ipvs.apply([{ op: 'delete-service', key }]))[0]?.error, undefined);
});

void t.test('an answer that cannot be read is an error with a code', async (t) => {
  const kernel = new FakeKernel();
  kernel.dumps = () => [Uint8Array.of(1, 1, 0, 0)];
  const ipvs = await openIpvs(kernel);
  await t.rejects(ipvs.dump(), { code: 'ERR_IPVS_ANSWER', fault: { code: 'missing' } });
  await t.rejects(ipvs.info(), { code: 'ERR_IPVS_ANSWER' });
});

void t.test('sync daemons: what runs already, or does not run, counts as done', async (t) => {
  const kernel = new FakeKernel();
  const ipvs = await openIpvs(kernel);
  // IPVS_CMD_NEW_DAEMON of a running master on eth1 with syncid 51.
  kernel.dumps = () => [
    Buffer.from('090100002000038008000100010000000900020065746831000000000800030033000000', 'hex'),
  ];
  t.same(await ipvs.syncDaemons(), [{ state: 'master', interface: 'eth1', syncid: 51 }]);
  kernel.answer = () => refused(EEXIST);
  await ipvs.startSyncDaemon({ state: 'master', interface: 'eth1', syncid: 51 });
  await t.rejects(ipvs.startSyncDaemon({ state: 'master', interface: 'eth0', syncid: 51 }), {
    code: 'ERR_IPVS',
    message: /one runs on eth1 with syncid 51/,
  });
  await t.rejects(ipvs.stopSyncDaemon('master', 51, 'eth1'), { code: 'ERR_IPVS' });
  kernel.answer = () => refused(ESRCH);
  await ipvs.stopSyncDaemon('master', 51, 'eth1');
  await t.rejects(ipvs.startSyncDaemon({ state: 'backup', interface: 'eth1', syncid: 51 }), {
    message: /ESRCH/,
  });
});
