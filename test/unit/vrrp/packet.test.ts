import t from 'tap';
import {
  type Addressing,
  type Advertisement,
  decodeAdvertisement,
  type Envelope,
  encodeAdvertisement,
} from '../../../src/vrrp/packet.js';

const envelope = { source: '192.168.1.11', destination: '224.0.0.18', ttl: 255 };
const advertisement: Advertisement = {
  version: 3,
  family: 'ipv4',
  virtualRouterId: 51,
  priority: 150,
  advertisementIntervalMs: 1000,
  addresses: ['192.168.1.253'],
};
const rfc9568: Addressing = { ...envelope, checksum: 'rfc9568' };
const rfc5798: Addressing = { ...envelope, checksum: 'rfc5798' };
/** Link-local first, as RFC 9568 section 5.2.9 wants it. */
const ipv6: Advertisement = { ...advertisement, family: 'ipv6', addresses: ['fe80::7:253', 'fd00:7::253'] };
const ipv6Envelope = { source: 'fe80::ff:fe00:a', destination: 'ff02::12', ttl: 255 };
const version2: Advertisement = {
  ...advertisement,
  version: 2,
  addresses: ['192.168.7.253', '192.168.7.252'],
};

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

/** What comes of a message with some bytes set and, unless one of them is in it, the checksum made right again. */
function verdict(
  message: Uint8Array,
  changes: Record<number, number> = {},
  from: Envelope = envelope,
): string {
  const changed = Buffer.from(message);
  for (const [at, value] of Object.entries(changes)) changed[Number(at)] = value;
  if (!('6' in changes) && !('7' in changes) && changed.length >= 8 && !from.source.includes(':')) {
    changed.writeUInt16BE(0, 6);
    let sum = 0;
    for (let at = 0; at + 1 < changed.length; at += 2) sum += changed.readUInt16BE(at);
    changed.writeUInt16BE(~((sum % 0xffff) + (sum > 0 && sum % 0xffff === 0 ? 0xffff : 0)) & 0xffff, 6);
  }
  const result = decodeAdvertisement(changed, from);
  return result.ok ? 'accepted' : result.reason;
}

await t.test('version 3, IPv4: RFC 9568 section 5.2, both checksums summed by hand', async (t) => {
  // 3133 + 9601 + 0064 + c0a8 + 01fd = 18a3d, folded 8a3e, complement 75c1
  t.equal(hex(encodeAdvertisement(advertisement, rfc9568)), '31339601006475c1c0a801fd');
  // the pseudo-header adds c0a8 + 010b + e000 + 0012 + 0070 + 000c = 1a241: 32c7e, folded 2c81, complement d37e
  t.equal(hex(encodeAdvertisement(advertisement, rfc5798)), '313396010064d37ec0a801fd');
});

await t.test('version 2: RFC 3768 section 5.3, summed by hand', async (t) => {
  // 2133 + 9601 + 0001 + c0a8 + 01fd = 179da, folded 79db, complement 8624; authentication data is zero
  t.equal(
    hex(encodeAdvertisement({ ...version2, addresses: ['192.168.1.253'] }, rfc5798)),
    '2133960100018624c0a801fd0000000000000000',
  );
});

// From keepalived 2.2.7 with the addresses and priorities below, captured from the wire.
await t.test('what keepalived sends is what we read, and what we send', async (t) => {
  const ours = { source: '192.168.7.12', destination: '224.0.0.18', ttl: 255 };
  const captured = [
    {
      name: 'version 2',
      message: '2133 9602 0001 b77e c0a8 07fd c0a8 07fc 0000 0000 0000 0000',
      sent: version2,
      from: ours,
    },
    {
      name: 'version 2, farewell',
      message: '2133 0002 0001 4d7f c0a8 07fd c0a8 07fc 0000 0000 0000 0000',
      sent: { ...version2, priority: 0 },
      from: ours,
    },
    {
      name: 'version 3, IPv4',
      message: '3133 9601 0064 c77d c0a8 07fd',
      sent: { ...advertisement, addresses: ['192.168.7.253'] },
      from: ours,
    },
    {
      name: 'version 3, IPv4, farewell',
      message: '3133 0001 0064 5d7e c0a8 07fd',
      sent: { ...advertisement, priority: 0, addresses: ['192.168.7.253'] },
      from: ours,
    },
    {
      name: 'version 3, IPv6',
      message: `3133 9602 0064 3af8
        fe80 0000 0000 0000 0000 0000 0007 0253 fd00 0007 0000 0000 0000 0000 0000 0253`,
      sent: ipv6,
      from: ipv6Envelope,
    },
    {
      name: 'version 3, IPv6, farewell',
      message: `3133 0002 0064 d0f8
        fe80 0000 0000 0000 0000 0000 0007 0253 fd00 0007 0000 0000 0000 0000 0000 0253`,
      sent: { ...ipv6, priority: 0 },
      from: ipv6Envelope,
    },
  ];
  for (const { name, message, sent, from } of captured) {
    t.same(decodeAdvertisement(bytes(message), from), { ok: true, advertisement: sent }, name);
    t.equal(hex(encodeAdvertisement(sent, { ...from, checksum: 'rfc5798' })), hex(bytes(message)), name);
  }
  t.same(
    decodeAdvertisement(bytes('2133 9601 0101 11a6 c0a8 07fd 7365 6372 6574 3132'), ours),
    { ok: false, reason: 'bad-authentication' },
    'version 2 with a password (RFC 2338)',
  );
});

