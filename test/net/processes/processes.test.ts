/** The VRRP process and the services process: each dies, hangs and is stopped while the other goes on. */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  Bench,
  childrenOf,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  instanceOf,
  isAlive,
  leftovers,
  pause,
  servicesPid,
  settled,
  statusOf,
  stop,
  test,
} from '../daemon-helpers.js';

t.jobs = 3;
t.setTimeout(FILE_LIMIT_MS);

/** How many processes have `mark` in their arguments. */
function commandLinesWith(mark: string): number {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(mark);
    } catch {
      return false;
    }
  }).length;
}

/** `policy priority` of every thread, as chrt(1) numbers the policies: 2 is SCHED_RR. */
function scheduling(pid: number): string[] {
  const [, after = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = after.split(' ');
  // proc(5): rt_priority is field 40, policy field 41; `after` begins with field 3.
  return [fields[40 - 3] ?? '', fields[41 - 3] ?? ''];
}

test('a killed services process costs no role and comes back', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bench.pair(directorYaml());
  await bench.heldBy('lb1');
  const first = await servicesPid(lb1);
  process.kill(first, 'SIGKILL');
  await settled('the director knows', async () => (await statusOf(lb1)).services.state === 'restarting');
  await inState(lb1, 'master');
  await settled('it is back', async () => (await statusOf(lb1)).services.state === 'running');
  const status = await statusOf(lb1);
  t.not(status.services.pid, first);
  t.equal(status.services.restarts, 1);
  t.equal((await instanceOf(lb1)).counters['became_master'], 1, 'the role was kept all the time');
  t.equal((await instanceOf(lb2)).counters['became_master'], undefined, 'the peer had nothing to do');
  await bench.heldBy('lb1');
  t.match(complaints(lb1), [/the services process ended \(SIGKILL\): .* a new one starts in 1000 ms/]);

  t.strictSame(await stop(lb1), { status: 0, signal: null });
  t.strictSame(await leftovers(lb1), []);
});

test('a runtime directory that somebody empties, or removes, fills again', async (t) => {
  const bench = await Bench.open(t);
  const [lb1] = await bench.pair(directorYaml());
  const { runtimeDirectory } = lb1;
  const answers = async (): Promise<boolean> => {
    const status = await statusOf(lb1).catch(() => undefined);
    return status?.services.state === 'running';
  };
  const isWhole = (): boolean => {
    const names = readdirSync(runtimeDirectory);
    const sockets = ['director.sock', 'services.sock', 'events.sock'];
    return (
      sockets.every((name) => names.includes(name)) && names.some((name) => name.startsWith('configuration-'))
    );
  };
  for (const remove of [
    () => {
      for (const name of readdirSync(runtimeDirectory)) rmSync(join(runtimeDirectory, name));
    },
    () => rmSync(runtimeDirectory, { recursive: true }),
  ]) {
    remove();
    await settled('it is whole again', () => existsSync(runtimeDirectory) && isWhole());
    t.ok(await answers());
    t.equal(statSync(runtimeDirectory).mode & 0o777, 0o700);
    process.kill(await servicesPid(lb1), 'SIGKILL');
    await settled('it is missed', async () => !(await answers()));
    await settled('the next one finds its configuration', answers);
  }
  await bench.heldBy('lb1');
  t.strictSame(await stop(lb1), { status: 0, signal: null });
  t.strictSame(await leftovers(lb1), []);
});

test('the scripts of a killed services process end with it', async (t) => {
  const bench = await Bench.open(t);
  const mark = join(bench.folder, 'sleeper');
  const script = await bench.file(
    'script',
    `#!/bin/sh\nsleeper() { exec sh -c "sleep 3000; : ${mark}"; }\nsleeper & setsid sh -c "sleep 3000; : ${mark}" & sleeper\n`,
  );
  chmodSync(bench.folder, 0o755);
  chmodSync(script, 0o755);
  const lb1 = await bench.start(
    'lb1',
    directorYaml({ more: `  track: [{ name: slow, script: [${script}], interval: 1h }]\n` }).replace(
      'addresses: [',
      'track: [slow]\n      addresses: [',
    ),
  );
  await settled('they run', () => commandLinesWith(mark) === 3);
  process.kill(await servicesPid(lb1), 'SIGKILL');
  await settled('they are gone', () => commandLinesWith(mark) === 0);
});

test('a services process that hangs costs no role and is replaced', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bench.pair(directorYaml());
  const first = await servicesPid(lb1);
  process.kill(first, 'SIGSTOP');
  await settled('it is replaced', async () => {
    const { services } = await statusOf(lb1);
    return services.state === 'running' && services.pid !== first;
  });
  t.notOk(isAlive(first), 'the one that hung is gone');
  t.equal((await instanceOf(lb1)).counters['became_master'], 1, 'the role was kept all the time');
  t.equal((await instanceOf(lb2)).counters['became_master'], undefined);
  t.match(complaints(lb1)[0], 'has not answered for 10 s and is killed');
});

test('a stop while the services process is down, and one while it hangs', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  process.kill(await servicesPid(lb1), 'SIGKILL');
  await settled('the director knows', async () => (await statusOf(lb1)).services.state === 'restarting');
  t.strictSame(await stop(lb1), { status: 0, signal: null });
  t.strictSame(await leftovers(lb1), []);
  await bench.heldBy(undefined);

  const again = await bench.start('lb1', directorYaml());
  await inState(again, 'master');
  const hung = await servicesPid(again);
  process.kill(hung, 'SIGSTOP');
  again.child.kill('SIGTERM');
  t.strictSame(await again.child.exited, { status: 0, signal: null });
  t.notOk(isAlive(hung));
  t.strictSame(await leftovers(again), []);
});

