/** What a peer is told of the lines of /proc/net/ip_vs_conn. Flags are those of include/uapi/linux/ip_vs.h. */
import t from 'tap';
import { parseConnection } from '../../../src/ipvs/connections.js';
import type { Destination, ForwardingMethod, Service, ServiceKey } from '../../../src/ipvs/model.js';
import { DigestBuilder } from '../../../src/sync/digest.js';
import { TableEntries } from '../../../src/sync/table-entries.js';

const server = (address: string, port: number, forwarding: ForwardingMethod): Destination => ({
  address,
  port,
  forwarding,
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
});
const service = (key: ServiceKey, destinations: readonly Destination[], timeoutSeconds = 0): Service => ({
  key,
  scheduler: 'rr',
  flags: timeoutSeconds === 0 ? 0 : 1,
  timeoutSeconds,
  netmask: '255.255.255.255',
  destinations,
});
const tcp = (address: string, port: number): ServiceKey => ({
  family: address.includes(':') ? 'ipv6' : 'ipv4',
  protocol: 6,
  address,
  port,
});

const TABLE = new TableEntries([
  service(
    tcp('192.168.1.253', 80),
    [server('10.10.10.2', 8000, 'masq'), server('10.10.10.3', 80, 'droute')],
    5400,
  ),
  service(tcp('192.168.1.253', 21), [server('10.10.10.2', 21, 'masq')], 600),
  service({ family: 'ipv4', protocol: 17, address: '192.168.1.253', port: 53 }, [
    server('10.10.10.2', 53, 'tunnel'),
  ]),
  service({ family: 'ipv4', fwmark: 7 }, [server('10.10.10.9', 0, 'droute')], 300),
  service({ family: 'ipv6', fwmark: 8 }, [server('fd00::9', 0, 'tunnel')], 300),
  service(tcp('192.168.1.254', 0), [server('10.10.10.4', 0, 'droute')], 120),
  service({ family: 'ipv4', protocol: 132, address: '192.168.1.253', port: 9 }, [
    server('10.10.10.2', 9, 'masq'),
  ]),
]);

const MASQ = 0;
const TUNNEL = 0x82;
const DROUTE = 0x83;
const INACTIVE = 0x100;
const NO_CPORT = 0x800;
const TEMPLATE = 0x1000;

function entry(line: string) {
  const connection = parseConnection(line);
  if (connection === undefined) throw new Error(`not taken: ${line}`);
  const told = TABLE.entryOf(connection);
  if (typeof told === 'string') return told;
  const { flags, state, fwmark, timeoutSeconds, protocol } = told.connection;
  if (!told.isServed) return 'not served';
  return { flags, state, fwmark, timeoutSeconds, protocol };
}

