/** When `director run` must not run: one clear sentence, the right exit status, and nothing left behind. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import {
  Bench,
  type CommandResult,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  GUARDIAN,
  inState,
  instanceOf,
  settled,
  statusOf,
  test,
  VIP,
} from '../daemon-helpers.js';

const FIVE_FAULTS = fileURLToPath(
  new URL('../../../../test/fixtures/config/five-faults.yaml', import.meta.url),
);

const VIRTUAL_SERVER = `virtual_servers:
  - name: web
    address: ${VIP}
    port: 80
    protocol: tcp
    scheduler: rr
    forwarding: nat
    real_servers: [{ address: 10.7.0.2, port: 80 }]
`;

t.jobs = 3;
t.setTimeout(FILE_LIMIT_MS);

/** All that a director could leave on a host. */
async function traces(bench: Bench, runtimeDirectory: string): Promise<unknown> {
  const keys = [
    'net.ipv4.ip_forward',
    'net.ipv4.conf.all.send_redirects',
    'net.ipv4.conf.eth0.send_redirects',
  ];
  return {
    addresses: await bench.addresses('lb1'),
    sysctls: await bench.lab.run('lb1', ['sysctl', ...keys]),
    guardians: guardiansIn(bench.lab.pid('lb1')),
    files: existsSync(runtimeDirectory) ? readdirSync(runtimeDirectory) : [],
  };
}

/** Guardians in the network namespace of a process. */
function guardiansIn(pid: number): string[] {
  const namespace = readlinkSync(`/proc/${pid}/ns/net`);
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        return (
          readFileSync(`/proc/${entry}/comm`, 'utf8').trim() === GUARDIAN &&
          readlinkSync(`/proc/${entry}/ns/net`) === namespace
        );
      } catch {
        // It ended meanwhile.
        return false;
      }
    });
}

interface Attempt {
  readonly yaml: string;
  /** Program that starts the director with fewer rights. */
  readonly prefix?: readonly string[];
}

/** Runs a director that must refuse, and checks that the host is as it was. */
async function refused(t: Test, bench: Bench, { yaml, prefix = [] }: Attempt): Promise<CommandResult> {
  const file = await bench.file('refused.yaml', yaml);
  const runtimeDirectory = join(bench.folder, 'refused');
  const before = await traces(bench, runtimeDirectory);
  const argv = ['run', '-c', file, '--director', 'lb1', '--runtime-dir', runtimeDirectory, '--log', 'json'];
  const result = await bench.command('lb1', argv, prefix);
  await settled('no guardian is left', () => guardiansIn(bench.lab.pid('lb1')).length === 0);
  t.strictSame(await traces(bench, runtimeDirectory), before, 'nothing is left behind');
  return result;
}

function oneSentence(t: Test, result: CommandResult, ...words: (string | RegExp)[]): void {
  t.equal(result.status, 1);
  t.equal(result.errors.length, 1, result.errors.join('\n'));
  for (const word of words) t.match(result.errors[0], word);
  t.notMatch(result.output.join('\n'), '"event":"ready"');
}

test('without privilege', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml();
  // Still user 0, so that it can read its files wherever they lie; the kernel asks for capabilities alone.
  const none = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'];
  const result = await refused(t, bench, { yaml, prefix: none });
  oneSentence(t, result, /lacks CAP_NET_ADMIN and CAP_NET_RAW: start it as root or with 'systemctl start/);
  const noRaw = ['setpriv', '--bounding-set', '-net_raw', '--inh-caps', '-all'];
  oneSentence(t, await refused(t, bench, { yaml, prefix: noRaw }), /lacks CAP_NET_RAW: /);
});

test('with virtual servers on a kernel without IPVS', async (t) => {
  const bench = await Bench.open(t);
  if ((await bench.command('lb1', ['list'])).status === 0) {
    t.pass('refused', { skip: 'this kernel has IPVS' });
    return;
  }
  const result = await refused(t, bench, { yaml: directorYaml({ more: VIRTUAL_SERVER }) });
  oneSentence(t, result, /the kernel has no IPVS: load it with 'modprobe ip_vs'/);

  const director = await bench.start('lb1', directorYaml());
  await inState(director, 'master');
  await writeFile(director.configFile, directorYaml({ more: VIRTUAL_SERVER }));
  director.child.kill('SIGHUP');
  await settled('it complains', () => director.log.some((line) => line.level === 50));
  t.equal((await instanceOf(director)).state, 'master', 'a reload that cannot be done costs no role');
  await bench.heldBy('lb1');
});

test('with a second daemon in the same runtime directory', async (t) => {
  const bench = await Bench.open(t);
  const director = await bench.start('lb1', directorYaml());
  await inState(director, 'master');
  await bench.heldBy('lb1');
  const argv = ['run', '-c', director.configFile, '--director', 'lb1'];
  const second = await bench.command('lb1', [...argv, '--runtime-dir', director.runtimeDirectory]);
  oneSentence(t, second, `a director runs already: it answers on ${director.runtimeDirectory}/director.sock`);
  t.equal((await instanceOf(director)).state, 'master', 'the first one still answers');
  await bench.heldBy('lb1');
  t.strictSame(guardiansIn(bench.lab.pid('lb1')), [String(director.guardian)]);
  t.ok(existsSync(join(director.runtimeDirectory, 'vrrp.json')));
});

test('with a file that has faults: exit status 2 and every one of them', async (t) => {
  const bench = await Bench.open(t);
  const { status, output, errors } = await refused(t, bench, { yaml: readFileSync(FIVE_FAULTS, 'utf8') });
  t.equal(status, 2);
  t.strictSame(output, []);
  t.equal(errors.length, 5);
  const file = join(bench.folder, 'refused.yaml');
  for (const error of errors) {
    t.ok(error.startsWith(`${file}:`), error);
    t.match(error.slice(file.length), /^:\d+:\d+: [a-z][\w.[\]]+: \S/, 'FILE:LINE:COLUMN: PATH: message');
  }
  t.notOk(existsSync(join(bench.folder, 'refused')), 'nothing was started');

  const argv = ['run', '-c', join(bench.folder, 'none.yaml')];
  const none = await bench.command('lb1', argv);
  t.equal(none.status, 2);
  t.strictSame(none.errors, [
    `director: cannot read the configuration ${join(bench.folder, 'none.yaml')}: no such file or directory`,
  ]);
});

test('without virtual servers it runs as plain VRRP', async (t) => {
  const bench = await Bench.open(t);
  const runtimeDirectory = join(bench.folder, 'lb1');
  const before = await traces(bench, runtimeDirectory);
  const director = await bench.start('lb1', directorYaml());
  await inState(director, 'master');
  await bench.heldBy('lb1');
  t.match(await traces(bench, runtimeDirectory), { sysctls: Object(before).sysctls }, 'no sysctl is touched');
  t.strictSame((await statusOf(director)).virtual_servers, []);
  t.strictSame(complaints(director), []);
});
