/** Lines of /proc/net/ip_vs_conn, as a 6.1 kernel writes them, and what ipvsadm 1.31 makes of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readConnections } from '../../../src/io/netlink/connection-table.js';
import {
  type Connection,
  connectionLine,
  connectionsHead,
  isMeant,
  parseConnection,
} from '../../../src/ipvs/connections.js';

const HEAD = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData';
const TCP = 'TCP C0A80102 D431 C0A801FD 0050 0A0A0A02 1F40 ESTABLISHED     871';
const TEMPLATE = 'IP  C0A80102 0000 00000007 0000 0A0A0A02 0000 NONE           5400';
const SIP = 'UDP C0A80102 13C4 C0A801FD 13C4 0A0A0A03 13C4 UDP             299 sip 7f3a@192.168.1.2';
const TCP6 =
  'TCP 2001:0db8:0001:0000:0000:0000:0000:0002 D431 2001:0db8:0001:0000:0000:0000:0000:0253 0050 ' +
  'fd00:0000:0000:0000:0000:0000:0000:0002 0050 FIN_WAIT          9';
/** A tunnel's real server may be of the other family. */
const MIXED =
  'TCP C0A80102 D431 C0A801FD 0050 fd00:0000:0000:0000:0000:0000:0000:0002 0050 SYN_RECV         60';

function parsed(line: string): Connection {
  const connection = parseConnection(line);
  if (connection === undefined) throw new Error(`not taken: ${line}`);
  return connection;
}

void t.test('a line', async (t) => {
  t.same(parsed(TCP), {
    protocol: 'TCP',
    client: { address: '192.168.1.2', port: 54_321 },
    virtual: { address: '192.168.1.253', port: 80 },
    destination: { address: '10.10.10.2', port: 8000 },
    state: 'ESTABLISHED',
    expiresSeconds: 871,
  });
  t.match(parsed(SIP), { persistenceEngine: 'sip', persistenceData: '7f3a@192.168.1.2' });
  t.match(parsed(TCP6), {
    client: { address: '2001:db8:1::2' },
    destination: { address: 'fd00::2', port: 80 },
  });
  t.match(parsed(MIXED), { client: { address: '192.168.1.2' }, destination: { address: 'fd00::2' } });
  const broken = [TCP.replace('C0A80102', 'C0A8010'), TCP.replace('871', ''), TCP.replace('0050', '50')];
  for (const line of [HEAD, '', ...broken]) t.equal(parseConnection(line), undefined, line);
});

void t.test('the look of ipvsadm -Lnc', async (t) => {
  t.equal(
    connectionsHead(false) +
      [TCP, TEMPLATE, SIP, TCP6].map((line) => connectionLine(parsed(line), false)).join(''),
    [
      'IPVS connection entries',
      'pro expire state       source             virtual            destination',
      'TCP 14:31  ESTABLISHED 192.168.1.2:54321  192.168.1.253:80   10.10.10.2:8000',
      'IP  90:00  NONE        192.168.1.2:0      0.0.0.7:0          10.10.10.2:0',
      'UDP 04:59  UDP         192.168.1.2:5060   192.168.1.253:5060 10.10.10.3:5060',
      'TCP 00:09  FIN_WAIT    [2001:db8:1::2]:54321 [2001:db8:1::253]:80 [fd00::2]:80',
      '',
    ].join('\n'),
  );
});

void t.test('with --persistent-conn', async (t) => {
  t.equal(
    connectionsHead(true) + [TCP, SIP].map((line) => connectionLine(parsed(line), true)).join(''),
    [
      'IPVS connection entries',
      'pro expire state       source             virtual            destination        pe name          pe_data',
      'TCP 14:31  ESTABLISHED 192.168.1.2:54321  192.168.1.253:80   10.10.10.2:8000',
      'UDP 04:59  UDP         192.168.1.2:5060   192.168.1.253:5060 10.10.10.3:5060  sip                7f3a@192.168.1.2',
      '',
    ].join('\n'),
  );
});

void t.test('who is meant', async (t) => {
  const web = { address: '192.168.1.253', port: 80 };
  t.equal(isMeant(web, undefined), true);
  t.equal(isMeant(web, { address: '192.168.1.253', port: null }), true);
  t.equal(isMeant(web, web), true);
  t.equal(isMeant(web, { ...web, port: 443 }), false);
  t.equal(isMeant(web, { address: '192.168.1.25', port: null }), false);
});

void t.test('a large table is read in parts, whose ends cut lines', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'connections-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'ip_vs_conn');
  const lines = Array.from({ length: 5000 }, (_, i) =>
    TCP.replace('D431', (i + 1).toString(16).toUpperCase().padStart(4, '0')),
  );
  writeFileSync(path, [HEAD, ...lines, ''].join('\n'));
  const ports: number[] = [];
  let parts = 0;
  for await (const some of readConnections(path)) {
    parts += 1;
    ports.push(...some.map(({ client }) => client.port));
  }
  t.ok(parts > 4, `${parts} parts`);
  t.same(
    ports,
    lines.map((_, i) => i + 1),
  );

  writeFileSync(path, [HEAD, TCP, 'TCP of another kind'].join('\n'));
  await t.rejects(
    async () => {
      for await (const _ of readConnections(path)) continue;
    },
    { code: 'ERR_CONNECTION_TABLE', message: /TCP of another kind/ },
  );
  await t.rejects(
    async () => {
      for await (const _ of readConnections(join(folder, 'none'))) continue;
    },
    { code: 'ERR_NO_IPVS' },
  );
});
