import fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  decodeConfig,
  decodeDaemon,
  decodeDestination,
  decodeInfo,
  decodeService,
} from '../../../src/ipvs/decode.js';
import {
  encodeDelDaemon,
  encodeFlush,
  encodeGetConfig,
  encodeGetDaemons,
  encodeGetDestinations,
  encodeGetInfo,
  encodeGetService,
  encodeGetServices,
  encodeNewDaemon,
  encodeOp,
  encodeSetConfig,
  encodeZero,
} from '../../../src/ipvs/encode.js';
import type { Destination, DestinationTunnel, Service, ServiceKey } from '../../../src/ipvs/model.js';
import { AttributeWriter, readAttributes } from '../../../src/netlink/attributes.js';
import { decodeFamilyId, encodeGetFamily } from '../../../src/netlink/genl-controller.js';
import { addressBytes, addressText } from '../../../src/util/ip-address.js';

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(/[^0-9a-f]/g, ''), 'hex'));
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const same = (test: Test, actual: Uint8Array, expected: string): void => {
  test.equal(hex(actual), expected.replaceAll(/[^0-9a-f]/g, ''));
};

const web: ServiceKey = { family: 'ipv4', protocol: 6, address: '192.168.1.253', port: 80 };
const service: Service = {
  key: web,
  scheduler: 'rr',
  flags: 1,
  timeoutSeconds: 300,
  netmask: '255.255.255.0',
  destinations: [],
};
const destination: Destination = {
  address: '10.10.10.2',
  port: 8000,
  forwarding: 'droute',
  weight: 2,
  upperThreshold: 100,
  lowerThreshold: 50,
};

/** IPVS_SVC_ATTR_AF, PROTOCOL, ADDR and PORT of `web`: 44 bytes. */
const WEB_KEY = `
  0600 0100 0200 0000
  0600 0200 0600 0000
  1400 0300 c0a801fd 00000000 00000000 00000000
  0600 0400 0050 0000`;
/** The other attributes of `service`: 36 bytes. */
const WEB_REST = `
  0700 0600 727200 00
  0c00 0700 01000000 ffffffff
  0800 0800 2c010000
  0800 0900 ffffff00`;
const DESTINATION_KEY = `
  0600 0b00 0200 0000
  1400 0100 0a0a0a02 00000000 00000000 00000000
  0600 0200 1f40 0000`;
const DESTINATION_REST = `
  0800 0300 03000000
  0800 0400 02000000
  0800 0500 64000000
  0800 0600 32000000`;

void t.test('ops encode as the uapi header lays them out', async (t) => {
  same(t, encodeOp({ op: 'add-service', service }), `01010000 5400 0180 ${WEB_KEY} ${WEB_REST}`);
  same(t, encodeOp({ op: 'edit-service', service }), `02010000 5400 0180 ${WEB_KEY} ${WEB_REST}`);
  same(t, encodeOp({ op: 'delete-service', key: web }), `03010000 3000 0180 ${WEB_KEY}`);
  const both = `3000 0180 ${WEB_KEY} 4800 0280 ${DESTINATION_KEY} ${DESTINATION_REST}`;
  same(t, encodeOp({ op: 'add-destination', key: web, destination }), `05010000 ${both}`);
  same(t, encodeOp({ op: 'edit-destination', key: web, destination }), `06010000 ${both}`);
  same(
    t,
    encodeOp({ op: 'delete-destination', key: web, destination }),
    `07010000 3000 0180 ${WEB_KEY} 2800 0280 ${DESTINATION_KEY}`,
  );
});

void t.test('a firewall mark and an IPv6 service', async (t) => {
  same(
    t,
    encodeOp({ op: 'delete-service', key: { family: 'ipv4', fwmark: 3 } }),
    '03010000 1400 0180 0600 0100 0200 0000 0800 0500 03000000',
  );
  const key: ServiceKey = { family: 'ipv6', protocol: 17, address: '2001:db8::1', port: 53 };
  const encoded = encodeOp({ op: 'add-service', service: { ...service, key, netmask: '64' } });
  t.match(hex(encoded), /^0101000054000180060001000a000000/);
  t.match(hex(encoded), /20010db8000000000000000000000001/);
  t.match(hex(encoded), /0800090040000000$/, 'the prefix length is in host order');
});

