// Bundles the program into a few files: a start of Node looks for, reads and compiles some hundred otherwise, which takes three
// times as long.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const OUTPUT = 'dist/director';

/** What is started as a program of its own. The bundle has them where `src` has them: src/program.ts looks there. */
const ENTRY_POINTS = ['main', 'drill/client/client'];

/** CommonJS within asks for Node's own modules by `require`. */
const REQUIRE = `import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);`;

/** Reads `src` of a project whose packages are installed, writes `dist/director`. */
export async function bundle(project) {
  const { build } = await import('esbuild');
  rmSync(join(project, OUTPUT), { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: project,
    entryPoints: ENTRY_POINTS.map((name) => `src/${name}.ts`),
    outbase: 'src',
    outdir: OUTPUT,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // It has a native part, which it looks for beside itself.
    external: ['netlink'],
    banner: { js: REQUIRE },
    sourcemap: true,
    metafile: true,
    logLevel: 'silent',
  });
  writeFileSync(
    join(project, OUTPUT, 'LICENSES-OF-PACKAGES'),
    licenses(project, Object.keys(metafile.inputs)),
  );
}

/** What the packages in the bundle ask to go along with copies of them. */
function licenses(project, inputs) {
  const names = inputs.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(names)]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => {
      const folder = join(project, 'node_modules', name);
      const files = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file));
      return [name, ...files.map((file) => readFileSync(join(folder, file), 'utf8').trim())].join('\n\n');
    })
    .join('\n\n---\n\n');
}
