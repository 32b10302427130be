/** The lab builds what the topologies say, and nothing of it outlives the drill. Needs root, not IPVS. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { ClientControl } from '../../../src/drill/client/client-control.js';
import type { FlowRequest } from '../../../src/drill/client/client-protocol.js';
import { Load } from '../../../src/drill/client/load.js';
import { DrillError } from '../../../src/drill/errors.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import { startRealServer } from '../../../src/drill/lab/server-control.js';
import { TOPOLOGIES, type TopologyName } from '../../../src/drill/lab/topology.js';
import { findProgram } from '../../../src/io/host/programs.js';
import { isAlive } from '../daemon-helpers.js';

const skip = process.getuid?.() === 0 ? false : 'network namespaces need root';
const noNft = findProgram('nft') === undefined ? 'nft is not installed' : false;
/** What every kernel can build; tun needs tunl0 and is proven in the VM (test/vm). */
const HERE = ['nat', 'nat-port-mapping', 'dr', 'services'] as const;

async function labOf(test: Test, name: TopologyName): Promise<Lab> {
  const lab = new Lab(TOPOLOGIES[name]);
  test.teardown(() => lab.destroy());
  await lab.build();
  return lab;
}

async function pings(lab: Lab, from: string, to: string): Promise<boolean> {
  // Who was asked for in vain a moment ago is asked for at most twice more, and then called unreachable.
  await lab.run(from, ['ip', 'neigh', 'flush', 'all']);
  return lab.run(from, ['ping', '-c', '1', '-W', '1', '-n', to]).then(
    () => true,
    () => false,
  );
}

/** Without IPVS a director still routes: enough to bring the client's requests to a real server. */
async function routeThrough(lab: Lab, director: string, dip: string, inside: string): Promise<void> {
  const outside = lab.host(director).cables[0]?.address.split('/')[0] ?? '';
  await lab.run(director, ['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']);
  await lab.run(director, ['ip', 'addr', 'add', dip, 'dev', 'eth1']);
  await lab.run('client', ['ip', 'route', 'replace', inside, 'via', outside]);
}

await t.test(
  'a topology: the client reaches both directors, and a pulled cable cuts one off',
  { skip },
  async (t) => {
    for (const name of HERE) {
      await t.test(name, async (t) => {
        const lab = await labOf(t, name);
        for (const director of lab.hosts('director')) {
          t.ok(await pings(lab, 'client', director.cables[0]?.address.split('/')[0] ?? ''), director.name);
        }
        const address = lab.host('lb1').cables[0]?.address.split('/')[0] ?? '';
        await lab.cables('lb1', 'down');
        t.notOk(await pings(lab, 'client', address), 'no answer with its cables pulled');
        const links = await lab.run('lb1', ['ip', '-brief', 'link']);
        for (const cable of lab.host('lb1').cables) {
          t.match(
            links,
            new RegExp(`${cable.interface}@\\S+ +DOWN .*NO-CARRIER`),
            `${cable.interface} lost its carrier`,
          );
        }
        await lab.cables('lb1', 'up');
        t.ok(await pings(lab, 'client', address), 'and again with them plugged');
      });
    }
  },
);

await t.test('a real server under DR holds the VIP in silence', { skip }, async (t) => {
  const lab = await labOf(t, 'dr');
  t.match(await lab.run('rs1', ['ip', '-4', '-o', 'addr', 'show', 'dev', 'lo']), /192\.168\.79\.180\/32/);
  t.notOk(
    await pings(lab, 'client', '192.168.79.180'),
    'nobody answers for the VIP before there is a master',
  );
  t.ok(await pings(lab, 'client', '192.168.79.129'), 'the RIP answers');
});

await t.test(
  'the client keeps connections of three kinds and says which of them end',
  { skip },
  async (t) => {
    const lab = await labOf(t, 'nat');
    await routeThrough(lab, 'lb1', '10.10.10.1/24', '10.10.10.0/24');
    const server = await startRealServer(lab, lab.host('rs1'));
    const client = new ClientControl(lab, 'client');
    await client.ready();

    const target = { address: '10.10.10.2', port: 80 };
    const { opened, failed } = await client.send({ command: 'open', ...target, count: 10 });
    t.equal(opened.length, 30);
    t.same(failed, []);
    const verified = await client.send({ command: 'verify', timeoutMs: 2000, only: null });
    t.equal(verified.connections.filter((one) => one.survived).length, 30);

    const load = await Load.start(lab, 'client', {
      addresses: [target.address],
      port: target.port,
      rate: 200,
      limitMs: 10_000,
      file: join(t.testdir(), 'load.txt'),
    });
    t.same(await client.send({ command: 'spread', ...target, count: 100 }), {
      servers: { rs1: 100 },
      failed: 0,
    });

    const lost: number[] = [];
    const allLost = new Promise<void>((resolve) => {
      client.onLost = (one) => {
        if (lost.push(one.port) === 30) {
          resolve();
        }
      };
    });
    server.kill('SIGKILL');
    await allLost;
    t.same(
      lost.toSorted((a, b) => a - b),
      opened.map((one) => one.port).toSorted((a, b) => a - b),
      'each connection is reported once',
    );
    const after = await client.send({ command: 'verify', timeoutMs: 500, only: null });
    t.equal(after.connections.filter((one) => one.survived).length, 0);
    const refused = await client.send({ command: 'spread', ...target, count: 1 });
    t.same(refused, { servers: {}, failed: 1 });
    const samples = await load.stop();
    t.ok(
      samples.some((one) => one.server === 'rs1' && one.error === ''),
      'requests were answered',
    );
    t.match(samples.at(-1), { server: null, error: 'ECONNREFUSED' }, 'and refused once the server was dead');
  },
);

