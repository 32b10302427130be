import t from 'tap';
import {
  parseAddressLine,
  parseConnectionTable,
  parseDirectorLine,
  parseProbe,
} from '../../../src/drill/lab/observations.js';

await t.test('fping: answers and its summary', async (t) => {
  const output = [
    '[1795220623.57320] 192.168.1.253 : [0], 64 bytes, 1.35 ms (1.35 avg, 0% loss)',
    '[1795220624.57600] 192.168.1.253 : [1], timed out (NaN avg, 100% loss)',
    '[1795220624.60000] 192.168.1.253 : [7], 64 bytes, 0.016 ms (0.460 avg, 0% loss)',
  ].join('\n');
  const result = parseProbe(output, '192.168.1.253 : xmt/rcv/%loss = 9/2/77%, min/avg/max = 0.01/0.4/1.3');
  t.equal(result.sent, 9);
  t.equal(result.received, 2, 'a time-out is no answer');
  t.match(result.answersMs.map(Math.round), [1795220623573, 1795220624600]);
  t.equal(parseProbe(output, '').sent, 8, 'without a summary the last number tells');
});

await t.test('ping of iputils', async (t) => {
  const output = `PING 192.168.1.253 (192.168.1.253) 56(84) bytes of data.
[1795220590.327574] 64 bytes from 192.168.1.253: icmp_seq=1 ttl=64 time=0.247 ms
From 192.168.1.2 icmp_seq=2 Destination Host Unreachable
[1795220590.335178] 64 bytes from 192.168.1.253: icmp_seq=3 ttl=64 time=0.023 ms

--- 192.168.1.253 ping statistics ---
3 packets transmitted, 2 received, +1 errors, 33% packet loss, time 8ms`;
  t.match(parseProbe(output, ''), { sent: 3, received: 2 });
});

await t.test('ip monitor: additions and deletions in UTC', async (t) => {
  const line = '3: eth0    inet 192.168.1.253/24 scope global secondary eth0\\       valid_lft forever';
  t.same(parseAddressLine('lb1', `[2026-11-21T00:23:17.495812] ${line}`), {
    atMs: Date.UTC(2026, 10, 21, 0, 23, 17) + 495.812,
    director: 'lb1',
    address: '192.168.1.253',
    interface: 'eth0',
    held: true,
  });
  t.match(parseAddressLine('lb1', `[2026-11-21T00:23:17.500161] Deleted ${line}`), { held: false });
  t.match(
    parseAddressLine('lb1', '[2026-11-21T00:23:17.5] 3: eth0    inet6 2001:db8:1::253/64 scope global nodad'),
    { address: '2001:db8:1::253', held: true },
  );
  t.equal(parseAddressLine('lb1', '[2026-11-21T00:23:17.5] 3: eth0: <NO-CARRIER,UP> mtu 1500'), undefined);
  t.equal(parseAddressLine('lb1', `[yesterday] ${line}`), undefined);
});

await t.test('director log: only lines with an event', async (t) => {
  const line = {
    level: 30,
    time: 1795220590327,
    event: 'role',
    instance: 'outside',
    to: 'master',
    msg: 'outside: master',
  };
  t.match(parseDirectorLine(JSON.stringify(line)), {
    atMs: 1795220590327,
    event: 'role',
    fields: { to: 'master' },
  });
  t.match(parseDirectorLine(JSON.stringify({ ...line, time: '2026-11-21T00:00:00.500Z' })), {
    atMs: Date.UTC(2026, 10, 21) + 500,
  });
  t.equal(parseDirectorLine('{"msg":"hello","time":1}'), undefined);
  t.equal(parseDirectorLine('{"event":"role"'), undefined, 'half a line');
  t.equal(parseDirectorLine('{"event":"role","time":"soon"}'), undefined);
  t.equal(parseDirectorLine('Segmentation fault'), undefined);
});

await t.test('the kernel table: ports and real servers', async (t) => {
  const text = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C0A80102 D431 C0A801FD 0050 0A0A0A03 1F40 ESTABLISHED     899
UDP C0A80102 D432 C0A801FD 0050 0A0A0A02 0050 UDP             299
TCP 2001:0db8:0000:0000:0000:0000:0000:0001 D433 2001:0db8:0000:0000:0000:0000:0000:0002 0050 fd00:0000:0000:0000:0000:0000:0000:0003 0050 ESTABLISHED 899
IP  C0A80102 0000 00000007 0000 0A0A0A03 0000 NONE            299
`;
  t.same(parseConnectionTable(text), [
    {
      protocol: 'tcp',
      clientPort: 54321,
      virtualAddress: '192.168.1.253',
      virtualPort: 80,
      realServer: '10.10.10.3',
      state: 'ESTABLISHED',
    },
    {
      protocol: 'udp',
      clientPort: 54322,
      virtualAddress: '192.168.1.253',
      virtualPort: 80,
      realServer: '10.10.10.2',
      state: 'UDP',
    },
    {
      protocol: 'tcp',
      clientPort: 54323,
      virtualAddress: '2001:db8::2',
      virtualPort: 80,
      realServer: 'fd00::3',
      state: 'ESTABLISHED',
    },
  ]);
  t.same(parseConnectionTable(''), [], 'a kernel without IPVS');
});