await t.test('either checksum of version 3 over IPv4 is accepted, a wrong one is not', async (t) => {
  for (const addressing of [rfc5798, rfc9568]) {
    const message = encodeAdvertisement(advertisement, addressing);
    t.same(decodeAdvertisement(message, envelope), { ok: true, advertisement });
    message[7] = (message[7] ?? 0) ^ 1;
    t.same(decodeAdvertisement(message, envelope), { ok: false, reason: 'bad-checksum' });
  }
});

await t.test('version 2 and IPv6 have one checksum each', async (t) => {
  t.equal(
    hex(encodeAdvertisement(version2, rfc9568)),
    hex(encodeAdvertisement(version2, rfc5798)),
    'no pseudo-header in version 2',
  );
  t.equal(
    hex(encodeAdvertisement(ipv6, { ...ipv6Envelope, checksum: 'rfc9568' })),
    hex(encodeAdvertisement(ipv6, { ...ipv6Envelope, checksum: 'rfc5798' })),
    'always the pseudo-header under IPv6',
  );
  const withPseudoHeader = encodeAdvertisement(version2, rfc5798);
  // c0a8 + 010b + e000 + 0012 + 0070 + 0018, the pseudo-header's words, in one's complement arithmetic
  const sum = 0xc0a8 + 0x010b + 0xe000 + 0x0012 + 0x0070 + 0x0018;
  const value = ((withPseudoHeader[6] ?? 0) << 8) + (withPseudoHeader[7] ?? 0) + 2 * 0xffff - sum;
  withPseudoHeader.set([(value % 0xffff) >>> 8, (value % 0xffff) & 0xff], 6);
  t.equal(verdict(withPseudoHeader, { 6: withPseudoHeader[6] ?? 0 }), 'bad-checksum');
  const message = encodeAdvertisement(ipv6, { ...ipv6Envelope, checksum: 'rfc5798' });
  t.equal(verdict(message, {}, ipv6Envelope), 'accepted');
  t.equal(verdict(message, {}, { ...ipv6Envelope, source: 'fe80::ff:fe00:b' }), 'bad-checksum');
  t.equal(verdict(message, {}, { ...ipv6Envelope, destination: 'ff02::13' }), 'bad-checksum');
});

await t.test('TTL: 255 unless the channel allows less, and not checked where nobody tells it', async (t) => {
  const message = encodeAdvertisement(advertisement, rfc9568);
  t.equal(verdict(message, {}, { ...envelope, ttl: 254 }), 'bad-ttl');
  t.equal(verdict(message, {}, { ...envelope, ttl: 0 }), 'bad-ttl');
  t.equal(verdict(message, {}, { ...envelope, ttl: 253, minTtl: 253 }), 'accepted');
  t.equal(verdict(message, {}, { ...envelope, ttl: 252, minTtl: 253 }), 'bad-ttl');
  t.equal(verdict(message, {}, { ...envelope, ttl: undefined }), 'accepted');
  t.equal(verdict(new Uint8Array(), {}, { ...envelope, ttl: 1 }), 'bad-ttl', 'before all else');
});