const CASES: readonly (readonly [what: string, line: string, told: ReturnType<typeof entry>])[] = [
  [
    'established, to another port',
    'TCP C0A80102 D431 C0A801FD 0050 0A0A0A02 1F40 ESTABLISHED 871',
    { flags: MASQ, state: 1, fwmark: 0, timeoutSeconds: 871, protocol: 6 },
  ],
  [
    'half open, which counts as active',
    'TCP C0A80102 D431 C0A801FD 0050 0A0A0A03 0050 SYN_RECV 60',
    { flags: DROUTE, state: 3, fwmark: 0, timeoutSeconds: 60, protocol: 6 },
  ],
  [
    'closing, with nothing left of its time: 0 would be the time of its state',
    'TCP C0A80102 D431 C0A801FD 0050 0A0A0A03 0050 FIN_WAIT 0',
    { flags: DROUTE | INACTIVE, state: 4, fwmark: 0, timeoutSeconds: 1, protocol: 6 },
  ],
  [
    'udp',
    'UDP C0A80102 D431 C0A801FD 0035 0A0A0A02 0035 UDP 299',
    { flags: TUNNEL | INACTIVE, state: 0, fwmark: 0, timeoutSeconds: 299, protocol: 17 },
  ],
  [
    'sctp',
    'SCTP C0A80102 D431 C0A801FD 0009 0A0A0A02 0009 ESTABLISHED 899',
    { flags: MASQ, state: 8, fwmark: 0, timeoutSeconds: 899, protocol: 132 },
  ],
  [
    'a template: with the persistence timeout',
    'TCP C0A80102 0000 C0A801FD 0050 0A0A0A02 1F40 ASSURED 12',
    { flags: TEMPLATE | INACTIVE, state: 1, fwmark: 0, timeoutSeconds: 5400, protocol: 6 },
  ],
  [
    'of FTP, which has no ports',
    'TCP C0A80102 0000 C0A801FD 0000 0A0A0A02 0000 NONE 12',
    { flags: TEMPLATE | INACTIVE, state: 0, fwmark: 0, timeoutSeconds: 600, protocol: 6 },
  ],
  [
    'of all ports',
    'TCP C0A80102 0000 C0A801FE 0000 0A0A0A04 0000 NONE 12',
    { flags: TEMPLATE | INACTIVE | DROUTE, state: 0, fwmark: 0, timeoutSeconds: 120, protocol: 6 },
  ],
  [
    'of a firewall mark',
    'IP C0A80102 0000 00000007 0000 0A0A0A09 0000 NONE 12',
    { flags: TEMPLATE | INACTIVE | DROUTE, state: 0, fwmark: 7, timeoutSeconds: 300, protocol: 0 },
  ],
  [
    'of a firewall mark of IPv6: the first four bytes are the mark',
    'IP 2001:db8::1 0000 0000:0008:0000:0000:0000:0000:0000:0000 0000 fd00::9 0000 NONE 12',
    { flags: TEMPLATE | INACTIVE | TUNNEL, state: 0, fwmark: 8, timeoutSeconds: 300, protocol: 0 },
  ],
  [
    'a connection of all ports',
    'TCP C0A80102 D431 C0A801FE 01BB 0A0A0A04 01BB ESTABLISHED 9',
    { flags: DROUTE, state: 1, fwmark: 0, timeoutSeconds: 9, protocol: 6 },
  ],
  [
    'of a firewall mark: the real server tells which',
    'TCP C0A80102 D431 C6336401 0050 0A0A0A09 0050 ESTABLISHED 9',
    { flags: DROUTE, state: 1, fwmark: 7, timeoutSeconds: 9, protocol: 6 },
  ],
  [
    'data of FTP: ports are of nobody, the address tells',
    'TCP C0A80102 D431 C0A801FD 9C40 0A0A0A02 9C40 ESTABLISHED 9',
    { flags: MASQ, state: 1, fwmark: 0, timeoutSeconds: 9, protocol: 6 },
  ],
  [
    'data of FTP that nobody has opened: the port of the client is unknown',
    'TCP C0A80102 0000 C0A801FD 9C40 0A0A0A02 9C40 LISTEN 9',
    { flags: MASQ | INACTIVE | NO_CPORT, state: 9, fwmark: 0, timeoutSeconds: 9, protocol: 6 },
  ],
  [
    'to a server that is gone',
    'TCP C0A80102 D431 C0A801FD 0050 0A0A0A07 0050 ESTABLISHED 9',
    'no real server',
  ],
  [
    'whose timer is overdue: the kernel has no sign for it',
    'TCP C0A80102 D431 C0A801FD 0050 0A0A0A03 0050 ESTABLISHED 73786976294838206',
    { flags: DROUTE, state: 1, fwmark: 0, timeoutSeconds: 1, protocol: 6 },
  ],
  [
    'a template that the kernel has given up',
    'TCP C0A80102 0000 C0A801FD FFFF 0A0A0A02 FFFF NONE 12',
    'no real server',
  ],
  ['through a tunnel of IPv6', 'TCP C0A80102 D431 C0A801FD 0050 fd00::2 0050 ESTABLISHED 9', 'two families'],
  ['a state of the future', 'TCP C0A80102 D431 C0A801FD 0050 0A0A0A03 0050 HALF_SHUT 9', 'unknown kind'],
  ['a protocol of the future', 'QUIC C0A80102 D431 C0A801FD 0050 0A0A0A03 0050 NONE 9', 'unknown kind'],
];

void t.test('a line and what is told', async (t) => {
  for (const [what, line, told] of CASES) t.strictSame(entry(line), told, what);
});

void t.test('a virtual server that is not here, as those of an instance on its backup', async (t) => {
  const empty = new TableEntries([]);
  const digest = (table: TableEntries) => {
    const builder = new DigestBuilder();
    for (const [, line] of CASES) {
      const connection = parseConnection(line);
      const told = connection && table.entryOf(connection);
      if (told === undefined || typeof told === 'string') continue;
      if (table === empty) t.notOk(told.isServed, line);
      builder.add(told.connection);
    }
    return builder.digest();
  };
  const gone = CASES.filter(([, , told]) => told === 'no real server').map(([, line]) => line);
  t.equal(gone.length, 2);
  const sum = (counts: Uint32Array) => counts.reduce((total, count) => total + count, 0);
  const [there, here] = [digest(TABLE), digest(empty)];
  t.equal(sum(here.counts), sum(there.counts) + 1, 'the one to a server that is gone there is one more here');
  const same = there.sums.filter((bucket, index) => bucket === here.sums[index]).length;
  t.ok(same >= 255, 'and all others are the same');
});

void t.test('what a persistence engine knows', async (t) => {
  const table = new TableEntries([
    service(
      { family: 'ipv4', protocol: 17, address: '192.168.1.253', port: 5060 },
      [server('10.10.10.3', 5060, 'masq')],
      60,
    ),
  ]);
  const line = 'UDP C0A80102 0000 C0A801FD 13C4 0A0A0A03 13C4 NONE 59 sip 7f3a@192.168.1.2';
  const connection = parseConnection(line);
  const told = connection && table.entryOf(connection);
  if (told === undefined || typeof told === 'string') throw new Error(`not told: ${told}`);
  t.equal(Buffer.from(told.connection.persistenceData ?? []).toString(), '7f3a@192.168.1.2');
  t.equal(Buffer.from(told.connection.persistenceEngine ?? []).toString(), 'sip');
});
