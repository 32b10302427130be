/** The table with numbers in columns, as ipvsadm 1.31 prints it. */
import t from 'tap';
import { formatDaemons, formatTable, inOrder } from '../../../src/ipvs/format.js';
import { formatCounted, formatSettings, largeNumber } from '../../../src/ipvs/format-columns.js';
import type { CountedService, DumpedService, TrafficStats } from '../../../src/ipvs/model.js';

const INFO = { version: '1.2.1', connectionTableSize: 4096 };
const KEY = { family: 'ipv4', protocol: 6, address: '192.0.2.1', port: 80 } as const;
const COUNTS = { activeConnections: 12, inactiveConnections: 3, persistentConnections: 4 };

function stats(first: number): TrafficStats {
  return {
    connections: first,
    incomingPackets: first + 1,
    outgoingPackets: first + 2,
    incomingBytes: 123_456_789,
    outgoingBytes: 99_999_999,
    connectionsPerSecond: 100_000_000,
    incomingPacketsPerSecond: 6,
    outgoingPacketsPerSecond: 7,
    incomingBytesPerSecond: 100_000_000,
    outgoingBytesPerSecond: 9,
  };
}

const COUNTED: CountedService[] = [
  {
    key: KEY,
    stats: stats(10),
    destinations: [
      { address: '10.0.0.3', port: 80, weight: 1, ...COUNTS, stats: stats(30) },
      { address: '10.0.0.2', port: 80, weight: 1, ...COUNTS, stats: stats(20) },
    ],
  },
];

void t.test('statistics', async (t) => {
  t.same(formatCounted(inOrder(COUNTED), INFO, 'stats', false).split('\n'), [
    'IP Virtual Server version 1.2.1 (size=4096)',
    'Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes',
    '  -> RemoteAddress:Port',
    'TCP  192.0.2.1:80                       10       11       12  123456K 99999999',
    '  -> 10.0.0.2:80                        20       21       22  123456K 99999999',
    '  -> 10.0.0.3:80                        30       31       32  123456K 99999999',
    '',
  ]);
});

void t.test('rates of a real server: connections and packets are never shortened', async (t) => {
  t.same(formatCounted(inOrder(COUNTED), INFO, 'rate', false).split('\n').slice(1, 5), [
    'Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS',
    '  -> RemoteAddress:Port',
    'TCP  192.0.2.1:80                  100000K        6        7  100000K        9',
    '  -> 10.0.0.2:80                  100000000        6        7  100000K        9',
  ]);
});

void t.test('thresholds and persistent connections', async (t) => {
  const services: DumpedService[] = [
    {
      key: KEY,
      scheduler: 'wrr',
      flags: 1,
      timeoutSeconds: 300,
      netmask: '255.255.255.255',
      destinations: [
        {
          address: '10.0.0.2',
          port: 80,
          forwarding: 'masq',
          weight: 5,
          upperThreshold: 100,
          lowerThreshold: 80,
          ...COUNTS,
        },
      ],
    },
  ];
  t.same(formatSettings(services, INFO, 'thresholds').split('\n').slice(1, 5), [
    'Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn ',
    '  -> RemoteAddress:Port',
    'TCP  192.0.2.1:80 wrr persistent 300',
    '  -> 10.0.0.2:80                  100        80         12         3         ',
  ]);
  t.same(formatSettings(services, INFO, 'persistent-conn').split('\n').slice(1, 5), [
    'Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn ',
    '  -> RemoteAddress:Port',
    'TCP  192.0.2.1:80 wrr persistent 300',
    '  -> 10.0.0.2:80                  5         4           12         3         ',
  ]);
});

const DESTINATION = {
  address: '10.0.0.2',
  port: 80,
  forwarding: 'tunnel',
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
  ...COUNTS,
} as const;

void t.test('tunnels, without the line of the version where one service is asked for', async (t) => {
  const gue = { type: 'gue', port: 6080, checksum: 'none' } as const;
  const destinations = [
    { ...DESTINATION, tunnel: gue },
    { ...DESTINATION, tunnel: { ...gue, checksum: 'remcsum' } as const },
    { ...DESTINATION, tunnel: { type: 'gre', port: 0, checksum: 'csum' } as const },
    DESTINATION,
    { ...DESTINATION, forwarding: 'droute' } as const,
  ];
  const service = { key: KEY, scheduler: 'rr', flags: 0, timeoutSeconds: 0, netmask: '255.255.255.255' };
  t.same(formatTable([{ ...service, destinations }], undefined, true).split('\n'), [
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn',
    'TCP  192.0.2.1:80 rr',
    '  -> 10.0.0.2:80                  Tunnel  gue:6080:-c   1      12         3         ',
    '  -> 10.0.0.2:80                  Tunnel  gue:6080:r+c  1      12         3         ',
    '  -> 10.0.0.2:80                  Tunnel  gre:+c        1      12         3         ',
    '  -> 10.0.0.2:80                  Tunnel  ipip          1      12         3         ',
    '  -> 10.0.0.2:80                  Route   n/a           1      12         3         ',
    '',
  ]);
});

void t.test('sync daemons: the master first, and what a kernel tells of them', async (t) => {
  const more = { maxLength: 1472, group: '224.0.0.81', port: 8848, ttl: 1 };
  t.equal(
    formatDaemons([
      { state: 'backup', interface: 'eth1', syncid: 51 },
      { state: 'master', interface: 'eth1', syncid: 51, ...more },
    ]),
    'master sync daemon (mcast=eth1, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n' +
      'backup sync daemon (mcast=eth1, syncid=51)\n',
  );
  t.equal(formatDaemons([]), '');
});

void t.test('large numbers keep their width, exact ones their figures', async (t) => {
  t.same(
    [99_999_999, 100_000_000, 999_999_999, 1_000_000_000, 100_000_000_000, 100_000_000_000_000].map((value) =>
      largeNumber(value, false),
    ),
    [' 99999999', '  100000K', '  999999K', '    1000M', '     100G', '     100T'],
  );
  t.equal(largeNumber(1_234_567_890, true), ' 1234567890');
  t.equal(largeNumber(7, true), '        7');
});