test('sysctls of plain VRRP are there before the first address, and are put back after a crash too', async (t) => {
  const bench = await Bench.open(t);
  const sysctls = () => bench.lab.run('lb1', ['sysctl', 'net.ipv4']);
  const promoting = () => bench.lab.run('lb1', ['sysctl', '-n', 'net.ipv4.conf.eth0.promote_secondaries']);
  await bench.lab.run('lb1', ['sysctl', '-qw', 'net.ipv4.conf.eth0.promote_secondaries=0']);
  const before = await sysctls();
  const lb1 = await bench.start('lb1', directorYaml());
  t.equal((await promoting()).trim(), '1');
  await inState(lb1, 'master');
  await bench.lab.run('lb1', ['sysctl', '-qw', 'net.ipv4.conf.eth0.promote_secondaries=0']);
  await settled('what somebody writes is put right', async () => (await promoting()).trim() === '1');
  lb1.child.kill('SIGKILL');
  await bench.heldBy(undefined);
  const next = await bench.start('lb1', directorYaml());
  await inState(next, 'master');
  t.strictSame(await stop(next), { status: 0, signal: null });
  t.equal(await sysctls(), before);
});

test('the services process ends with its parent', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  const services = await servicesPid(lb1);
  t.ok(existsSync(`${lb1.runtimeDirectory}/vrrp.json`));
  lb1.child.kill('SIGKILL');
  await settled('it is gone', () => !isAlive(services));

  const next = await bench.start('lb1', directorYaml());
  const frozen = await servicesPid(next);
  process.kill(frozen, 'SIGSTOP');
  next.child.kill('SIGKILL');
  await settled('a frozen one is gone too', () => !isAlive(frozen));
});

test('a signal for all processes ends the director in order', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  const services = await servicesPid(lb1);
  // A service manager signals the whole control group; Ctrl-C the process group.
  process.kill(services, 'SIGTERM');
  process.kill(services, 'SIGINT');
  process.kill(services, 'SIGHUP');
  await pause(200);
  t.ok(isAlive(services), 'it leaves the decision to its parent');
  const group = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2];
  t.not(group(services), group(lb1.child.pid), 'and is in a process group of its own');
  process.kill(services, 'SIGINT');
  lb1.child.kill('SIGINT');
  t.strictSame(await lb1.child.exited, { status: 0, signal: null });
  t.strictSame(await leftovers(lb1), []);
  t.notOk(isAlive(services));
  t.strictSame(complaints(lb1), []);
});

test("keepalived's questions by signal end nobody, and SIGQUIT is a stop", async (t) => {
  const bench = await Bench.open(t);
  const [lb1] = await bench.pair(directorYaml());
  const services = await servicesPid(lb1);
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    for (const pid of [lb1.child.pid, services]) process.kill(pid, signal);
    await settled('it is told what to ask instead', () =>
      lb1.log.some(({ msg }) => msg.startsWith(`${signal}: 'director status'`)),
    );
  }
  process.kill(services, 'SIGQUIT');
  await pause(200);
  t.ok(isAlive(services));
  t.equal((await statusOf(lb1)).services.restarts, 0);
  // What Node.js does on SIGUSR1 unless told otherwise: anybody on this host may then say what the process does.
  t.notMatch(lb1.errors.join('\n'), /Debugger listening/);
  lb1.child.kill('SIGQUIT');
  t.strictSame(await lb1.child.exited, { status: 0, signal: null });
  await bench.heldBy('lb2');
  t.strictSame(await leftovers(lb1), []);
});

test('a signal to all processes while they start', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.launch('lb1', directorYaml());
  const named = () => childrenOf(lb1.child.pid, 'node');
  // The parent listens to signals before it opens the socket; its child may still load its program.
  await settled('both are there', () => {
    if (existsSync(`${lb1.runtimeDirectory}/director.sock`)) return named().length === 1;
    return false;
  });
  const [services = 0] = named();
  process.kill(services, 'SIGTERM');
  lb1.child.kill('SIGTERM');
  t.strictSame(await lb1.child.exited, { status: 0, signal: null });
  t.strictSame(lb1.errors, []);
  t.strictSame(readdirSync(lb1.runtimeDirectory), []);
});

test('the VRRP process alone has real-time priority', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  t.strictSame(scheduling(lb1.child.pid), ['10', '2']);
  t.match(readFileSync(`/proc/${lb1.child.pid}/status`, 'utf8'), /^VmLck:\s+[1-9]/m);
  const services = await servicesPid(lb1);
  t.strictSame(scheduling(services), ['0', '0']);
  process.kill(services, 'SIGKILL');
  await settled('it is back', async () => {
    const status = (await statusOf(lb1)).services;
    return status.state === 'running' && status.pid !== services;
  });
  t.strictSame(scheduling(await servicesPid(lb1)), ['0', '0'], 'nor does the next one inherit it');
  // A process that has just begun has not measured yet.
  await settled('both measure', async () => {
    const { event_loop: own, services: theirs } = await statusOf(lb1);
    return own.max_ms > 0 && (theirs.event_loop?.max_ms ?? 0) > 0;
  });
  const { event_loop } = await statusOf(lb1);
  t.ok(event_loop.max_ms >= event_loop.p99_ms, JSON.stringify(event_loop));
});
