import t from 'tap';
import type { FlowRequest, OpenedConnection, PortAnswer } from '../../../src/drill/client/client-protocol.js';
import {
  countConnections,
  kindsOf,
  lostBy,
  lostStretches,
  movedAfterMs,
  persistentClients,
  settledRequests,
  verifyClients,
  verifyFlows,
} from '../../../src/drill/report/connections.js';
import { sorryComplaints } from '../../../src/drill/scenarios/service-clients.js';

const window = { fromMs: 1000, toMs: 9000 };

function request(sentMs: number, server: string | null, port = 40000): FlowRequest {
  return { port, sentMs, answeredMs: server === null ? null : sentMs + 2, server };
}

function answer(client: string, port: number, server: string | null): PortAnswer {
  return { client, port, server, error: server === null ? 'ECONNREFUSED' : '' };
}

const flow: OpenedConnection = { kind: 'udp', port: 40000, server: 'rs1' };

await t.test('a kind counts where the topology has it, and nothing opened is seen', async (t) => {
  const opened: OpenedConnection[] = [{ kind: 'busy', port: 40000 }, { kind: 'ipv6', port: 40000 }, flow];
  const verified = opened.map((one) => ({ ...one, survived: one.kind !== 'udp', reason: '' }));
  const none = { opened: 0, survived: 0 };
  const plain = countConnections({}, opened, verified);
  t.strictSame(plain, { busy: { opened: 1, survived: 1 }, 'one-request': none, idle: none });
  const services = { ipv6: '2001:db8::1', udp: { address: '192.0.2.1', port: 53 } };
  const persistent = { address: '192.0.2.2', ports: [80, 443], clients: ['192.0.2.9'] };
  const all = countConnections({ ...services, persistent }, opened, verified);
  t.strictSame(all.ipv6, { opened: 1, survived: 1 }, 'ports of one number are not mixed up');
  t.strictSame(all.udp, { opened: 1, survived: 0 });
  t.strictSame(all.persistent, none);
  t.strictSame(kindsOf([{ connections: plain }]), ['busy', 'one-request', 'idle']);
  t.strictSame(kindsOf([{ connections: plain }, { connections: all }]).slice(3), [
    'ipv6',
    'udp',
    'persistent',
  ]);
});

await t.test('what was not asked does not count', async (t) => {
  const opened: OpenedConnection[] = [
    { kind: 'busy', port: 1 },
    { kind: 'busy', port: 2 },
  ];
  const verified = [{ kind: 'busy', port: 2, survived: true, reason: '' }] as const;
  t.strictSame(countConnections({}, opened, verified).busy, { opened: 1, survived: 1 });
});

await t.test('a persistent client has one real server on all ports', async (t) => {
  const answers = [
    answer('a', 80, 'rs1'),
    answer('a', 443, 'rs1'),
    answer('b', 80, 'rs1'),
    answer('b', 443, 'rs2'),
    answer('c', 80, 'rs2'),
    answer('c', 443, null),
  ];
  const { opened, failed } = persistentClients(answers);
  t.strictSame(opened, [{ kind: 'persistent', port: 0, client: 'a', server: 'rs1' }]);
  t.strictSame(failed, [
    'persistent: b was answered by rs1 at port 80, rs2 at port 443',
    'persistent: c was answered by rs2 at port 80, nobody (ECONNREFUSED) at port 443',
  ]);
});

await t.test('and keeps it', async (t) => {
  const { opened } = persistentClients([
    answer('a', 80, 'rs1'),
    answer('b', 80, 'rs2'),
    answer('c', 80, 'rs2'),
  ]);
  const verified = verifyClients(opened, [answer('a', 80, 'rs1'), answer('b', 80, 'rs1')]);
  t.match(verified, [
    { client: 'a', survived: true, reason: '' },
    { client: 'b', survived: false, reason: 'b had rs2 and was answered by rs1 at port 80' },
    { client: 'c', survived: false },
  ]);
});

