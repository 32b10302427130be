// Compiles the addon, the guardian, the runner of commands and the drill's load with the machine's own C compiler. Plain Node, no dependencies.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const buildDir = join(here, 'build');
const prebuiltDir = join(here, 'prebuilt', `linux-${process.arch}`);
const COMPILE_LIMIT_MS = 120_000;

const WARNINGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'];
const HARDENING = ['-fstack-protector-strong', '-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=2'];
const LINK = ['-Wl,-z,relro,-z,now', '-Wl,-z,noexecstack'];

const TARGETS = [
  {
    output: 'lvs-director.node',
    sources: [
      'addon.c',
      'handle.c',
      'interfaces.c',
      'memory.c',
      'process.c',
      'socket-filter.c',
      'socket.c',
      'timer.c',
      'volley.c',
    ],
    headers: ['addon.h', 'handle.h'],
    // Hidden: a name of ours must not be taken for one that the node executable exports.
    flags: ['-fPIC', '-shared', '-fvisibility=hidden'],
    needsNodeHeaders: true,
  },
  {
    output: 'guardian',
    sources: [
      'guardian.c',
      'advertisement.c',
      'channels.c',
      'orders.c',
      'successor.c',
      'withdrawal.c',
      'words.c',
    ],
    headers: ['advertisement.h', 'channels.h', 'orders.h', 'successor.h', 'withdrawal.h', 'words.h'],
    flags: ['-fPIE', '-pie'],
    needsNodeHeaders: false,
  },
  {
    output: 'runner',
    sources: ['runner.c'],
    headers: [],
    flags: ['-fPIE', '-pie'],
    needsNodeHeaders: false,
  },
  {
    output: 'load',
    sources: ['load.c', 'load-server.c'],
    headers: ['load.h'],
    flags: ['-fPIE', '-pie'],
    needsNodeHeaders: false,
  },
];

/** Folder with node_api.h: of the package node-api-headers, else of the Node installation. */
function nodeHeaders() {
  const candidates = [];
  try {
    candidates.push(createRequire(import.meta.url)('node-api-headers').include_dir);
  } catch {
    // A production install may leave the package out; Node's own headers serve as well.
  }
  candidates.push(join(dirname(process.execPath), '..', 'include', 'node'), '/usr/include/node');
  const found = candidates.find((folder) => existsSync(join(folder, 'node_api.h')));
  if (found === undefined) {
    throw new Error(
      `node_api.h not found (looked in ${candidates.join(', ')}): install the npm package node-api-headers`,
    );
  }
  return found;
}

/** First line of `cc --version`, undefined without a compiler. */
function compilerVersion(compiler) {
  const result = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.split('\n')[0] : undefined;
}

const paths = (names) => names.map((name) => join(here, name));

function argumentsOf(target) {
  const include = target.needsNodeHeaders ? ['-isystem', nodeHeaders()] : [];
  return [...WARNINGS, ...HARDENING, ...include, ...target.flags, ...paths(target.sources), ...LINK];
}

function compile(compiler, version, target, log) {
  const output = join(buildDir, target.output);
  const args = argumentsOf(target);
  const hash = createHash('sha256').update(JSON.stringify([version, process.arch, args]));
  for (const file of paths([...target.sources, ...target.headers])) hash.update(readFileSync(file));
  const stamp = hash.digest('hex');
  const stampFile = `${output}.stamp`;
  if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  const names = target.sources.map((name) => `native/${name}`).join(', ');
  log(`compiling ${names}`);
  // To a name of its own, then renamed: a daemon that has the old file mapped keeps it unharmed.
  const partial = `${output}.${process.pid}`;
  const result = spawnSync(compiler, [...args, '-o', partial], {
    encoding: 'utf8',
    timeout: COMPILE_LIMIT_MS,
  });
  if (result.status !== 0) {
    rmSync(partial, { force: true });
    const words = (result.stderr || String(result.error ?? `signal ${result.signal}`)).trim();
    throw new Error(
      `${compiler} could not compile ${names} (C library headers missing? Debian: apt-get install gcc libc6-dev):\n${words}`,
    );
  }
  renameSync(partial, output);
  writeFileSync(stampFile, stamp);
}

/**
 * Brings native/build/ up to date, or keeps what the package brought in native/prebuilt/linux-ARCH/ where
 * there is no compiler. Throws with one sentence that says what to do.
 */
export function build({ log = () => {} } = {}) {
  const compiler = process.env.CC || 'cc';
  const version = compilerVersion(compiler);
  if (version === undefined) {
    if (TARGETS.every((target) => existsSync(join(prebuiltDir, target.output)))) {
      log(`no C compiler: using native/prebuilt/linux-${process.arch}`);
      return;
    }
    throw new Error(
      `no C compiler (${compiler}) for the native part: install gcc and libc6-dev (Debian: apt-get install gcc libc6-dev) and run node native/build.mjs`,
    );
  }
  mkdirSync(buildDir, { recursive: true });
  for (const target of TARGETS) compile(compiler, version, target, log);
}

/** Compiles, and lays the result where a package made for release carries it. */
export function prebuild({ log = () => {} } = {}) {
  build({ log });
  mkdirSync(prebuiltDir, { recursive: true });
  for (const { output } of TARGETS) copyFileSync(join(buildDir, output), join(prebuiltDir, output));
  log(`native/prebuilt/linux-${process.arch} is up to date`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const log = (line) => console.log(line);
    if (process.argv[2] === '--prebuild') prebuild({ log });
    else build({ log });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
