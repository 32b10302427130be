// The guest kernel and the judges of the tests. Both are unpacked into the cache folder and never installed:
// a kernel's package would run the host's initramfs hooks and add a boot entry, and those of keepalived and ipvsadm
// bring services that systemd would start now or at the next boot.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cachedFolder, cacheFolder } from './cache.mjs';
import {
  aptOptions,
  downloadPackages,
  ensureLists,
  findProgram,
  requireApt,
  wouldInstall,
} from './packages.mjs';
import { run, runQuietly, StepError, say, step } from './progress.mjs';

const KERNEL_PACKAGE = 'linux-image-amd64';
const GUEST = { packages: [KERNEL_PACKAGE, 'busybox-static'], why: 'boot a VM whose kernel has ip_vs' };
/** `parts`: these of the package alone, without what it depends on. */
const JUDGES = [
  { package: 'ipvsadm', programs: ['ipvsadm'] },
  { package: 'keepalived', programs: ['keepalived'] },
  { package: 'tcpdump', programs: ['tcpdump'] },
  { package: 'nftables', programs: ['nft'] },
  { package: 'frr', programs: ['zebra', 'vrrpd'] },
  { package: 'prometheus', programs: ['promtool'], parts: ['./usr/bin/promtool'] },
];
const JUDGES_ARE_FOR = 'judge in tests what the director does';
/** Where a package keeps its programs. frr has them off the PATH. */
const PROGRAM_FOLDERS = ['usr/sbin', 'sbin', 'usr/bin', 'usr/lib/frr'];
/** What a lab can need of a kernel package: a tenth of its size, and depmod is done in a second. */
const KERNEL_PARTS = [
  './boot/vmlinuz-*',
  './lib/modules/*/modules.*',
  ...[
    'net',
    'lib',
    'crypto',
    'arch/x86/crypto',
    'drivers/virtio',
    'fs/9p',
    'fs/fscache',
    'fs/netfs',
    'fs/overlayfs',
  ].map((part) => `./lib/modules/*/kernel/${part}`),
  './lib/modules/*/kernel/drivers/net/*.ko*',
  ...['ipvlan', 'bonding', 'wireguard', 'vxlan'].map((part) => `./lib/modules/*/kernel/drivers/net/${part}`),
];

/** Whether ip_vs is here or loads: then no VM is needed. */
export async function hostHasIpvs() {
  if (process.geteuid() !== 0) return false;
  if (existsSync('/proc/net/ip_vs')) return true;
  const modprobe = findProgram('modprobe');
  return modprobe !== undefined && (await runQuietly(modprobe, ['-q', 'ip_vs'])).status === 0;
}

/** The folder `guest-kernel` of the cache: vmlinuz, busybox, release, lib/modules. */
export async function ensureGuestKernel() {
  if (process.arch !== 'x64')
    throw new StepError(`the VM with ip_vs exists for x86-64 only, and this is ${process.arch}`);
  await cachedFolder('guest-kernel', async (folder) => {
    requireApt([GUEST]);
    say(`fetching ${GUEST.packages.join(' and ')} into ${cacheFolder()} (not installed) to ${GUEST.why}`);
    await ensureLists([GUEST]);
    const debs = mkdtempSync(join(folder, 'debs-'));
    await download('downloading the guest kernel (about 70 MB)', debs, async () => [
      await kernelPackage(),
      'busybox-static',
    ]);
    await step('unpacking the guest kernel', () => unpackKernel(folder, debs));
    rmSync(debs, { recursive: true });
  });
}

async function kernelPackage() {
  const text = await run('apt-cache', ['depends', KERNEL_PACKAGE], aptOptions());
  const match = /Depends: (linux-image-\S+)/.exec(text);
  if (match === null) throw new StepError(`apt knows no kernel that ${KERNEL_PACKAGE} depends on`);
  return match[1];
}

async function unpackKernel(folder, debs) {
  for (const file of readdirSync(debs)) {
    const parts = file.startsWith('busybox') ? ['./bin/busybox', './usr/bin/busybox'] : KERNEL_PARTS;
    await unpackParts(join(debs, file), folder, parts);
  }
  const image = readdirSync(join(folder, 'boot')).find((file) => file.startsWith('vmlinuz-'));
  const release = image?.slice('vmlinuz-'.length);
  if (image === undefined || release === undefined)
    throw new StepError('the kernel package holds no vmlinuz');
  copyFileSync(join(folder, 'boot', image), join(folder, 'vmlinuz'));
  const busybox = ['bin', 'usr/bin']
    .map((part) => join(folder, part, 'busybox'))
    .find((path) => existsSync(path));
  if (busybox === undefined) throw new StepError('the package busybox-static holds no busybox');
  copyFileSync(busybox, join(folder, 'busybox'));
  chmodSync(join(folder, 'busybox'), 0o755);
  for (const part of ['boot', 'bin', 'usr']) rmSync(join(folder, part), { recursive: true, force: true });
  await run(join(folder, 'busybox'), ['depmod', '-b', folder, release]);
  writeFileSync(join(folder, 'release'), `${release}\n`);
  chmodSync(folder, 0o755);
}

/** Patterns that match nothing are no fault (tar would end with 2 for them): what must be there is checked after. */
async function unpackParts(deb, folder, parts) {
  const tar = ['tar', '-x', '-C', '"$1"', '--wildcards', '--no-wildcards-match-slash', '--no-same-owner'];
  const script = `dpkg-deb --fsys-tarfile "$0" | ${tar.join(' ')} ${parts.map((part) => `'${part}'`).join(' ')}`;
  const { status, output } = await runQuietly('sh', ['-c', script, deb, folder]);
  if (status !== 0 && status !== 2) throw new StepError(`cannot unpack ${deb}:\n${output}`);
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
    await download('downloading the judges', debs, async () => [
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

async function download(text, folder, names) {
  const size = () => {
    const bytes = readdirSync(folder).map(
      (file) => statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0,
    );
    return `${Math.round(bytes.reduce((sum, value) => sum + value, 0) / 1e6)} MB`;
  };
  await step(text, () => downloadPackages(names, folder), size);
}
