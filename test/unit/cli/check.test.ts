import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { MAIN } from '../../program.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

function director(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

void t.test('a good file', async (t) => {
  const { status, stdout, stderr } = director('check', '-c', 'config/nat.yaml', '--director', 'lb1');
  t.equal(status, 0);
  t.equal(stdout, 'config/nat.yaml: ok (director lb1: 2 instances, 1 virtual server with 2 real servers)\n');
  // What this host lacks of it is nothing that is wrong with the file.
  t.notOk(stderr.split('\n').find((line) => line !== '' && !line.includes(': warning: ')));
  const json = director('check', '--config', 'config/dr.yaml', '--director', 'lb2', '--json');
  t.equal(json.status, 0);
  t.match(JSON.parse(json.stdout), { ok: true, faults: [] });
});

void t.test('every fault on a line of its own, exit status 2', async (t) => {
  const file = 'test/fixtures/config/five-faults.yaml';
  const { status, stdout, stderr } = director('check', '-c', file, '--director', 'lb1');
  t.equal(status, 2);
  t.equal(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  t.equal(lines.length, 5);
  t.equal(lines[0], `${file}:4:20: directors.lb1.priority: expected a whole number from 1 to 255, not 300`);

  const json = director('check', '-c', file, '--director', 'lb1', '--json');
  t.equal(json.status, 2);
  t.match(JSON.parse(json.stdout), {
    ok: false,
    faults: [{ line: 4, column: 20, path: 'directors.lb1.priority', message: /whole number/ }],
  });
});

void t.test('a syntax error has no path', async (t) => {
  const { status, stderr } = director(
    'check',
    '-c',
    'test/fixtures/config/syntax-error.txt',
    '--director',
    'lb1',
  );
  t.equal(status, 2);
  t.match(stderr, /^test\/fixtures\/config\/syntax-error\.txt:4:2: not valid YAML: [^\n]+\n$/);
});

void t.test('a file that cannot be read is one sentence', async (t) => {
  const dir = t.testdir({});
  const missing = join(dir, 'missing.yaml');
  t.strictSame(director('check', '-c', missing), {
    status: 2,
    stdout: '',
    stderr: `director: cannot read the configuration ${missing}: no such file or directory\n`,
  });
  t.equal(director('check', '-c', dir).status, 2);
  const binary = join(dir, 'binary.yaml');
  writeFileSync(binary, Buffer.from([0x61, 0xff, 0xfe]));
  t.match(director('check', '-c', binary).stderr, 'it is not UTF-8 text');
  t.match(JSON.parse(director('check', '-c', missing, '--json').stdout), {
    ok: false,
    faults: [],
    error: /no such file/,
  });
});

void t.test('preemption that loses connections is warned of, at its place', async (t) => {
  const synced = readFileSync(join(ROOT, 'config/nat.yaml'), 'utf8');
  const nat = synced.replace(/preempt: \{.*\}/g, 'preempt: false');
  const file = join(t.testdir({}), 'director.yaml');
  const warned = (text: string) => {
    writeFileSync(file, text);
    const { status, stderr } = director('check', '-c', file, '--director', 'lb1');
    t.equal(status, 0);
    return stderr.split('\n').filter((line) => line.includes('connection table'));
  };
  t.same(warned(nat), [], 'preempt: false');
  const [first = '', ...others] = warned(nat.replace('preempt: false', 'preempt: true '));
  const line = nat.slice(0, nat.indexOf('preempt: false')).split('\n').length;
  t.ok(first.startsWith(`${file}:${line}:`), first);
  t.match(first, /vrrp\.instances\[0\]\.preempt: warning: .* takes the role back at once/);
  t.same(others, []);
  t.match(warned(nat.replace('preempt: false', 'preempt: { delay: 30s }')), [/after the delay/]);
  t.same(warned(synced), []);
  t.match(warned(synced.replace(/^connection_sync:(\n +.*)+/m, '')), [
    /vrrp\.instances\[0\]\.preempt: warning: without connection_sync .* takes the role back after 1m/,
    /vrrp\.instances\[1\]/,
  ]);
  t.match(warned(`${synced}\npeer_channel: off\n`), [
    /without peer_channel no connection table becomes complete/,
    /vrrp\.instances\[1\]/,
  ]);
  // The default, which has no place of its own.
  t.match(warned(nat.replace(/preempt: false.*/, '')), [/vrrp\.instances\[0\]/]);
  t.same(
    warned(nat.replaceAll('preempt: false', 'preempt: true').replace(/^connection_sync:(\n +.*)+/m, '')),
    [],
  );
});

void t.test('virtual servers whose addresses are those of no instance are told of in one line', async (t) => {
  const file = join(t.testdir({}), 'director.yaml');
  const nat = readFileSync('config/nat-port-mapping.yaml', 'utf8');
  const warned = (text: string) => {
    writeFileSync(file, text);
    const { status, stderr } = director('check', '-c', file, '--director', 'lb1');
    t.equal(status, 0);
    return stderr.split('\n').filter((line) => line.includes('no instance has'));
  };
  t.same(warned(nat), []);
  const slipped = nat.replaceAll(/ {4}address: 202\.103\.106\.5$/gm, '    address: 202.103.106.9');
  t.match(warned(slipped), [/virtual_servers\[0\]: warning: no instance has the address 202\.103\.106\.9:/]);
  t.equal(warned(slipped.replace('202.103.106.9', '202.103.106.8')).length, 1);
  t.match(warned(slipped.replace('202.103.106.9', '202.103.106.8')), [/202\.103\.106\.8 \(and 1 more\)/]);
  t.equal(warned(slipped.replace('202.103.106.9', '202.103.106.5')).length, 1);
});

void t.test('the version', (t) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  t.equal(director('--version').stdout, `lvs-director ${version}\n`);
  t.end();
});

void t.test('a director that is not in the file', async (t) => {
  const { status, stderr } = director('check', '-c', 'config/nat.yaml', '--director', 'lb9');
  t.equal(status, 2);
  t.match(stderr, /^config\/nat\.yaml:\d+:1: directors: no director is named 'lb9': the file has lb1, lb2/);
});

void t.test('the JSON Schema, and wrong arguments', async (t) => {
  const schema = director('check', '--schema');
  t.equal(schema.status, 0);
  t.match(JSON.parse(schema.stdout), { $schema: /2020-12/, required: ['version', 'directors'] });
  const wrong = director('check', '--colour');
  t.equal(wrong.status, 2);
  t.match(wrong.stderr, /^director: Unknown option '--colour'/);
  t.match(director('check', '--help').stdout, /^Usage: director check/);
});
