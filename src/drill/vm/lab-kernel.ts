import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { findProgram } from '../../io/host/programs.js';
import { type CpioEntry, writeCpio } from './cpio.js';
import { EARLY_INIT } from './guest-scripts.js';
import { loadOrder, moduleName, parseModulesDep } from './module-order.js';
import { VmError } from './vm-error.js';

/** What it takes to mount the host's root folder, before anything else can be read. */
const EARLY_MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];

/** What a lab uses. Loaded at boot, because a load on demand needs a privilege that a namespace may not have. */
const LAB_MODULES = [
  'crc32c_generic',
  'nf_conntrack',
  'ip_vs',
  ...['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'sed', 'nq', 'fo', 'ovf', 'mh', 'twos'].map(
    (name) => `ip_vs_${name}`,
  ),
  'ip_vs_ftp',
  'ip_vs_pe_sip',
  'veth',
  'bridge',
  'dummy',
  'macvlan',
  'ipip',
  'tun',
  '8021q',
  'bonding',
  'sch_netem',
  'sch_tbf',
  'nf_tables',
  'nft_chain_nat',
  'nft_ct',
  'nft_masq',
  'nft_nat',
  'nft_limit',
  'nft_log',
  'nft_reject_inet',
  'nft_compat',
  'xt_conntrack',
];

/** Part of the cached initramfs's name: raise it when what stands in this file changes its content. */
const INITRAMFS_VERSION = 3;

/** The unpacked guest kernel. `director drill` finds it in the cache folder; `npm run drill` puts it there. */
export interface LabKernel {
  /** Such as `6.1.0-13-amd64`. */
  readonly release: string;
  readonly folder: string;
  readonly image: string;
  readonly modulesFolder: string;
  readonly busybox: string;
  readonly qemu: string;
}

/** `$XDG_CACHE_HOME/lvs-director`, as scripts/lib/cache.mjs has it. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'lvs-director');
}

/** Where the unpacked judges (ipvsadm, keepalived, tcpdump) have their wrappers. */
export function judgesFolder(): string {
  return join(cacheFolder(), 'judges', 'bin');
}

/** Names another kernel than the usual one, such as `7.3`: `npm run kernels` fetches and sets it. */
export const KERNEL_VARIABLE = 'LVS_DIRECTOR_LAB_KERNEL';

/** As scripts/lib/kernels.mjs has it. */
function kernelFolder(): string {
  const version = process.env[KERNEL_VARIABLE] ?? '';
  return join(cacheFolder(), version === '' ? 'guest-kernel' : `guest-kernel-${version.replaceAll('/', '')}`);
}

/** @throws VmError ERR_NO_LAB_KERNEL, naming what is missing. */
export function findLabKernel(): LabKernel {
  const folder = kernelFolder();
  const missing: string[] = [];
  const qemu = findProgram('qemu-system-x86_64');
  if (qemu === undefined) missing.push('package qemu-system-x86');
  if (findProgram('setpriv') === undefined) missing.push('package util-linux');
  const release = existsSync(join(folder, 'release'))
    ? readFileSync(join(folder, 'release'), 'utf8').trim()
    : undefined;
  if (release === undefined)
    missing.push(`packages linux-image-amd64 and busybox-static, unpacked in ${folder}`);
  if (qemu === undefined || release === undefined || missing.length > 0) {
    throw new VmError(
      'ERR_NO_LAB_KERNEL',
      `this kernel has no ip_vs, and the VM that has it lacks: ${missing.join('; ')}. ` +
        'Load it with `modprobe ip_vs`, or run `npm run drill` once in a checkout, which fetches them',
    );
  }
  return {
    release,
    folder,
    image: join(folder, 'vmlinuz'),
    modulesFolder: join(folder, 'lib', 'modules', release),
    busybox: join(folder, 'busybox'),
    qemu,
  };
}

/** The path of the initramfs for `kernel`; it is built when the cache has none. */
export function ensureInitramfs(kernel: LabKernel): string {
  const path = join(kernel.folder, `initramfs-${kernel.release}-${INITRAMFS_VERSION}.cpio`);
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  // A rename is atomic: a run beside this one sees the whole file or none.
  const temporary = `${path}.${randomUUID()}`;
  writeFileSync(temporary, buildInitramfs(kernel));
  renameSync(temporary, path);
  return path;
}

function buildInitramfs(kernel: LabKernel): Buffer {
  const dependencies = parseModulesDep(readFileSync(join(kernel.modulesFolder, 'modules.dep'), 'utf8'));
  const order = loadOrder(dependencies, [...EARLY_MODULES, ...LAB_MODULES]);
  const folders = ['bin', 'dev', 'proc', 'host', 'rw', 'new', 'm'];
  const entries: CpioEntry[] = folders.map((path) => ({ kind: 'directory', path }));
  entries.push({ kind: 'file', path: 'bin/busybox', content: readFileSync(kernel.busybox), mode: 0o755 });
  entries.push({ kind: 'file', path: 'init', content: Buffer.from(EARLY_INIT), mode: 0o755 });
  const files: string[] = [];
  for (const path of order) {
    const file = `${moduleName(path)}${path.slice(path.indexOf('.ko'))}`;
    files.push(file);
    entries.push({
      kind: 'file',
      path: `m/${file}`,
      content: readFileSync(join(kernel.modulesFolder, path)),
      mode: 0o644,
    });
  }
  entries.push({ kind: 'file', path: 'modules', content: Buffer.from(`${files.join('\n')}\n`), mode: 0o644 });
  return writeCpio(entries);
}