void t.test('requests without a change', async (t) => {
  same(t, encodeGetServices(), '04010000');
  same(t, encodeGetService(web), `04010000 3000 0180 ${WEB_KEY}`);
  same(t, encodeGetDestinations(web), `08010000 3000 0180 ${WEB_KEY}`);
  same(t, encodeGetDaemons(), '0b010000');
  same(t, encodeGetConfig(), '0d010000');
  same(t, encodeGetInfo(), '0f010000');
  same(t, encodeZero(), '10010000');
  same(t, encodeZero(web), `10010000 3000 0180 ${WEB_KEY}`);
  same(t, encodeFlush(), '11010000');
  same(
    t,
    encodeSetConfig({ tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 }),
    '0c010000 0800 0400 84030000 0800 0500 78000000 0800 0600 2c010000',
  );
  same(t, encodeGetFamily('IPVS'), '03010000 0900 0200 49505653 00 000000');
});

void t.test('sync daemons', async (t) => {
  const daemon = { state: 'backup', interface: 'eth1', syncid: 51 } as const;
  const attributes = '2000 0380 0800 0100 02000000 0900 0200 65746831 00 000000 0800 0300 33000000';
  same(t, encodeNewDaemon(daemon), `09010000 ${attributes}`);
  same(t, encodeDelDaemon(daemon), `0a010000 ${attributes}`);
  t.same(decodeDaemon(encodeNewDaemon(daemon)), { ok: true, value: daemon });
});

void t.test('what is no address is a broken invariant', async (t) => {
  const key: ServiceKey = { family: 'ipv4', protocol: 6, address: 'example', port: 80 };
  t.throws(() => encodeOp({ op: 'delete-service', key }), { name: 'TypeError' });
  t.throws(() => encodeOp({ op: 'add-service', service: { ...service, netmask: '24' } }), {
    name: 'TypeError',
  });
});

void t.test('a service of a dump decodes, without the kernel’s own flag', async (t) => {
  const hashed = WEB_REST.replace('01000000 ffffffff', '03000000 ffffffff');
  t.same(decodeService(bytes(`01010000 5400 0100 ${WEB_KEY} ${hashed}`)), {
    ok: true,
    value: service,
  });
});

void t.test('a destination of a dump decodes with its counters', async (t) => {
  const counters = '0800 0700 07000000 0800 0800 08000000 0800 0900 09000000';
  t.same(
    decodeDestination(bytes(`05010000 6000 0280 ${DESTINATION_KEY} ${DESTINATION_REST} ${counters}`), 'ipv4'),
    {
      ok: true,
      value: { ...destination, activeConnections: 7, inactiveConnections: 8, persistentConnections: 9 },
    },
  );
});

void t.test('a destination without a family of its own has the service’s', async (t) => {
  const key = DESTINATION_KEY.replace('0600 0b00 0200 0000', '');
  const result = decodeDestination(bytes(`05010000 4000 0280 ${key} ${DESTINATION_REST}`), 'ipv4');
  t.match(result, { ok: true, value: { address: '10.10.10.2' } });
});

void t.test('info, configuration and family', async (t) => {
  t.same(decodeInfo(bytes('0e010000 0800 0100 01020100 0800 0200 00100000')), {
    ok: true,
    value: { version: '1.2.1', connectionTableSize: 4096 },
  });
  t.same(decodeConfig(bytes('0c010000 0800 0400 84030000')), {
    ok: true,
    value: { tcpSeconds: 900, tcpFinSeconds: 0, udpSeconds: 0 },
  });
  t.same(decodeFamilyId(bytes('01020000 0900 0200 49505653 00 000000 0600 0100 2100 0000')), {
    ok: true,
    value: 0x21,
  });
});

void t.test('faults name the field', async (t) => {
  const fault = (result: unknown, code: string, field: string) =>
    t.same(result, { ok: false, fault: { code, field } });
  fault(decodeService(bytes('')), 'truncated', 'message');
  fault(decodeService(bytes('01010000 0c00 0100 0600 0100')), 'truncated', 'message');
  fault(decodeService(bytes('01010000')), 'missing', 'IPVS_CMD_ATTR_SERVICE');
  fault(decodeService(bytes('01010000 0c00 0100 0600 0100 0300 0000')), 'bad-value', 'IPVS_SVC_ATTR_AF');
  fault(decodeService(bytes('01010000 0900 0100 0500 0100 02')), 'bad-length', 'IPVS_SVC_ATTR_AF');
  fault(decodeService(bytes('01010000 0800 0100 0300 0100')), 'bad-length', 'IPVS_CMD_ATTR_SERVICE');
  fault(decodeService(bytes('01010000 0c00 0100 0900 0100 0200 0000')), 'truncated', 'IPVS_CMD_ATTR_SERVICE');
  const bad = DESTINATION_REST.replace('03000000', '05000000');
  fault(
    decodeDestination(bytes(`05010000 4800 0280 ${DESTINATION_KEY} ${bad}`), 'ipv4'),
    'bad-value',
    'IPVS_DEST_ATTR_FWD_METHOD',
  );
  fault(decodeDaemon(bytes('09010000 0c00 0300 0800 0100 07000000')), 'bad-value', 'IPVS_DAEMON_ATTR_STATE');
  fault(decodeInfo(bytes('0e010000 0600 0100 0102')), 'bad-length', 'IPVS_INFO_ATTR_VERSION');
});