await t.test(
  'requests outside of the window, and those whose answer may be under way, are left out',
  async (t) => {
    const requests = [900, 1000, 8000, 8001, 9001].map((atMs) => request(atMs, null));
    t.strictSame(
      settledRequests(requests, window).map(({ sentMs }) => sentMs),
      [1000, 8000],
    );
    t.equal(settledRequests([request(8999, 'rs1')], window).length, 1, 'an answer that came is known');
  },
);

await t.test('a stretch of lost requests reaches from the first of them to the next answer', async (t) => {
  const lost = lostStretches(
    [
      request(1000, 'rs1'),
      request(2000, null),
      request(2020, null),
      request(2500, 'rs2'),
      request(6000, 'rs1'),
      request(7000, null),
    ],
    window,
  );
  t.strictSame(lost, [
    { fromMs: 2000, toMs: 2500 },
    { fromMs: 7000, toMs: 9000 },
  ]);
  t.strictSame(
    lostStretches([request(1000, 'rs1'), request(5000, 'rs1')], window),
    [],
    'who sent nothing lost nothing',
  );
});

await t.test('what was under way when the fault came is lost from then on', async (t) => {
  const span = (fromMs: number, toMs: number) => ({ fromMs, toMs });
  const lost = [span(1000, 1200), span(2600, 6000), span(7000, 8000)];
  t.strictSame(lostBy(lost, 3000), [span(1000, 1200), span(3000, 6000), span(7000, 8000)]);
  t.strictSame(lostBy([span(1999, 6000)], 3000), [span(1999, 6000)], 'not what was lost long before it');
  t.strictSame(lostBy([span(2600, 2700)], 3000), [span(2700, 2700)], 'what was over by then');
});

await t.test('a UDP flow goes on with its real server, to the end', async (t) => {
  const after = (...servers: (string | null)[]): unknown =>
    verifyFlows(
      [flow],
      [request(2000, 'rs2'), ...servers.map((server, index) => request(5000 + index, server))],
      5000,
      5001,
    )[0];
  t.match(after(null, null, 'rs1', 'rs1', null), { survived: true, reason: '' }, 'lost ones are no end');
  t.match(after('rs1', 'rs2'), { survived: false, reason: 'it had rs1 and was answered by rs2' });
  t.match(after('rs1', null, null), { survived: false, reason: 'no answer any more' }, 'since it was asked');
  t.match(after(), { survived: false }, 'no request proves nothing');
});

await t.test('flows of a dead real server are served when the last of them loses nothing more', async (t) => {
  const flows: OpenedConnection[] = [flow, { ...flow, port: 40001 }];
  const requests = [
    request(4000, 'rs2'),
    request(5100, 'rs1'),
    request(5200, null),
    request(6000, 'rs2'),
    request(6500, null, 40001),
    request(9000, 'rs2', 40001),
    request(9100, null, 40001),
  ];
  t.equal(movedAfterMs(flows, requests, 5000), 1500);
  t.equal(movedAfterMs(flows, requests.slice(0, 5), 5000), null, 'one was not');
  t.equal(movedAfterMs(flows.slice(0, 1), [request(7000, 'rs2')], 5000), 0, 'who sent nothing lost nothing');
});

await t.test('a sorry server answers while nobody else lives, and then alone', async (t) => {
  const services = { sorry: { address: '192.0.2.1', port: 8080, server: 'sorry' } };
  const right = { before: { rs2: 4 }, meanwhile: { sorry: 4 }, after: { rs2: 4 } };
  t.strictSame(sorryComplaints(services, 'rs2', right), []);
  t.strictSame(sorryComplaints({}, 'rs2', { before: {}, meanwhile: {}, after: {} }), [], 'there is none');
  t.strictSame(sorryComplaints(services, 'rs2', { ...right, meanwhile: { nobody: 4 } }), [
    '192.0.2.1:8080 was answered by nobody while rs2 was dead, not by sorry',
  ]);
  t.strictSame(sorryComplaints(services, 'rs2', { ...right, after: { rs2: 2, sorry: 2 } }), [
    '192.0.2.1:8080 was answered by rs2 and sorry after its return, not by rs2',
  ]);
});
