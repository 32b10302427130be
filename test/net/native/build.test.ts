import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { packageRoot } from '../../../src/io/sockets/native.js';

/** A package of its own: the native sources and the compiled loader, nothing compiled from C. */
function freshPackage(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'lvs-director-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const root = packageRoot();
  mkdirSync(join(folder, 'native'));
  const sources = readdirSync(join(root, 'native')).filter((name) => /\.(c|h|mjs)$/.test(name));
  for (const file of sources) cpSync(join(root, 'native', file), join(folder, 'native', file));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  cpSync(join(root, 'dist/src'), join(folder, 'dist/src'), { recursive: true });
  return folder;
}

function node(
  args: string[],
  environment: Record<string, string> = {},
): { text: string; status: number | null } {
  const result = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    timeout: 120_000,
  });
  return { text: result.stdout + result.stderr, status: result.status };
}

function build(folder: string, environment: Record<string, string> = {}): ReturnType<typeof node> {
  return node([join(folder, 'native/build.mjs')], environment);
}

/** Loads the addon in a process of its own and uses it. */
function load(folder: string): ReturnType<typeof node> {
  const url = pathToFileURL(join(folder, 'dist/src/io/sockets/native.js')).href;
  const code = `const { native } = await import(${JSON.stringify(url)});
    try { console.log(native().interfaceInfo('lo').index > 0 ? 'loaded' : 'no lo'); }
    catch (error) { console.log(error.code + ' ' + error.message); }`;
  return node(['--input-type=module', '--eval', code]);
}

// A compiler takes its time on a busy machine.
t.setTimeout(300_000);

const prebuilt = `native/prebuilt/linux-${process.arch}`;

void t.test('without anything compiled the error says what to do', async (t) => {
  const folder = freshPackage(t);
  t.match(
    load(folder).text,
    /^ERR_NATIVE_PART .*compile them with `node .*build\.mjs` \(needs gcc and libc6-dev\)/,
  );
});

void t.test('without a compiler: one sentence, or what the package brought', async (t) => {
  const folder = freshPackage(t);
  const refused = build(folder, { CC: '/nonexistent/cc' });
  t.equal(refused.status, 1);
  t.match(refused.text, /^no C compiler \(\/nonexistent\/cc\).*apt-get install gcc libc6-dev.*\n$/);

  cpSync(join(packageRoot(), 'native/build'), join(folder, prebuilt), { recursive: true });
  const kept = build(folder, { CC: '/nonexistent/cc' });
  t.equal(kept.status, 0);
  t.match(kept.text, `using ${prebuilt}`);
  t.match(load(folder).text, /^loaded/);

  writeFileSync(join(folder, prebuilt, 'lvs-director.node'), 'for another machine');
  t.match(load(folder).text, /^ERR_NATIVE_PART .*does not load \(.*\): compile it on this machine with/);
});

void t.test('compiles what changed, and only that', async (t) => {
  const folder = freshPackage(t);
  const first = build(folder);
  t.equal(
    first.text,
    'compiling native/addon.c, native/handle.c, native/interfaces.c, native/memory.c, native/process.c, native/socket-filter.c, native/socket.c, native/timer.c, native/volley.c\ncompiling native/guardian.c, native/advertisement.c, native/channels.c, native/orders.c, native/successor.c, native/withdrawal.c, native/words.c\ncompiling native/runner.c\ncompiling native/load.c, native/load-server.c\n',
  );
  t.match(load(folder).text, /^loaded/);
  t.equal(build(folder).text, '');
  writeFileSync(join(folder, 'native/guardian.c'), 'int main(void) { return 0; }\n');
  t.equal(
    build(folder).text,
    'compiling native/guardian.c, native/advertisement.c, native/channels.c, native/orders.c, native/successor.c, native/withdrawal.c, native/words.c\n',
  );
  writeFileSync(join(folder, 'native/guardian.c'), 'int main(void) { return nothing; }\n');
  const broken = build(folder);
  t.equal(broken.status, 1);
  t.match(broken.text, /could not compile native\/guardian\.c, [^]*nothing/);
});
