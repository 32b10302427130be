/** A director that comes later has every connection of the other one after a replay, as that one's kernel would have told it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startVm } from '../../src/drill/vm/session.js';
import type { Connection } from '../../src/ipvs/connections.js';
import { decodeMessage, type SyncConnection } from '../../src/sync/message.js';
import { CONN_F, CONN_F_BACKUP_MASK } from '../../src/sync/uapi.js';
import { hexText } from '../../src/util/hex.js';
import type { SyncReplayReport } from './guest/sync-replay.js';
import { noVm } from './no-vm.js';

t.setTimeout(900_000);

/** From the one look to the other, under emulation. */
const MAX_AGE_SECONDS = 30;

const keyOf = ({ protocol, client, virtual, destination }: Connection) =>
  [protocol, ...[client, virtual, destination].map(({ address, port }) => `${address} ${port}`)].join(' ');

/** What makes a connection, and what a backup takes of it beside its timer. */
function entryOf(entry: SyncConnection) {
  const bytes = [entry.clientAddress, entry.virtualAddress, entry.destinationAddress].map((address) =>
    hexText(address),
  );
  const ports = [entry.clientPort, entry.virtualPort, entry.destinationPort];
  return {
    key: [entry.protocol, ...bytes, ...ports, entry.flags & CONN_F.TEMPLATE].join(' '),
    flags: (entry.flags & CONN_F_BACKUP_MASK).toString(16),
    state: entry.state,
    fwmark: entry.fwmark,
    persistence: Buffer.from(entry.persistenceData ?? []).toString(),
    engine: Buffer.from(entry.persistenceEngine ?? []).toString(),
    timeout: entry.timeoutSeconds,
    isTemplate: (entry.flags & CONN_F.TEMPLATE) !== 0,
  };
}

/** The last word on each. */
function entriesOf(messages: readonly string[]): ReadonlyMap<string, ReturnType<typeof entryOf>> {
  const decoded = messages.map((hex) => decodeMessage(Buffer.from(hex, 'hex')));
  const faults = decoded.flatMap(({ fault }) => fault ?? []);
  if (faults.length > 0) throw new Error(`messages that are none: ${faults.join(', ')}`);
  return new Map(
    decoded.flatMap(({ connections }) => connections.map(entryOf)).map((entry) => [entry.key, entry]),
  );
}

void t.test('replay', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'sync-replay-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  const { status, stdout, stderr } = await vm.run(['node', 'dist/test/vm/guest/sync-replay.js']);
  t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
  if (status !== 0) return t.comment(stderr);
  const {
    there,
    before,
    here,
    counts,
    digests,
    told,
    replayed,
    report,
    half,
    watched,
    forgotten,
    refused,
  }: SyncReplayReport = JSON.parse(stdout);
  t.comment(JSON.stringify({ report, half, entries: there.length, kernelMessages: told.length }));

  t.match(refused, /the kernel runs no sync daemon that sends/);
  t.same(before, [], 'it came later');
  t.equal(here.length, there.length);
  t.ok(there.length >= 26);
  t.same([report.connections, report.untellable], [there.length, 0]);
  const found = new Map(here.map((connection) => [keyOf(connection), connection]));
  for (const connection of there) {
    const key = keyOf(connection);
    const twin = found.get(key);
    t.equal(twin?.state, connection.state, `${key}: ${connection.state}`);
    const isTemplate = connection.client.port === 0;
    const age = connection.expiresSeconds - (twin?.expiresSeconds ?? 0);
    if (isTemplate) t.ok(age <= 0, `${key}: a template has its whole time again`);
    else
      t.ok(
        age >= -1 && age < MAX_AGE_SECONDS,
        `${key}: expires in ${connection.expiresSeconds} s, ${age} s apart`,
      );
    t.equal(twin?.persistenceData, connection.persistenceData);
  }
  t.strictSame(digests[1].split('\n'), digests[0].split('\n'), 'both have one digest');
  t.strictSame(
    counts[1].split('\n'),
    counts[0].split('\n'),
    'and count them with the same real servers, as active, inactive and persistent',
  );
  t.ok(half.connections > 0 && half.connections < report.connections, 'half of the buckets');

  for (const [index, one] of watched.entries()) {
    const host = ['who says it', 'who hears it'][index];
    t.equal(one.connections, report.connections, `${host} watches all connections`);
    t.equal(one.messages, report.messages + 1);
    t.equal(one.malformed, 1, 'nonsense is counted');
    t.same([...one.sources].toSorted(), ['10.10.10.11', '10.10.10.12']);
  }

  t.ok(forgotten.count >= 1, `${forgotten.count} closed ones are forgotten`);
  const stayed = new Set(forgotten.left.map(keyOf));
  // What is half open goes by itself within a minute.
  const lasting = forgotten.known.filter(({ state }) => state === 'ESTABLISHED');
  t.ok(lasting.length > 8);
  t.strictSame(
    lasting.filter((connection) => !stayed.has(keyOf(connection))),
    [],
    'the others stay',
  );

  const kernels = entriesOf(told);
  const ours = entriesOf(replayed);
  t.equal(ours.size, there.length);
  let compared = 0;
  for (const [key, { timeout, ...entry }] of kernels) {
    const { timeout: ourTimeout, ...same } = ours.get(key) ?? { timeout: 0 };
    // One that was told of as established may be closing since.
    if (!('state' in same) || same.state !== entry.state) continue;
    compared += 1;
    t.strictSame(same, entry, `${key}: as the kernel tells it`);
    if (entry.isTemplate) t.equal(ourTimeout, timeout, `${key}: with the same time`);
  }
  t.ok(compared >= 20, `${compared} of ${there.length} are compared with the kernel's own words`);
  t.comment(counts[0]);
});