await t.test('discards of version 3, by RFC 9568 section 7.1', async (t) => {
  const good = encodeAdvertisement(advertisement, rfc9568);
  t.equal(verdict(good), 'accepted');
  for (const version of [0, 1, 4, 15]) t.equal(verdict(good, { 0: (version << 4) | 1 }), 'bad-version');
  t.equal(verdict(good, { 0: 0x32 }), 'bad-type');
  t.equal(verdict(good, { 0: 0x30 }), 'bad-type');
  for (let length = 0; length < good.length; length++) {
    t.equal(verdict(good.subarray(0, length)), 'bad-length', `${length} bytes`);
  }
  t.equal(verdict(good, { 3: 2 }), 'bad-length');
  t.equal(verdict(good, { 3: 0 }), 'bad-length', 'RFC 9568 section 5.2.5: one address at least');
  t.equal(verdict(good, { 6: 0, 7: 0 }), 'bad-checksum');
  t.equal(verdict(good, { 1: 0 }), 'bad-vrid');
  t.equal(verdict(good, { 4: 0, 5: 0 }), 'bad-interval');
  t.equal(verdict(good, { 4: 0xf0, 5: 0 }), 'bad-interval', 'reserved bits are no interval');
  t.equal(verdict(good, { 4: 0xf0 }), 'accepted', 'RFC 9568 section 5.2.6: reserved bits are ignored');
  t.equal(verdict(good, { 1: 0, 6: 0 }), 'bad-checksum', 'the checksum comes first');
  t.equal(verdict(good, { 1: 0, 4: 0, 5: 0 }), 'bad-vrid', 'then the VRID');
});

await t.test('discards of version 2, by RFC 3768 section 7.1', async (t) => {
  const good = encodeAdvertisement(version2, rfc9568);
  t.equal(good.length, 16 + 4 * 2);
  t.equal(verdict(good), 'accepted');
  t.equal(verdict(good, { 0: 0x22 }), 'bad-type');
  for (let length = 0; length < good.length; length++) {
    t.equal(verdict(good.subarray(0, length)), 'bad-length', `${length} bytes`);
  }
  t.equal(verdict(good, { 3: 3 }), 'bad-length');
  t.equal(verdict(good, { 6: 0, 7: 0 }), 'bad-checksum');
  t.equal(verdict(good, { 1: 0 }), 'bad-vrid');
  for (const type of [1, 2, 255]) t.equal(verdict(good, { 4: type }), 'bad-authentication');
  t.equal(verdict(good, { 5: 0 }), 'bad-interval');
  t.equal(verdict(good, { 4: 1, 5: 0 }), 'bad-authentication', 'before the interval');
  t.equal(verdict(good, { 23: 7 }), 'accepted', 'RFC 3768 section 5.3.10: the data is ignored');
  t.equal(
    verdict(encodeAdvertisement({ ...version2, addresses: [] }, rfc9568)),
    'accepted',
    'no least count',
  );
  t.equal(verdict(good, {}, ipv6Envelope), 'bad-version', 'not over IPv6');
});

await t.test('bytes behind the message are none of it', async (t) => {
  for (const [sent, from] of [
    [advertisement, envelope],
    [version2, envelope],
    [ipv6, ipv6Envelope],
  ] as const) {
    for (const checksum of ['rfc5798', 'rfc9568'] as const) {
      const message = encodeAdvertisement(sent, { ...from, checksum });
      const longer = Buffer.concat([message, Buffer.from([1, 2, 3])]);
      t.same(decodeAdvertisement(longer, from), { ok: true, advertisement: sent });
    }
  }
});

await t.test('what does not fit is refused', async (t) => {
  const refused = (changes: Partial<Advertisement>) =>
    t.throws(() => encodeAdvertisement({ ...advertisement, ...changes }, rfc9568), RangeError);
  refused({ virtualRouterId: 0 });
  refused({ virtualRouterId: 256 });
  refused({ priority: 256 });
  refused({ priority: -1 });
  refused({ advertisementIntervalMs: 0 });
  refused({ advertisementIntervalMs: 40_960 });
  refused({ addresses: [] });
  refused({ addresses: Array.from({ length: 256 }, () => '192.0.2.1') });
  refused({ addresses: ['fe80::1'] });
  refused({ addresses: ['192.0.2.256'] });
  refused({ family: 'ipv6' });
  refused({ version: 2, family: 'ipv6', addresses: ['fe80::1'] });
  refused({ version: 2, advertisementIntervalMs: 1500 });
  refused({ version: 2, advertisementIntervalMs: 256_000 });
});