await t.test('the client asks over IPv6 and UDP, and from many addresses', { skip }, async (t) => {
  const lab = await labOf(t, 'services');
  await routeThrough(lab, 'lb1', '10.10.10.1/24', '10.10.10.0/24');
  await lab.run('lb1', ['ip', 'addr', 'add', 'fd00::1/64', 'dev', 'eth1', 'nodad']);
  await lab.run('client', ['ip', 'route', 'add', 'fd00::/64', 'via', '2001:db8:1::11']);
  await lab.run('lb1', ['sysctl', '-q', '-w', 'net.ipv6.conf.all.forwarding=1']);
  const server = await startRealServer(lab, lab.host('rs1'));
  const client = new ClientControl(lab, 'client');
  await client.ready();

  const ipv6 = await client.send({ command: 'open', address: 'fd00::2', port: 80, count: 2 });
  t.same(ipv6.failed, []);
  t.same(
    ipv6.opened.map(({ kind }) => kind),
    Array.from({ length: 6 }, () => 'ipv6'),
  );
  const [one] = ipv6.opened;
  const asked = await client.send({
    command: 'verify',
    timeoutMs: 2000,
    only: one === undefined ? [] : [one],
  });
  t.match(asked.connections, [{ kind: 'ipv6', port: one?.port, survived: true }], 'one alone, by its name');

  const target = { address: '10.10.10.2', ports: [80, 443] };
  const clients = lab.host('client').extraAddresses?.map(({ address }) => address.split('/')[0] ?? '') ?? [];
  const { answers } = await client.send({ command: 'ask-from', ...target, clients });
  t.equal(answers.length, 16);
  t.ok(answers.every((answer) => answer.server === 'rs1'));

  const flows = { address: '10.10.10.2', port: 5300, count: 4, everyMs: 40 };
  const { opened, failed } = await client.send({ command: 'flows-open', ...flows });
  t.same(failed, []);
  t.match(
    opened,
    Array.from({ length: 4 }, () => ({ kind: 'udp', server: 'rs1' })),
  );
  const requests = async (): Promise<readonly FlowRequest[]> =>
    (await client.send({ command: 'flows-requests' })).requests;
  const until = async (holds: (all: readonly FlowRequest[]) => boolean): Promise<readonly FlowRequest[]> => {
    for (;;) {
      const all = await requests();
      if (holds(all)) return all;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const served = await until((all) =>
    opened.every(({ port }) => all.filter((one) => one.port === port).length > 3),
  );
  t.ok(served.slice(0, 8).every(({ server, answeredMs }) => server === 'rs1' && answeredMs !== null));
  server.kill('SIGKILL');
  await server.exited;
  const since = Date.now();
  const lost = await until((all) => all.filter(({ sentMs }) => sentMs > since).length > 8);
  t.ok(
    lost.filter(({ sentMs }) => sentMs > since).every(({ server }) => server === null),
    'a request that nobody answers is lost',
  );
  await client.send({ command: 'close' });
  t.same(await requests(), [], 'closed flows ask no more');
});

await t.test('connections live on when the way moves to the other director', { skip }, async (t) => {
  const lab = await labOf(t, 'nat');
  await routeThrough(lab, 'lb1', '10.10.10.1/24', '10.10.10.0/24');
  await startRealServer(lab, lab.host('rs2'));
  const client = new ClientControl(lab, 'client');
  await client.ready();
  await client.send({ command: 'open', address: '10.10.10.3', port: 80, count: 5 });
  await lab.cables('lb1', 'down');
  await routeThrough(lab, 'lb2', '10.10.10.1/24', '10.10.10.0/24');
  await lab.run('rs2', ['ip', 'neigh', 'flush', 'all']);
  const { connections } = await client.send({ command: 'verify', timeoutMs: 8000, only: null });
  t.equal(connections.filter((one) => one.survived).length, 15);
});

await t.test('a host that boots has its addresses and nothing else', { skip }, async (t) => {
  const lab = await labOf(t, 'nat');
  await lab.run('lb1', ['ip', 'addr', 'add', '192.168.1.253/24', 'dev', 'eth0']);
  const child = lab.start('lb1', ['sleep', '600']);
  while ((await lab.processes('lb1')).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  t.same(await lab.processes('lb1'), [child.pid]);
  await lab.switchOff('lb1');
  t.match(await child.exited, { signal: 'SIGKILL' });
  t.notOk(await pings(lab, 'client', '192.168.1.11'), 'nobody is there meanwhile');
  await lab.switchOn('lb1');
  t.ok(await pings(lab, 'client', '192.168.1.11'));
  t.notOk(await pings(lab, 'client', '192.168.1.253'), 'what it got since is gone');
  t.ok(await pings(lab, 'rs1', '10.10.10.11'));
});

await t.test('everything on a host is killed but what watches it', { skip }, async (t) => {
  const lab = await labOf(t, 'nat');
  const watcher = lab.start('lb1', ['sleep', '600']);
  // One that leaves its parent and its session, as the guardian does.
  lab.start('lb1', ['setsid', '--fork', 'sleep', '600']);
  while ((await lab.processes('lb1')).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  await lab.killAll('lb1', [watcher.pid]);
  t.same(await lab.processes('lb1'), [watcher.pid]);
  t.ok(await pings(lab, 'client', '192.168.1.11'), 'its kernel goes on');
});

await t.test(
  'hosts that are parted do not hear each other, and everybody hears them',
  { skip },
  async (t) => {
    const lab = await labOf(t, 'nat');
    const heard = async () => [
      await pings(lab, 'lb1', '192.168.1.12'),
      await pings(lab, 'lb2', '10.10.10.11'),
      await pings(lab, 'client', '192.168.1.11'),
      await pings(lab, 'client', '192.168.1.12'),
      await pings(lab, 'rs1', '10.10.10.12'),
    ];
    await lab.isolate(['lb1', 'lb2'], true);
    t.same(await heard(), [false, false, true, true, true]);
    await lab.isolate(['lb1', 'lb2'], false);
    t.same(await heard(), [true, true, true, true, true]);
  },
);

await t.test('one direction of a cable is dead', { skip: skip || noNft }, async (t) => {
  const lab = await labOf(t, 'nat');
  const received = async (): Promise<number> => {
    const text = await lab.procNet('lb1', 'dev');
    return Number(/eth0:\s*\d+\s+(\d+)/.exec(text)?.[1]);
  };
  await lab.lose(['lb1']);
  const before = await received();
  t.notOk(await pings(lab, 'client', '192.168.1.11'), 'it is not heard');
  t.ok((await received()) > before, 'and hears');
  t.ok(await pings(lab, 'client', '192.168.1.12'));
  await lab.lose(['lb1', 'lb2'], { syncPercent: 99 });
  t.ok(await pings(lab, 'client', '192.168.1.11'), 'only sync datagrams are lost');
  await lab.lose([]);
  t.notMatch(await lab.run('switches', ['nft', 'list', 'ruleset']), 'drop', 'nothing is lost any more');
});

await t.test('a program that cannot start is reported in its own words', { skip }, async (t) => {
  const lab = await labOf(t, 'nat');
  await t.rejects(lab.run('lb1', ['ip', 'link', 'show', 'nothing']), {
    code: 'ERR_DRILL_PROCESS',
    message: /does not exist/,
  });
  t.throws(() => lab.run('lb3', ['true']), new DrillError('ERR_DRILL_LAB', 'the lab has no host lb3'));
});

await t.test('nothing is left when the drill is killed', { skip }, async (t) => {
  const lab = new URL('../../../src/drill/lab/lab.js', import.meta.url).href;
  const topology = new URL('../../../src/drill/lab/topology.js', import.meta.url).href;
  const script = `
    const { Lab } = await import(${JSON.stringify(lab)});
    const { TOPOLOGIES } = await import(${JSON.stringify(topology)});
    const lab = new Lab(TOPOLOGIES.nat);
    await lab.build();
    const sleeper = lab.start('rs1', ['sleep', '600']);
    const names = ['switches', ...TOPOLOGIES.nat.hosts.map((host) => host.name)];
    console.log(JSON.stringify([sleeper.pid, ...names.map((name) => lab.pid(name))]));
    setInterval(() => {}, 1000);`;
  const drill = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: drill.stdout }), 'line')) as [string];
  const pids = JSON.parse(line) as number[];
  t.equal(pids.length, 7);
  t.ok(
    pids.every((pid) => existsSync(`/proc/${pid}`)),
    'all run before the kill',
  );
  drill.kill('SIGKILL');
  await once(drill, 'exit');
  const deadline = Date.now() + 3000;
  // A zombie that nobody has reaped yet runs no more.
  const alive = (): number[] => pids.filter(isAlive);
  while (alive().length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.same(alive(), [], 'none runs after it');
});
