import { execFileSync } from 'node:child_process';
import t from 'tap';
import { MAX_BATCH_MESSAGES, NETLINK_ROUTE, NetlinkConnection } from '../../../src/io/netlink/connection.js';
import {
  addressPayload,
  decodeLink,
  linkByNamePayload,
  linkDumpPayload,
  RTM_DELADDR,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTNLGRP_IPV4_IFADDR,
} from '../../../src/netlink/address-messages.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../../../src/netlink/message.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

await runInNamespace(import.meta.url, async () => {
  const connection = NetlinkConnection.open(NETLINK_ROUTE);
  const flags = NLM_F_CREATE | NLM_F_EXCL;
  const request = (type: number, last: number, index = 1) => ({
    type,
    flags: type === RTM_NEWADDR ? flags : 0,
    payload: addressPayload('new', `10.${last >> 16}.${(last >> 8) & 255}.${last & 255}`, 32, index),
  });
  const held = (): number => (ip('-o -4 addr show dev lo').match(/ 10\./g) ?? []).length;

  await t.test('one result for each request, in order, over many batches', async (t) => {
    const count = 3 * MAX_BATCH_MESSAGES + 7;
    const requests = Array.from({ length: count }, (_, last) =>
      // Every tenth goes to an interface that is not there.
      request(RTM_NEWADDR, last, last % 10 === 9 ? 9_999 : 1),
    );
    const results = await connection.transact(requests);
    t.equal(results.length, count);
    const wrong = results.filter(
      ({ error }, last) => error?.code !== (last % 10 === 9 ? 'ENODEV' : undefined),
    );
    t.same(wrong, []);
    t.equal(held(), count - Math.floor(count / 10));
    const again = await connection.transact([request(RTM_NEWADDR, 0), request(RTM_NEWADDR, 1_000)]);
    t.same(
      again.map(({ error }) => [error?.code, error?.errno]),
      [
        ['EEXIST', 17],
        [undefined, undefined],
      ],
    );
    await connection.transact(
      [...requests, requests[0] ?? request(RTM_DELADDR, 0)].map(({ payload }) => ({
        type: RTM_DELADDR,
        flags: 0,
        payload,
      })),
    );
    await connection.transact([request(RTM_DELADDR, 1_000)]);
    t.equal(held(), 0);
    t.same(await connection.transact([]), []);
  });

  await t.test('answers come with their requests', async (t) => {
    const results = await connection.transact(
      Array.from({ length: 300 }, (_, index) => ({
        type: RTM_GETLINK,
        flags: 0,
        payload: linkByNamePayload(index % 2 === 0 ? 'lo' : 'absent'),
      })),
    );
    for (const index of [0, 1, 298, 299]) {
      const result = results[index];
      const [message] = result?.messages ?? [];
      t.equal(result?.error?.code, index % 2 === 0 ? undefined : 'ENODEV');
      t.equal(
        message === undefined ? undefined : decodeLink(message.payload)?.name,
        index % 2 === 0 ? 'lo' : undefined,
      );
    }
  });

  await t.test('answers never overflow a small receive buffer, which would abort the process', async (t) => {
    const small = NetlinkConnection.open(NETLINK_ROUTE, 64 * 1024);
    const results = await small.transact(
      Array.from({ length: 300 }, () => ({ type: RTM_GETLINK, flags: 0, payload: linkByNamePayload('lo') })),
    );
    t.equal(
      results.filter(({ error, messages }) => error === undefined && messages.length === 1).length,
      300,
    );
    small.close();
  });

  await t.test('dumps of many datagrams, and refused dumps', async (t) => {
    const names = Array.from({ length: 60 }, (_, index) => `p${index}`);
    const batch = names.map((name) => `link add ${name} type veth peer name q${name}`);
    execFileSync('ip', ['-batch', '-'], { input: batch.join('\n') });
    const messages = await connection.dump(RTM_GETLINK, linkDumpPayload());
    const found = messages.map((message) => decodeLink(message.payload)?.name);
    t.ok(messages.every((message) => message.type === RTM_NEWLINK));
    t.same(
      names.filter((name) => !found.includes(name) || !found.includes(`q${name}`)),
      [],
    );
    await t.rejects(connection.dump(0x3ff, new Uint8Array(16)), { code: 'EOPNOTSUPP', errno: 95 });
    t.ok((await connection.dump(RTM_GETLINK, linkDumpPayload())).length > 100, 'and the next one works');
  });

  await t.test('an event buffer that overflows is told, and events go on', async (t) => {
    let overruns = 0;
    let events = 0;
    const end = connection.subscribe(
      [RTNLGRP_IPV4_IFADDR],
      () => {
        events += 1;
      },
      () => {
        overruns += 1;
      },
      1,
    );
    await connection.transact(Array.from({ length: 100 }, (_, last) => request(RTM_NEWADDR, last)));
    await eventually('the overrun is told', () => overruns > 0);
    t.ok(events < 100, `${events} of 100 events`);
    const before = events;
    ip('addr add 10.99.0.1/32 dev lo');
    await eventually('later events arrive', () => events > before);
    end();
    const ended = events;
    ip('addr del 10.99.0.1/32 dev lo');
    const results = await connection.transact([request(RTM_DELADDR, 0)]);
    t.equal(results[0]?.error, undefined);
    t.equal(events, ended, 'silent after its end');
  });

  await t.test('groups and protocols that are not there', async (t) => {
    t.throws(() => NetlinkConnection.open(31), { code: 'EPROTONOSUPPORT' });
    t.throws(
      () =>
        connection.subscribe(
          [4_000],
          () => undefined,
          () => undefined,
        ),
      { code: 'EINVAL' },
    );
  });

  await t.test('closing ends what is under way', async (t) => {
    const pending = Promise.allSettled([
      connection.dump(RTM_GETLINK, linkDumpPayload()),
      connection.transact([request(RTM_NEWADDR, 7)]),
    ]);
    await Promise.resolve();
    connection.close();
    const states = (await pending).map((result) =>
      result.status === 'rejected' ? (result.reason as { code?: string }).code : 'done',
    );
    t.same(states, ['ERR_NETLINK_CLOSED', 'ERR_NETLINK_CLOSED']);
    t.throws(
      () =>
        connection.subscribe(
          [1],
          () => undefined,
          () => undefined,
        ),
      { code: 'ERR_NETLINK_CLOSED' },
    );
    connection.close();
  });
});
