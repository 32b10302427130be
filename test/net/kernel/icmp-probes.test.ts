/** ICMP health checks, answered by this kernel in a namespace of its own. */
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { openProber } from '../../../src/io/checks/probes.js';
import { ip, runInNamespace } from '../namespace.js';

/** A busy machine answers late. */
const LONG_MS = 20_000;

await runInNamespace(import.meta.url, async () => {
  ip('address add 192.0.2.1/32 dev lo');
  ip('address add 2001:db8::1/128 dev lo nodad');
  const prober = openProber({ run: async () => ({ type: 'cancelled' }), close: async () => {} });
  const probe = (address: string, timeoutMs = LONG_MS) =>
    prober.probe({ type: 'icmp' }, address, 80, timeoutMs);
  const silence = (family: 'ipv4/icmp' | 'ipv6/icmp/', on: boolean) =>
    writeFileSync(`/proc/sys/net/${family.replace(/p$/, 'p_')}echo_ignore_all`, on ? '1' : '0');

  await t.test('many at a time, of both families', async (t) => {
    const addresses = ['127.0.0.1', '192.0.2.1', '::1', '2001:db8::1'];
    const all = Array.from({ length: 400 }, (_, index) => probe(addresses[index % 4] ?? ''));
    t.strictSame(
      (await Promise.all(all)).filter(({ ok }) => ok !== true),
      [],
    );
  });

  await t.test('a host that is silent, and speaks again', async (t) => {
    const late = { ok: false, reason: 'no answer within 80 ms' };
    silence('ipv4/icmp', true);
    t.same(await probe('127.0.0.1', 80), late);
    silence('ipv4/icmp', false);
    t.same(await probe('127.0.0.1'), { ok: true });
    silence('ipv6/icmp/', true);
    t.same(await probe('::1', 80), late);
    silence('ipv6/icmp/', false);
    t.same(await probe('::1'), { ok: true });
  });

  await t.test('from an address of this host, while it has it', async (t) => {
    const from = (source: string, address: string) =>
      prober.probe({ type: 'icmp', from: source }, address, 80, LONG_MS);
    const lacking = { ok: undefined, reason: /this host lacks the address/ };
    t.match(await from('192.0.2.2', '127.0.0.1'), lacking);
    ip('address add 192.0.2.2/32 dev lo');
    t.same(await from('192.0.2.2', '127.0.0.1'), { ok: true });
    t.same(await from('2001:db8::1', '::1'), { ok: true });
    ip('address del 192.0.2.2/32 dev lo');
    t.match(await from('192.0.2.2', '127.0.0.1'), lacking);
    ip('address add 192.0.2.2/32 dev lo');
    t.same(await from('192.0.2.2', '127.0.0.1'), { ok: true });
  });

  await t.test('no way there', async (t) => {
    t.same(await probe('203.0.113.1'), { ok: false, reason: 'network is unreachable' });
    t.same(await probe('2001:db8:1::1'), { ok: false, reason: 'network is unreachable' });
  });
});
