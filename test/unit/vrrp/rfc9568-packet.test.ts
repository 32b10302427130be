/** Requirements of RFC 9568 on messages; docs/RFC9568.md has the table. */
import t from 'tap';
import { advertisementPackets } from '../../../src/runtime/advertisement-packets.js';
import { Channels } from '../../../src/runtime/election/channels.js';
import { Discards } from '../../../src/runtime/election/reception/discards.js';
import { StrangerBudget } from '../../../src/runtime/election/reception/stranger-budget.js';
import type { LinkMonitor, Log, ReceivedVrrp, VrrpTransport } from '../../../src/runtime/ports.js';
import { type Advertisement, decodeAdvertisement, encodeAdvertisement } from '../../../src/vrrp/packet.js';
import { HandClock } from '../hand-clock.js';
import { vrrpInstance } from './instances.js';

const CLOCK = { nowMs: () => 0, at: () => () => {} };
const V4: Advertisement = {
  version: 3,
  family: 'ipv4',
  virtualRouterId: 51,
  priority: 150,
  advertisementIntervalMs: 1000,
  addresses: ['192.168.1.253'],
};
const V6: Advertisement = { ...V4, family: 'ipv6', addresses: ['fe80::1', '2001:db8::1'] };
const FROM4 = { source: '192.168.1.11', destination: '224.0.0.18', ttl: 255 };
const FROM6 = { source: 'fe80::11', destination: 'ff02::12', ttl: 255 };

const encode = (advertisement: Advertisement) =>
  encodeAdvertisement(advertisement, {
    checksum: 'rfc9568',
    ...(advertisement.family === 'ipv6' ? FROM6 : FROM4),
  });

/** The verdict on a message, after `patch` bytes were put in and the checksum was made right again. */
function verdict(
  advertisement: Advertisement,
  patch: Readonly<Record<number, number>> = {},
  envelope: { source: string; destination: string; ttl: number } = advertisement.family === 'ipv6'
    ? FROM6
    : FROM4,
): string {
  const message = encode(advertisement);
  // The one's complement sum stays right when the checksum takes the difference (RFC 1624).
  let checksum = ((message[6] ?? 0) << 8) | (message[7] ?? 0);
  for (const [at, value] of Object.entries(patch)) {
    const index = Number(at);
    const shift = index % 2 === 0 ? 8 : 0;
    checksum -= (value - (message[index] ?? 0)) << shift;
    message[index] = value;
  }
  while (checksum < 0) checksum += 0xffff;
  while (checksum > 0xffff) checksum -= 0xffff;
  message[6] = checksum >>> 8;
  message[7] = checksum & 0xff;
  return told(message, envelope);
}

function told(message: Uint8Array, envelope: { source: string; destination: string; ttl: number }): string {
  const result = decodeAdvertisement(message, envelope);
  return result.ok ? 'taken' : result.reason;
}

