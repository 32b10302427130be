// Kernels that have ip_vs, for the VM. They are unpacked into the cache folder and never installed: a kernel's package would
// run the host's initramfs hooks and add a boot entry.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cachedFolder, cacheFolder } from './cache.mjs';
import {
  aptOptions,
  downloadInto,
  ensureLists,
  findProgram,
  otherSuite,
  requireApt,
  unpackParts,
} from './packages.mjs';
import { run, runQuietly, StepError, say, step } from './progress.mjs';

const META_PACKAGE = 'linux-image-amd64';
/** What it leads to that holds the kernel: one package, or since 7.0 two. */
const HOLDS_KERNEL = /^linux-(image|binary|modules)-\d/;
const USUAL = { packages: [META_PACKAGE, 'busybox-static'], why: 'boot a VM whose kernel has ip_vs' };
/** Those that the conformance tests run on beside the usual one, each by the suite of Debian that has it. */
export const OTHER_KERNELS = { 6.12: 'bookworm-backports', 7.3: 'trixie-backports' };

/** What a lab can need of a kernel package: a tenth of its size, and depmod is done in a second. */
const DRIVERS = ['ipvlan', 'bonding', 'wireguard', 'vxlan'];
const MODULE_PARTS = [
  'modules.*',
  ...['net', 'lib', 'crypto', 'arch/x86/crypto', 'arch/x86/lib', 'drivers/virtio'].map(
    (part) => `kernel/${part}`,
  ),
  ...['9p', 'fscache', 'netfs', 'overlayfs'].map((part) => `kernel/fs/${part}`),
  'kernel/drivers/net/*.ko*',
  ...DRIVERS.map((driver) => `kernel/drivers/net/${driver}`),
];
/** Since Debian 13 /lib is a link, and the packages say so. */
const KERNEL_PARTS = [
  './boot/vmlinuz-*',
  './usr/lib/modules/*/vmlinuz',
  ...['./lib/modules', './usr/lib/modules'].flatMap((root) =>
    MODULE_PARTS.map((part) => `${root}/*/${part}`),
  ),
];

/** The cache's folder of a kernel; src/drill/vm/lab-kernel.ts knows it, too. */
export function kernelFolder(version) {
  return version === undefined ? 'guest-kernel' : `guest-kernel-${version}`;
}

/** A folder of the cache: vmlinuz, busybox, release, lib/modules. `version`: of OTHER_KERNELS, or this Debian's own. */
export async function ensureGuestKernel(version) {
  if (process.arch !== 'x64')
    throw new StepError(`the VM with ip_vs exists for x86-64 only, and this is ${process.arch}`);
  await cachedFolder(kernelFolder(version), async (folder) => {
    requireApt([USUAL]);
    const what = version === undefined ? META_PACKAGE : `Linux ${version}`;
    say(`fetching ${what} and busybox-static into ${cacheFolder()} (not installed) to ${USUAL.why}`);
    await ensureLists([USUAL]);
    const debs = mkdtempSync(join(folder, 'debs-'));
    const lists = mkdtempSync(join(folder, 'lists-'));
    const options = version === undefined ? [] : await otherSuite(OTHER_KERNELS[version], lists);
    await downloadInto('downloading busybox', debs, async () => ['busybox-static']);
    const text = `downloading the guest kernel (about ${version === undefined ? 70 : 110} MB)`;
    await downloadInto(text, debs, () => kernelPackages(META_PACKAGE, options), options);
    await step('unpacking the guest kernel', () => unpackKernel(folder, debs));
    for (const one of [debs, lists]) rmSync(one, { recursive: true });
  });
}

/** Those that hold the kernel, of all that `name` leads to. */
async function kernelPackages(name, options) {
  const text = await run('apt-cache', [...options, 'depends', name], aptOptions());
  const next = [...text.matchAll(/^ +Depends: (\S+)/gm)].map((match) => match[1]);
  const found = next.filter((one) => HOLDS_KERNEL.test(one));
  const further = await Promise.all(found.map((one) => kernelPackages(one, options)));
  const all = [...new Set([...found, ...further.flat()])];
  if (name === META_PACKAGE && all.length === 0)
    throw new StepError(`apt knows no kernel that ${META_PACKAGE} depends on`);
  return all;
}

async function unpackKernel(folder, debs) {
  for (const file of readdirSync(debs)) {
    const parts = file.startsWith('busybox') ? ['./bin/busybox', './usr/bin/busybox'] : KERNEL_PARTS;
    await unpackParts(join(debs, file), folder, parts);
  }
  const modules = inFolder(folder, ['lib/modules', 'usr/lib/modules']);
  const [release] = modules === undefined ? [] : readdirSync(modules);
  const image =
    release && inFolder(folder, [`boot/vmlinuz-${release}`, `usr/lib/modules/${release}/vmlinuz`]);
  if (!image) throw new StepError('the kernel package holds no vmlinuz');
  const busybox = inFolder(folder, ['bin/busybox', 'usr/bin/busybox']);
  if (busybox === undefined) throw new StepError('the package busybox-static holds no busybox');
  copyFileSync(image, join(folder, 'vmlinuz'));
  copyFileSync(busybox, join(folder, 'busybox'));
  chmodSync(join(folder, 'busybox'), 0o755);
  if (!existsSync(join(folder, 'lib'))) renameSync(join(folder, 'usr', 'lib'), join(folder, 'lib'));
  for (const part of ['boot', 'bin', 'usr']) rmSync(join(folder, part), { recursive: true, force: true });
  await decompress(join(folder, 'lib', 'modules', release));
  await run(join(folder, 'busybox'), ['depmod', '-b', folder, release]);
  writeFileSync(join(folder, 'release'), `${release}\n`);
  chmodSync(folder, 0o755);
}

function inFolder(folder, parts) {
  return parts.map((part) => join(folder, part)).find((path) => existsSync(path));
}

/** The guest's insmod takes them as they are. */
async function decompress(modules) {
  const packed = readdirSync(modules, { recursive: true }).filter((file) => file.endsWith('.ko.xz'));
  if (packed.length === 0) return;
  if (findProgram('xz') === undefined)
    throw new StepError('the modules of this kernel are packed by xz: install the package xz-utils first');
  const { status, output } = await runQuietly('xz', ['-d', ...packed.map((file) => join(modules, file))]);
  if (status !== 0) throw new StepError(`cannot unpack the modules:\n${output}`);
}
