// The judges of the tests. They are unpacked into the cache folder and never installed: the packages of keepalived and
// ipvsadm bring services that systemd would start now or at the next boot.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFolder, cacheFolder } from './cache.mjs';
import {
  downloadInto,
  ensureLists,
  findProgram,
  requireApt,
  unpackParts,
  wouldInstall,
} from './packages.mjs';
import { run, runQuietly, StepError, say } from './progress.mjs';

/** `parts`: these of the package alone, without what it depends on. */
const JUDGES = [
  { package: 'ipvsadm', programs: ['ipvsadm'] },
  { package: 'keepalived', programs: ['keepalived'] },
  { package: 'tcpdump', programs: ['tcpdump'] },
  { package: 'tmux', programs: ['tmux'] },
  { package: 'nftables', programs: ['nft'] },
  { package: 'frr', programs: ['zebra', 'vrrpd', 'bfdd'] },
  { package: 'prometheus', programs: ['promtool'], parts: ['./usr/bin/promtool'] },
];
const JUDGES_ARE_FOR = 'judge in tests what the director does';
/** Where a package keeps its programs. frr has them off the PATH. */
const PROGRAM_FOLDERS = ['usr/sbin', 'sbin', 'usr/bin', 'usr/lib/frr'];
/** Whether ip_vs is here or loads: then no VM is needed. */
export async function hostHasIpvs() {
  if (process.geteuid() !== 0) return false;
  if (existsSync('/proc/net/ip_vs')) return true;
  const modprobe = findProgram('modprobe');
  return modprobe !== undefined && (await runQuietly(modprobe, ['-q', 'ip_vs'])).status === 0;
}

/** Whether a judge was fetched already. */
export function hasJudge(name) {
  return existsSync(join(cacheFolder(), 'judges', 'bin', name));
}

/** The folder with programs that start the judges; those that the host has on its PATH are left out. */
export async function ensureJudges() {
  const judges = JUDGES.filter(({ programs }) => programs.some((name) => findProgram(name) === undefined));
  const missing = judges.map((judge) => judge.package);
  const programs = judges.flatMap((judge) => judge.programs);
  const bin = join(cacheFolder(), 'judges', 'bin');
  if (programs.every((name) => existsSync(join(bin, name)))) return bin;
  const entry = { packages: missing, why: JUDGES_ARE_FOR };
  rmSync(join(cacheFolder(), 'judges'), { recursive: true, force: true });
  await cachedFolder('judges', async (folder) => {
    requireApt([entry]);
    say(`fetching ${missing.join(', ')} into ${cacheFolder()} (not installed) to ${JUDGES_ARE_FOR}`);
    await ensureLists([entry]);
    const debs = mkdtempSync(join(folder, 'debs-'));
    const partly = judges.filter(({ parts }) => parts !== undefined);
    await downloadInto('downloading the judges', debs, async () => [
      ...(await wouldInstall(missing.filter((name) => !partly.some((judge) => judge.package === name)))),
      ...partly.map((judge) => judge.package),
    ]);
    for (const file of readdirSync(debs)) {
      const parts = partly.find((judge) => file.startsWith(`${judge.package}_`))?.parts;
      if (parts === undefined) await run('dpkg-deb', ['-x', join(debs, file), folder]);
      else await unpackParts(join(debs, file), folder, parts);
    }
    rmSync(debs, { recursive: true });
    writeWrappers(folder, programs);
    chmodSync(folder, 0o755);
  });
  return bin;
}

/** A program unpacked elsewhere does not find its libraries by itself. */
function writeWrappers(folder, programs) {
  mkdirSync(join(folder, 'bin'));
  for (const name of programs) {
    writeFileSync(join(folder, 'bin', name), wrapper(folder, name), { mode: 0o755 });
  }
}

function wrapper(folder, name) {
  const place = PROGRAM_FOLDERS.find((part) => existsSync(join(folder, part, name)));
  if (place !== undefined)
    return `#!/bin/sh
here=$(dirname "$(dirname "$0")")
lib="$here/usr/lib/x86_64-linux-gnu"
export LD_LIBRARY_PATH="$lib:$here/lib/x86_64-linux-gnu:$lib/frr"
exec "$here/${place}/${name}" "$@"
`;
  // Installed, but off the PATH: apt brings nothing.
  const installed = PROGRAM_FOLDERS.find((part) => existsSync(join('/', part, name)));
  if (installed === undefined) throw new StepError(`no package brought the program ${name}`);
  return `#!/bin/sh\nexec /${installed}/${name} "$@"\n`;
}