await t.test('RFC9568-5.1.1.3-2 positive: TTL 255 is taken', async (t) => {
  t.equal(verdict(V4), 'taken');
});
await t.test('RFC9568-5.1.1.3-2 negative: any other TTL is discarded', async (t) => {
  for (const ttl of [0, 1, 64, 254]) t.equal(verdict(V4, {}, { ...FROM4, ttl }), 'bad-ttl');
});
await t.test('RFC9568-5.1.2.3-2 positive: hop limit 255 is taken', async (t) => {
  t.equal(verdict(V6), 'taken');
});
await t.test('RFC9568-5.1.2.3-2 negative: any other hop limit is discarded', async (t) => {
  for (const ttl of [0, 1, 64, 254]) t.equal(verdict(V6, {}, { ...FROM6, ttl }), 'bad-ttl');
});
for (const id of ['RFC9568-5.2.2-1', 'RFC9568-7.1-2']) {
  await t.test(`${id} positive: type 1 is taken`, async (t) => {
    t.equal(verdict(V4, { 0: 0x31 }), 'taken');
  });
  await t.test(`${id} negative: every other type is discarded`, async (t) => {
    for (let type = 0; type < 16; type++) {
      if (type !== 1) t.equal(verdict(V4, { 0: 0x30 | type }), 'bad-type');
    }
  });
}
await t.test('RFC9568-5.2.5-1 positive: one address is enough', async (t) => {
  t.equal(verdict(V4), 'taken');
});
await t.test('RFC9568-5.2.5-1 negative: no address, no advertisement', async (t) => {
  t.equal(verdict(V4, { 3: 0 }), 'bad-length');
  t.throws(() => encode({ ...V4, addresses: [] }), RangeError);
});
await t.test('RFC9568-5.2.6-1 positive: the reserved bits are sent as zero', async (t) => {
  t.equal((encode({ ...V4, advertisementIntervalMs: 40_950 })[4] ?? 0) >>> 4, 0);
});
await t.test('RFC9568-5.2.6-1 negative: reserved bits that are set change nothing', async (t) => {
  t.equal(verdict(V4, { 4: 0xf0 }), 'taken');
});
await t.test('RFC9568-5.2.9-2 positive: addresses of the packet’s family', async (t) => {
  t.equal(verdict(V4), 'taken');
  t.equal(verdict(V6), 'taken');
});
await t.test('RFC9568-5.2.9-2 negative: an address of the other family is not sent', async (t) => {
  t.throws(() => encode({ ...V4, addresses: ['fe80::1'] }), RangeError);
  t.throws(() => encode({ ...V6, addresses: ['192.168.1.253'] }), RangeError);
});
await t.test('RFC9568-7.1-1 positive: version 3 is taken', async (t) => {
  t.equal(verdict(V4, { 0: 0x31 }), 'taken');
});
await t.test('RFC9568-7.1-1 negative: versions that nobody speaks are discarded', async (t) => {
  for (const version of [0, 1, 4, 15]) t.equal(verdict(V4, { 0: (version << 4) | 1 }), 'bad-version');
  t.equal(verdict(V6, { 0: 0x21 }), 'bad-version');
});
await t.test('RFC9568-7.1-3 positive: a complete message is taken', async (t) => {
  t.equal(told(encode(V6), FROM6), 'taken');
});
await t.test('RFC9568-7.1-3 negative: a message that ends early is discarded', async (t) => {
  for (const advertisement of [V4, V6]) {
    const message = encode(advertisement);
    const envelope = advertisement === V6 ? FROM6 : FROM4;
    for (let length = 0; length < message.length; length++) {
      t.not(told(message.subarray(0, length), envelope), 'taken');
    }
  }
  t.equal(verdict(V4, { 3: 2 }), 'bad-length', 'fewer addresses than it says');
});
await t.test(
  'RFC9568-7.1-4 positive: a right checksum is taken, of IPv6 with its pseudo-header',
  async (t) => {
    t.equal(told(encode(V4), FROM4), 'taken');
    t.equal(told(encode(V6), FROM6), 'taken');
  },
);
await t.test('RFC9568-7.1-4 negative: every single wrong bit is found', async (t) => {
  for (const [message, envelope] of [
    [encode(V4), FROM4],
    [encode(V6), FROM6],
  ] as const) {
    for (let bit = 0; bit < message.length * 8; bit++) {
      const wrong = message.slice();
      wrong[bit >>> 3] = (wrong[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      t.not(told(wrong, envelope), 'taken', `bit ${bit}`);
    }
  }
  t.equal(told(encode(V6), { ...FROM6, source: 'fe80::12' }), 'bad-checksum', 'from another source');
});
await t.test('RFC9568-7.1-6 positive: an interval of one centisecond is taken', async (t) => {
  t.equal(verdict(V4, { 4: 0, 5: 1 }), 'taken');
});
await t.test('RFC9568-7.1-6 negative: an interval of zero is discarded', async (t) => {
  t.equal(verdict(V4, { 4: 0, 5: 0 }), 'bad-interval');
});
await t.test('RFC9568-7.2-1 positive: every field is that of the virtual router', async (t) => {
  const config = vrrpInstance({ virtualRouterId: 7, checksum: 'rfc9568', advertisementIntervalMs: 100 });
  const [packet] = advertisementPackets(config, 42, {
    source: '192.168.1.11',
    destinations: ['224.0.0.18'],
  });
  const decoded = decodeAdvertisement(packet?.payload ?? new Uint8Array(), FROM4);
  t.has(decoded, {
    ok: true,
    advertisement: {
      version: 3,
      virtualRouterId: 7,
      priority: 42,
      advertisementIntervalMs: 100,
      addresses: config.advertised,
    },
  });
});
await t.test('RFC9568-7.2-1 negative: what does not fit a field is refused, not truncated', async (t) => {
  for (const wrong of [
    { virtualRouterId: 256 },
    { virtualRouterId: 0 },
    { priority: 256 },
    { advertisementIntervalMs: 40_960 },
    { advertisementIntervalMs: 0 },
    { addresses: Array.from({ length: 256 }, () => '192.0.2.1') },
  ]) {
    t.throws(() => encode({ ...V4, ...wrong }), RangeError);
  }
});

class Lines implements Log {
  readonly lines: string[] = [];
  debug(): void {}
  info(): void {}
  warn(_fields: object, message: string): void {
    this.lines.push(message);
  }
  error(_fields: object, message: string): void {
    this.lines.push(message);
  }
}

/** The instance that a message for `virtualRouterId` on the channel of VRID 51 is given to. */
function receiver(virtualRouterId: number): string | undefined {
  const links: LinkMonitor = {
    isUp: () => true,
    index: () => 1,
    holds: () => true,
    catchUp: async () => {},
    close: () => {},
  };
  let deliver: (message: ReceivedVrrp) => void = () => {};
  let found: string | undefined;
  const transport: VrrpTransport = {
    source: '192.168.1.11',
    destinations: ['224.0.0.18'],
    send: () => {},
    drain: () => undefined,
    close: () => {},
  };
  const channels = new Channels({
    clock: new HandClock(),
    openTransport: (_channel, onMessage) => {
      deliver = onMessage;
      return transport;
    },
    links,
    log: new Lines(),
    onMessage: (channel) => {
      found = channel.members.get(virtualRouterId)?.name;
    },
    onSource: () => {},
    onAwaited: () => {},
  });
  channels.join(vrrpInstance({ name: 'outside', virtualRouterId: 51 }));
  deliver({
    payload: encode({ ...V4, virtualRouterId }),
    source: '192.168.1.12',
    destination: '224.0.0.18',
    ttl: 255,
    minTtl: 255,
    rejected: undefined,
    receivedAtMs: 0,
  });
  return found;
}

await t.test('RFC9568-7.1-5 positive: a VRID of this interface finds its instance', async (t) => {
  t.equal(receiver(51), 'outside');
});
await t.test('RFC9568-7.1-5 negative: any other VRID finds none', async (t) => {
  t.equal(receiver(52), undefined);
  t.equal(verdict(V4, { 1: 0 }), 'bad-vrid');
});

await t.test('RFC9568-7.1-9 positive: a discarded packet is told and counted', async (t) => {
  const log = new Lines();
  const discards = new Discards(CLOCK, log, new StrangerBudget(CLOCK, log));
  discards.discard('eth0', 'bad-checksum', '192.168.1.66', 255);
  t.match(log.lines, [/192\.168\.1\.66.*checksum/]);
  t.same(discards.counters('eth0'), { discarded_bad_checksum: 1 });
});
await t.test('RFC9568-7.1-9 negative: the same again is counted, not told', async (t) => {
  const log = new Lines();
  const discards = new Discards(CLOCK, log, new StrangerBudget(CLOCK, log));
  for (let i = 0; i < 1000; i++) discards.discard('eth0', 'bad-checksum', '192.168.1.66', 255);
  t.equal(log.lines.length, 1);
  t.same(discards.counters('eth0'), { discarded_bad_checksum: 1000 });
});
