// System packages: what shows that one is there, what it is called, what it is for.
import { accessSync, constants, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run, runQuietly, StepError, say, step } from './progress.mjs';

/** `needs` are programs on PATH, or files by an absolute path; all of them must be there. */
export const PACKAGES = {
  compiler: {
    needs: ['cc', '/usr/include/stdio.h'],
    packages: ['gcc', 'libc6-dev'],
    why: 'compile the native addon',
  },
  iproute2: { needs: ['ip', 'tc'], packages: ['iproute2'], why: 'build the network of a lab' },
  ping: { needs: ['ping'], packages: ['iputils-ping'], why: 'be a client in the tests' },
  fping: { needs: ['fping'], packages: ['fping'], why: 'watch a failover as a client does' },
  nftables: {
    needs: ['nft'],
    packages: ['nftables'],
    why: 'mark and translate packets in the labs of the topologies services and fullnat',
  },
  procps: { needs: ['sysctl'], packages: ['procps'], why: 'set up the hosts of a lab' },
  systemd: {
    needs: [
      '/lib/systemd/systemd',
      '/lib/systemd/systemd-networkd',
      'systemctl',
      'journalctl',
      'networkctl',
      'dbus-daemon',
    ],
    packages: ['systemd', 'dbus'],
    why: 'start the service in the VM as a host does',
  },
  qemu: {
    needs: ['qemu-system-x86_64'],
    packages: ['qemu-system-x86'],
    why: 'run a kernel with ip_vs, which this one lacks',
  },
};

const SBIN = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
/** Of the package debian-archive-keyring. */
const DEBIAN_KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';
const APT_ENVIRONMENT = { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' };
const APT_OPTIONS = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'APT::Sandbox::User=root'];

/** Root's PATH may lack sbin, where ip(8) and others live. */
export function findProgram(name, path = process.env.PATH ?? '') {
  for (const folder of [...path.split(delimiter), ...SBIN]) {
    const file = join(folder || '.', name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

const isThere = (need) => (need.startsWith('/') ? existsSync(need) : findProgram(need) !== undefined);

/** The entries of the table, of those named, that are not there yet. */
export function missingOf(names, present = isThere) {
  return names.map((name) => PACKAGES[name]).filter((entry) => !entry.needs.every(present));
}

/** One sentence for somebody who must install the packages himself. */
export function askFor(entries, reason) {
  const names = entries.flatMap((entry) => entry.packages);
  const uses = entries.map((entry) => `${entry.packages.join(' and ')} to ${entry.why}`).join(', ');
  return `needs ${uses}, and ${reason}: install ${names.length === 1 ? 'it' : 'them'} first (Debian: apt-get install --no-install-recommends ${names.join(' ')})`;
}

/** Installs what is missing of the entries named; what is there is not touched. */
export async function ensure(names) {
  const missing = missingOf(names);
  if (missing.length === 0) return;
  const packages = missing.flatMap((entry) => entry.packages);
  requireApt(missing);
  if (process.geteuid() !== 0) throw new StepError(askFor(missing, 'this is not root'));
  for (const entry of missing) say(`installing ${entry.packages.join(', ')} to ${entry.why}`);
  await ensureLists(missing);
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  await step(`apt-get install ${packages.join(' ')}`, async () => {
    if ((await runQuietly('apt-get', [...APT_OPTIONS, ...install], aptOptions())).status === 0) return;
    await updateLists();
    await run('apt-get', [...APT_OPTIONS, ...install], aptOptions());
  });
  const still = missingOf(names);
  if (still.length > 0) throw new StepError(askFor(still, 'apt-get brought no such program'));
}

export function requireApt(entries) {
  if (findProgram('apt-get') === undefined) throw new StepError(askFor(entries, 'there is no apt-get'));
}

/** Fetches the package lists when there are none: a fresh machine or container has had them removed. */
export async function ensureLists(entries) {
  if (readdirSync('/var/lib/apt/lists').some((file) => file.includes('_Packages'))) return;
  if (process.geteuid() !== 0)
    throw new StepError(askFor(entries, 'apt has no package lists and this is not root'));
  await step('apt-get update', () => updateLists());
}

async function updateLists(options = []) {
  await run('apt-get', [...APT_OPTIONS, ...options, 'update'], aptOptions());
}

/**
 * Downloads packages as files into `folder`, without installing, and says how far it is. When the lists are too old to find
 * them, they are fetched anew once; `namesNow()` then tells the names again, for a kernel's package carries its version
 * in its name. `options` of apt-get(8) choose other lists (`otherSuite`).
 */
export async function downloadInto(text, folder, namesNow, options = []) {
  const attempt = async () =>
    run('apt-get', [...APT_OPTIONS, ...options, 'download', ...(await namesNow())], aptOptions(folder));
  await step(
    text,
    async () => {
      try {
        await attempt();
      } catch (error) {
        if (process.geteuid() !== 0) throw error;
        await updateLists(options);
        await attempt();
      }
    },
    () => `${Math.round(sizeOf(folder) / 1e6)} MB`,
  );
}

function sizeOf(folder) {
  const sizes = readdirSync(folder).map(
    (file) => statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0,
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Patterns that match nothing are no fault (tar would end with 2 for them): what must be there is checked after. */
export async function unpackParts(deb, folder, parts) {
  const tar = ['tar', '-x', '-C', '"$1"', '--wildcards', '--no-wildcards-match-slash', '--no-same-owner'];
  const script = `dpkg-deb --fsys-tarfile "$0" | ${tar.join(' ')} ${parts.map((part) => `'${part}'`).join(' ')}`;
  const { status, output } = await runQuietly('sh', ['-c', script, deb, folder]);
  if (status !== 0 && status !== 2) throw new StepError(`cannot unpack ${deb}:\n${output}`);
}

/**
 * Options of apt for the packages of another suite of Debian, such as `trixie-backports`, from the mirror that this host uses.
 * Its lists are in `folder`; the host's own are not touched.
 */
export async function otherSuite(suite, folder) {
  const targets = ['indextargets', '--format', '$(LABEL) $(REPO_URI)', 'Created-By: Packages'];
  const mirror = /^Debian (\S+)$/m.exec(await run('apt-get', targets, aptOptions()))?.[1];
  if (mirror === undefined) throw new StepError("this host's apt knows no mirror of Debian");
  const sources = join(folder, 'suite.sources');
  writeFileSync(
    sources,
    `Types: deb\nURIs: ${mirror}\nSuites: ${suite}\nComponents: main\nSigned-By: ${DEBIAN_KEYS}\n`,
  );
  const lists = join(folder, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  const settings = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::Lists': lists,
    // Its indexes alone: those of the host stay valid.
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await step(`apt-get update for ${suite}`, () => updateLists(options));
  return options;
}

/** What apt would install here for `packages`: they themselves and the libraries that are missing. */
export async function wouldInstall(packages) {
  const args = ['-s', 'install', '--no-install-recommends', ...packages];
  const plan = await run('apt-get', args, aptOptions());
  return [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1]);
}

export function aptOptions(cwd) {
  return { cwd, env: { ...process.env, ...APT_ENVIRONMENT, LC_ALL: 'C' } };
}
