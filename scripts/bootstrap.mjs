// `npm run drill`, `npm test` and the other scripts of package.json on a machine that has Node, npm and nothing else.
// Plain Node, because it runs before node_modules exists.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT, prepare } from './lib/build.mjs';
import { runChecks } from './lib/checks.mjs';
import { ensureGuestKernel, OTHER_KERNELS } from './lib/kernels.mjs';
import { ensureJudges, hasJudge, hostHasIpvs } from './lib/lab.mjs';
import { ensureNodes } from './lib/nodes.mjs';
import { ensure } from './lib/packages.mjs';
import { StepError, say } from './lib/progress.mjs';
import { runQuickly, runSuite, runWhole } from './lib/suite.mjs';

/** What Debian's own release has; src/drill/vm/lab-kernel.ts has the variable. */
const USUAL_KERNEL = 'usual';
const KERNEL_VARIABLE = 'LVS_DIRECTOR_LAB_KERNEL';

const TEST_USAGE = `usage: npm test [-- --quick | --whole | WORDS]
  everyday tests, in less than half an hour; --whole all of them, --quick those alone that need no root;
  WORDS: the files, long ones too, whose path holds one of them`;

const COMMANDS = {
  async build() {
    await prepare();
    return 0;
  },
  async check() {
    await prepare({ native: false, compile: false });
    return runChecks();
  },
  async drill(args) {
    await prepare();
    const asksOnly = args.includes('--help') || args.includes('--list');
    if (!asksOnly)
      await ensureLab({ nft: args.some((arg) => /\b(services|fullnat|one-way|sync-loss|all)\b/.test(arg)) });
    return passOn(process.execPath, [join(PROJECT, 'dist', 'director', 'main.js'), 'drill', ...args]);
  },
  async interop(args) {
    await prepare();
    await ensureLab({ always: true });
    await judgesInPath();
    return passOn(process.execPath, [join(PROJECT, 'dist', 'test', 'interop', 'main.js'), ...args]);
  },
  kernels,
  async sim(args) {
    await prepare({ native: false });
    return passOn(process.execPath, [join(PROJECT, 'dist', 'test', 'sim', 'main.js'), ...args]);
  },
  'bench-checks': (args) => bench('checks', args),
  'bench-failover': (args) => bench('failover', args),
  'bench-flood': (args) => bench('flood', args),
  'bench-instances': (args) => bench('instances', args),
  'bench-ipvs': (args) => benchInVm('ipvs', args),
  'bench-soak': (args) => bench('soak', args),
  'bench-regroup': (args) => bench('regroup', args),
  'bench-reboot': (args) => benchInVm('reboot', args),
  'bench-reload': (args) => bench('reload', args),
  'bench-sync': (args) => benchInVm('sync', args),
  'bench-standstill': (args) => bench('standstill', args),
  async test(args) {
    if (args.includes('--help')) {
      say(TEST_USAGE);
      return 0;
    }
    await prepare();
    if (args.includes('--quick')) return runQuickly(args.filter((arg) => arg !== '--quick'));
    await ensureLab({ always: true });
    await ensure(['systemd']);
    await ensureNodes();
    await judgesInPath();
    return args.includes('--whole') ? runWhole() : runSuite(args);
  },
};

/** The conformance tests, or those named, on this Debian's kernel and on the others that are known, or on those named. */
async function kernels(args) {
  const known = [USUAL_KERNEL, ...Object.keys(OTHER_KERNELS)];
  const { values, positionals: filters } = parseArgs({
    args,
    options: {
      kernel: { type: 'string', multiple: true, default: known },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  });
  const unknown = values.kernel.find((one) => !known.includes(one));
  if (unknown !== undefined || values.help) {
    say(`usage: npm run kernels -- [--kernel ${known.join(' | ')}]... [TEST FILES, default vm/ipvs]`);
    return values.help ? 0 : 2;
  }
  await prepare();
  await ensureLab({ always: true });
  await judgesInPath();
  const statuses = [];
  for (const kernel of values.kernel) {
    const version = kernel === USUAL_KERNEL ? undefined : kernel;
    await ensureGuestKernel(version);
    process.env[KERNEL_VARIABLE] = version ?? '';
    say(`Linux in the VM: ${kernel}`);
    statuses.push(await runSuite(filters.length > 0 ? filters : ['vm/ipvs']));
  }
  return Math.max(...statuses);
}

/** Benches run in namespaces of this kernel, beside keepalived. */
async function bench(name, args) {
  await prepare();
  if (!args.includes('--help')) {
    if (process.geteuid() !== 0) throw new StepError('a bench needs root for its network namespaces');
    await ensure(['iproute2', 'fping', 'procps']);
    await judgesInPath();
  }
  return passOn(process.execPath, [join(PROJECT, 'dist', 'test', 'bench', `${name}.js`), ...args]);
}

/** Benches of what this kernel may not have. */
async function benchInVm(name, args) {
  await prepare();
  if (!args.includes('--help')) {
    await ensureLab({ always: true });
    await judgesInPath();
  }
  return passOn(process.execPath, [join(PROJECT, 'dist', 'test', 'bench', `${name}.js`), ...args]);
}

/** For what is started from here on: keepalived, FRR and the rest, and what a plain user's path lacks. */
async function judgesInPath() {
  process.env.PATH = [process.env.PATH ?? '', '/usr/sbin', '/sbin', await ensureJudges()].join(delimiter);
}

/** The tests boot the VM even where the host has ip_vs: it is what they test. */
async function ensureLab({ always = false, nft = false } = {}) {
  const vm = always || !(await hostHasIpvs());
  // The tests have nft among their judges, and so has the VM once they were fetched.
  const packages = nft && !(vm && hasJudge('nft')) ? ['nftables'] : [];
  await ensure([
    'iproute2',
    'fping',
    'procps',
    ...packages,
    ...(always ? ['ping'] : []),
    ...(vm ? ['qemu'] : []),
  ]);
  if (vm) await ensureGuestKernel();
}

/** Runs a program in our place: its streams, its signals, its exit status. */
function passOn(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    // A terminal sends SIGINT to both of us: we only wait for the child's own answer to it.
    process.on('SIGINT', () => undefined);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal));
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

const [name, ...args] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name] : undefined;
if (command === undefined) {
  say(`usage: node scripts/bootstrap.mjs ${Object.keys(COMMANDS).join(' | ')} [ARGUMENTS]`);
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await command(args);
  } catch (error) {
    // Only what was foreseen is one sentence; anything else shows where it broke.
    const isForeseen = error instanceof StepError || error.code?.startsWith('ERR_PARSE_ARGS');
    say(isForeseen ? `npm run ${name}: ${error.message}` : error.stack);
    process.exitCode = 1;
  }
}
