/** What passes by the filter before a BFD socket. */
import t from 'tap';
import { type BfdPacket, encodeBfd } from '../../../src/bfd/packet.js';
import { bfdFilter } from '../../../src/io/bfd/filter.js';
import { knownAddressBytes } from '../../../src/util/ip-address.js';
import { run } from './bpf-machine.js';

const OURS = 0x0a0b0c0d;
const PEERS = {
  ipv4: [
    { address: '192.0.2.12', discriminator: OURS },
    { address: '192.0.2.13', discriminator: 7 },
  ],
  ipv6: [{ address: 'fe80::12', discriminator: OURS }],
} as const;

interface Sent extends Partial<BfdPacket> {
  readonly source?: string;
  readonly ttl?: number;
  readonly cut?: number;
}

function passes(family: 'ipv4' | 'ipv6', { source, ttl = 255, cut = 0, ...packet }: Sent = {}): boolean {
  const ipv4 = family === 'ipv4';
  const header = new Uint8Array(ipv4 ? 20 : 40);
  header[0] = ipv4 ? 0x45 : 0x60;
  header[ipv4 ? 8 : 7] = ttl;
  header.set(knownAddressBytes(source ?? PEERS[family][0].address), ipv4 ? 12 : 8);
  const payload = encodeBfd({
    state: 'up',
    diagnostic: 0,
    poll: false,
    final: false,
    demand: false,
    multiplier: 3,
    discriminator: 99,
    yourDiscriminator: OURS,
    desiredMinTxUs: 1,
    requiredMinRxUs: 1,
    ...packet,
  });
  const bytes = Buffer.concat([header, new Uint8Array(8), payload.subarray(0, payload.length - cut)]);
  return run(bfdFilter({ family, peers: PEERS[family] }), { bytes, dataAt: header.length }) > 0;
}

for (const family of ['ipv4', 'ipv6'] as const) {
  void t.test(family, async (t) => {
    t.ok(passes(family), 'of a session of ours');
    t.ok(passes(family, { yourDiscriminator: 0 }), 'of a peer that knows of none yet');
    t.notOk(passes(family, { yourDiscriminator: OURS + 1 }), 'of another session');
    t.notOk(passes(family, { ttl: 254 }), 'over a router');
    t.notOk(passes(family, { cut: 1 }), 'too short');
    t.notOk(passes(family, { source: family === 'ipv4' ? '192.0.2.14' : 'fe80::14' }), 'of a stranger');
  });
}

void t.test('each peer has a session of its own', async (t) => {
  t.notOk(passes('ipv4', { source: '192.0.2.13' }));
  t.ok(passes('ipv4', { source: '192.0.2.13', yourDiscriminator: 7 }));
});
