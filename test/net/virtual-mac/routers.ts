/** Virtual routers with virtual MAC addresses, and who serves them as a neighbour sees it. */
import type { Test } from 'tap';
import { hasMacvlan } from '../../interop/peer-frr.js';
import { Bench, skip as noNamespaces, type RunningDirector, settled, statusOf } from '../daemons.js';

/** Why these tests cannot run here; false when they can. */
export const skip = noNamespaces || (hasMacvlan() ? false : 'this kernel has no macvlan');

export interface Router {
  readonly name: string;
  readonly id: number;
  readonly version?: 2;
  readonly vip: string;
  readonly length: number;
  readonly mac: string;
  /** Whether this director's instance has the virtual MAC address; both, unless said otherwise. */
  readonly virtual?: boolean;
}

export const V3: Router = {
  name: 'four',
  id: 51,
  vip: '192.168.7.253',
  length: 24,
  mac: '00:00:5e:00:01:33',
};
export const V2: Router = { ...V3, name: 'two', version: 2 };
export const V6: Router = { name: 'six', id: 51, vip: 'fd00:7::253', length: 64, mac: '00:00:5e:00:02:33' };
export const OTHER: Router = { ...V3, name: 'other', id: 60, vip: '192.168.7.254', mac: '00:00:5e:00:01:3c' };

export function yaml(routers: readonly Router[]): string {
  return [
    'version: 1',
    'directors:',
    '  lb1: { priority: 150, address: 10.7.0.11 }',
    '  lb2: { priority: 100, address: 10.7.0.12 }',
    'vrrp:',
    '  instances:',
    ...routers.flatMap(({ name, id, version, vip, length, virtual = true }) => [
      `    - name: ${name}`,
      '      interface: eth0',
      `      virtual_router_id: ${id}`,
      ...(version === undefined ? [] : [`      version: ${version}`]),
      `      advertisement_interval: ${version === 2 ? '1s' : '200ms'}`,
      '      preempt: false',
      `      addresses: [${vip.includes(':') ? `'fe80::7:253/64', ` : ''}'${vip}/${length}']`,
      `      virtual_mac: ${virtual}`,
    ]),
    '',
  ].join('\n');
}

/** A pair of hosts of whom the client knows nothing, with IPv6 at hand. */
export async function openBench(t: Test): Promise<Bench> {
  const bench = await Bench.open(t);
  for (const [host, last] of [
    ['client', 100],
    ['lb1', 11],
    ['lb2', 12],
  ] as const) {
    await bench.lab.run(host, ['ip', 'addr', 'add', `fd00:7::${last}/64`, 'dev', 'eth0', 'nodad']);
    await bench.ipv6Usable(host);
  }
  return bench;
}

/** The MAC address that the client has for an address; undefined when one ping gets no answer. */
async function neighbour(bench: Bench, address: string): Promise<string | undefined> {
  const answered = await bench.lab
    .run('client', ['ping', '-n', '-c1', '-W5', address])
    .then(() => true)
    .catch(() => false);
  if (!answered) return undefined;
  const entry = await bench.lab.run('client', ['ip', 'neigh', 'show', address, 'dev', 'eth0']);
  return / lladdr (\S+)/.exec(entry)?.[1];
}

async function holdersOf(bench: Bench, address: string): Promise<string> {
  const found: string[] = [];
  for (const host of ['lb1', 'lb2']) {
    const text = await bench.lab.run(host, ['ip', '-o', 'addr', 'show']);
    if (text.includes(` ${address}/`)) found.push(host);
  }
  return found.join(' ');
}

/** `host` alone holds every address, and the client reaches each by the virtual MAC address, as it did before. */
export async function servedBy(
  t: Test,
  bench: Bench,
  host: string,
  routers: readonly Router[],
): Promise<void> {
  for (const { vip, mac } of routers) {
    let last = '';
    await settled(
      () => `${vip} is held by ${host} alone, not by '${last}'`,
      async () => (last = await holdersOf(bench, vip)) === host,
    );
    t.equal(await neighbour(bench, vip), mac, `${vip} by its virtual MAC address`);
  }
}

async function roles(director: RunningDirector): Promise<string> {
  return (await statusOf(director)).instances
    .map(({ state, master }) => `${state}:${master !== null}`)
    .join(' ');
}

export async function settledIn(director: RunningDirector, state: 'master' | 'backup'): Promise<void> {
  await settled(`${director.host} is ${state}`, async () =>
    (await roles(director)).split(' ').every((one) => one === `${state}:true`),
  );
}
