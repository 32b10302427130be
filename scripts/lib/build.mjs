// Brings node_modules, the native addon and dist up to date, each only when what it is made of has changed.
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundle } from './bundle.mjs';
import { cacheFolder, withLock } from './cache.mjs';
import { ensure } from './packages.mjs';
import { run, say, step } from './progress.mjs';

export const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** One build at a time in one checkout: `npm test` beside `npm run drill` must not write dist twice. */
export async function prepare({ native = true, compile = true } = {}) {
  mkdirSync(cacheFolder(), { recursive: true });
  const name = createHash('sha256').update(realpathSync(PROJECT)).digest('hex').slice(0, 16);
  await withLock(join(cacheFolder(), `build-${name}.lock`), async () => {
    await installModules();
    if (native) await buildNative();
    if (compile) await compileTypeScript();
  });
}

/** No install script runs: the one package with native parts ships them ready-made. */
async function installModules() {
  // A linked folder belongs to another checkout, which keeps it.
  if (lstatSync(join(PROJECT, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink() === true) return;
  const stamp = hashOf(['package-lock.json']);
  const stampFile = join(PROJECT, 'node_modules', '.lvs-director-stamp');
  if (isStamped(stampFile, stamp)) return;
  // npm keeps a copy of the lock it installed: who ran `npm ci` himself need not wait again.
  if (
    !existsSync(join(PROJECT, 'node_modules', '.package-lock.json')) ||
    existsSync(stampFile) ||
    !npmAgrees()
  ) {
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
    await step('npm ci (the packages of package-lock.json)', () => run('npm', args, { cwd: PROJECT }));
  }
  writeFileSync(stampFile, stamp);
}

/** Whether node_modules holds exactly the packages and versions of package-lock.json, but for optional ones. */
function npmAgrees() {
  const packagesOf = (file) => JSON.parse(readFileSync(join(PROJECT, file), 'utf8')).packages;
  const wanted = Object.entries(packagesOf('package-lock.json')).filter(([path]) => path !== '');
  const installed = packagesOf(join('node_modules', '.package-lock.json'));
  return wanted.every(([path, entry]) =>
    installed[path] === undefined ? entry.optional === true : installed[path].version === entry.version,
  );
}

async function buildNative() {
  const script = join(PROJECT, 'native', 'build.mjs');
  if (!existsSync(script)) return;
  if (!process.env.CC) await ensure(['compiler']);
  const { build } = await import(pathToFileURL(script).href);
  await build({ log: say });
}

async function compileTypeScript() {
  const files = [...filesBelow('src'), ...filesBelow('test')].filter((file) => file.endsWith('.ts'));
  const stamp = hashOf([...files, 'tsconfig.json', 'package-lock.json', 'scripts/lib/bundle.mjs']);
  const stampFile = join(PROJECT, 'dist', '.sources');
  if (isStamped(stampFile, stamp)) return;
  rmSync(stampFile, { force: true });
  dropOrphans(new Set(files));
  await step('compiling TypeScript', () =>
    run(join(PROJECT, 'node_modules', '.bin', 'tsc'), ['-p', '.'], { cwd: PROJECT }),
  );
  await bundle(PROJECT);
  writeFileSync(stampFile, stamp);
}

/** A test whose source was removed must not go on running. */
function dropOrphans(sources) {
  for (const file of filesBelow('dist')) {
    if (!file.endsWith('.js')) continue;
    const source = file.replace(/^dist\//, '').replace(/\.js$/, '.ts');
    if (!sources.has(source)) rmSync(join(PROJECT, file));
  }
}

/** Paths of the files below a folder of the project, relative to it, sorted. */
export function filesBelow(folder) {
  if (!existsSync(join(PROJECT, folder))) return [];
  const found = [];
  for (const entry of readdirSync(join(PROJECT, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) found.push(...filesBelow(path));
    else found.push(path);
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(PROJECT, file)))
      .update('\0');
  return hash.digest('hex');
}

function isStamped(file, stamp) {
  return existsSync(file) && readFileSync(file, 'utf8') === stamp;
}