void t.test('property: no bytes make a decoder throw', async (t) => {
  const good = encodeOp({ op: 'add-destination', key: web, destination });
  const mangled = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
    .map((changes) => {
      const copy = Uint8Array.from(good);
      for (const [at, value] of changes) copy[at] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 128 }), mangled), fc.nat(good.length), (input, cut) => {
      const payload = input.subarray(0, cut);
      decodeService(payload);
      decodeDestination(payload, 'ipv4');
      decodeDestination(payload, 'ipv6');
      decodeDaemon(payload);
      decodeInfo(payload);
      decodeConfig(payload);
      decodeFamilyId(payload);
    }),
    { numRuns: 500 },
  );
  t.pass();
});

void t.test('property: services and destinations survive encoding and decoding', async (t) => {
  const key: fc.Arbitrary<ServiceKey> = fc.oneof(
    fc.record({
      family: fc.constant('ipv4' as const),
      protocol: fc.constantFrom(6, 17, 132),
      address: fc.ipV4(),
      port: fc.nat(0xffff),
    }),
    fc.record({
      family: fc.constantFrom('ipv4' as const, 'ipv6' as const),
      fwmark: fc.integer({ min: 1, max: 0xffffffff }),
    }),
  );
  const text = fc.stringMatching(/^[a-z]{1,15}$/);
  fc.assert(
    fc.property(key, text, fc.nat(0x3f), fc.nat(100_000), (key, scheduler, flags, timeoutSeconds) => {
      const one: Service = {
        key,
        scheduler,
        flags: flags & ~2,
        timeoutSeconds,
        netmask: key.family === 'ipv6' ? '64' : '255.255.0.0',
        destinations: [],
      };
      t.same(decodeService(encodeOp({ op: 'add-service', service: one })), { ok: true, value: one });
    }),
    { numRuns: 100 },
  );
  const tunnel: fc.Arbitrary<DestinationTunnel> = fc.oneof(
    fc.record({
      type: fc.constant('gue' as const),
      port: fc.nat(0xffff),
      checksum: fc.constantFrom('none' as const, 'csum' as const, 'remcsum' as const),
    }),
    fc.record({
      type: fc.constant('gre' as const),
      port: fc.constant(0),
      checksum: fc.constantFrom('none' as const, 'csum' as const),
    }),
  );
  const numbers = fc.record({ port: fc.nat(0xffff), weight: fc.nat(0xffff), lowerThreshold: fc.nat() });
  fc.assert(
    fc.property(fc.ipV4(), numbers, fc.option(tunnel, { nil: undefined }), (address, fields, tunnel) => {
      const one: Destination = {
        ...destination,
        ...fields,
        address,
        forwarding: 'tunnel',
        ...(tunnel && { tunnel }),
      };
      const counters = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
      const decoded = decodeDestination(
        encodeOp({ op: 'add-destination', key: web, destination: one }),
        'ipv4',
      );
      t.same(decoded, { ok: true, value: { ...one, ...counters } });
    }),
    { numRuns: 100 },
  );
});

void t.test('addresses', async (t) => {
  for (const text of [
    '::',
    '::1',
    '1::',
    '2001:db8::1',
    '2001:db8:0:1:1:1:1:1',
    '::ffff:192.0.2.1',
    'fe80::1:0:0:1',
  ]) {
    const parsed = addressBytes(text);
    t.equal(parsed === undefined ? undefined : addressText(parsed), text);
  }
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '1.2.3.4::',
    '1:2:3:4:5:6:7::8',
  ]) {
    t.equal(addressBytes(text), undefined, `'${text}' is none`);
  }
});

void t.test('attributes', async (t) => {
  const writer = new AttributeWriter();
  writer.u8(1, 7).bytes(2, new Uint8Array(300));
  const result = readAttributes(writer.finish());
  t.equal(result.ok && result.value.get(2)?.length, 300, 'grows beyond its first size');
  t.throws(() => new AttributeWriter().bytes(1, new Uint8Array(0x10000)), { name: 'RangeError' });
  t.throws(
    () =>
      new AttributeWriter().nested(1, (nest) => nest.bytes(1, new Uint8Array(0xfff0)).u32(2, 1).u32(3, 1)),
    {
      name: 'RangeError',
    },
  );
  t.same(readAttributes(bytes('0400')), { ok: true, value: new Map() }, 'less than a header is padding');
});
