import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { projectFolder } from '../../../src/drill/vm/session.js';

/** The scripts are plain JavaScript without types: they run in a Node of their own, as they do at a user's. */
function inScript(module: string, body: string, env: NodeJS.ProcessEnv = {}): unknown {
  const url = pathToFileURL(join(projectFolder(), 'scripts', 'lib', module)).href;
  const text = `const m = await import(${JSON.stringify(url)}); console.log(JSON.stringify(await (async () => { ${body} })()))`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (result.status !== 0) throw new Error(result.stderr);
  const value: unknown = JSON.parse(result.stdout);
  return value;
}

const TAP = `TAP version 14
# Subtest: dist/test/unit/a.test.js
    # Subtest: group
        ok 1 - one
        not ok 2 - two
          ---
          diff: |
            not ok 9 - words of a diff
          ...
        1..2
        # failed 1 of 2 tests
    not ok 1 - group # time=1ms
    ok 2 - later # SKIP not root
    1..2
not ok 1 - dist/test/unit/a.test.js # time=2ms

# Subtest: dist/test/unit/b.test.js
    ok 1 - fine
    1..1
not ok 2 - dist/test/unit/b.test.js # time=2ms
  ---
  exitCode: 1
  ...
# Subtest: dist/test/unit/c.test.js
    1..0
ok 3 - dist/test/unit/c.test.js # SKIP no tests found
1..3
`;

void t.test('tally: leaves count, and a parent only for a failure that nothing in it explains', (t) => {
  t.strictSame(inScript('tally.mjs', `return m.tally(${JSON.stringify(TAP)})`), {
    passed: 2,
    failed: 2,
    skips: ['later # SKIP not root', 'dist/test/unit/c.test.js # SKIP no tests found'],
    failures: [
      [
        'dist/test/unit/a.test.js > group > two',
        '          diff: |',
        '            not ok 9 - words of a diff',
      ],
      ['dist/test/unit/b.test.js # time=2ms', '  exitCode: 1'],
    ],
  });
  t.end();
});

void t.test('tally: a file that plans nothing was left out', (t) => {
  const text = 'TAP version 14\n1..0 # no C compiler\n# time=1.5ms\n';
  t.strictSame(inScript('tally.mjs', `return m.tally(${JSON.stringify(text)})`), {
    passed: 0,
    failed: 0,
    skips: ['no C compiler'],
    failures: [],
  });
  t.end();
});

void t.test('packages: missing only when a program or file of theirs is', (t) => {
  const missing = (there: string): unknown =>
    inScript(
      'packages.mjs',
      `const there = ${there}; return m.missingOf(['compiler', 'iproute2', 'ping'], (need) => there.includes(need)).flatMap((entry) => entry.packages)`,
    );
  t.strictSame(missing(`['cc', '/usr/include/stdio.h', 'ip', 'tc', 'ping']`), []);
  t.strictSame(
    missing(`['cc', 'ip', 'tc']`),
    ['gcc', 'libc6-dev', 'iputils-ping'],
    'a compiler without headers',
  );
  t.end();
});

void t.test('packages: one sentence names them all', (t) => {
  const sentence = inScript(
    'packages.mjs',
    `return m.askFor(m.missingOf(['compiler', 'ping'], () => false), 'this is not root')`,
  );
  t.match(
    sentence,
    /^needs gcc and libc6-dev to .*, iputils-ping to .*, and this is not root: install them first/,
  );
  t.match(sentence, /apt-get install --no-install-recommends gcc libc6-dev iputils-ping\)$/);
  t.end();
});

void t.test('cache: a folder that could not be filled leaves nothing, and is tried again', (t) => {
  const base = mkdtempSync(join(tmpdir(), 'cache-test-'));
  t.teardown(() => rmSync(base, { recursive: true }));
  const body = `
    const { writeFileSync } = await import('node:fs');
    const first = await m.cachedFolder('x', async (folder) => { writeFileSync(folder + '/half', ''); throw new Error('power cut'); }).catch((error) => error.message);
    let fills = 0;
    const fill = async (folder) => { fills += 1; writeFileSync(folder + '/whole', ''); };
    await Promise.all([m.cachedFolder('x', fill), m.cachedFolder('x', fill)]);
    return [first, fills]`;
  t.strictSame(inScript('cache.mjs', body, { XDG_CACHE_HOME: base }), ['power cut', 1]);
  t.strictSame(readdirSync(join(base, 'lvs-director')), ['x'], 'no lock and no half folder');
  t.strictSame(readdirSync(join(base, 'lvs-director', 'x')), ['whole']);
  t.end();
});

void t.test('cache: the lock of a process that is gone is taken over', (t) => {
  const base = mkdtempSync(join(tmpdir(), 'cache-test-'));
  t.teardown(() => rmSync(base, { recursive: true }));
  const body = `
    const { writeFileSync } = await import('node:fs');
    const { spawnSync } = await import('node:child_process');
    const gone = spawnSync('true').pid;
    writeFileSync(${JSON.stringify(join(base, 'lock'))}, String(gone));
    return m.withLock(${JSON.stringify(join(base, 'lock'))}, async () => 'held')`;
  t.equal(inScript('cache.mjs', body), 'held');
  t.strictSame(readdirSync(base), []);
  t.end();
});

void t.test('bootstrap: an unknown command is told, with status 2', (t) => {
  const script = join(projectFolder(), 'scripts', 'bootstrap.mjs');
  for (const name of ['toString', 'nonsense', '']) {
    const result = spawnSync(process.execPath, [script, name], { encoding: 'utf8' });
    t.equal(result.status, 2, name);
    t.match(result.stderr, /^usage: .*build \| check \| drill \| .*test/);
  }
  t.end();
});
