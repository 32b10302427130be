import { parseArgs } from 'node:util';
import type { DirectorConfig } from '../config/model.js';
import { openAddresses } from '../io/addresses.js';
import { openAnnouncer } from '../io/announcer.js';
import { monotonicClock } from '../io/clock.js';
import { openControlServer } from '../io/control-server.js';
import { startGuardian } from '../io/guardian.js';
import { openIpvs } from '../io/ipvs.js';
import { openLinkMonitor } from '../io/links.js';
import { missingCapabilities } from '../io/privileges.js';
import { openProber } from '../io/probes.js';
import { interfaceFaults } from '../io/required-interfaces.js';
import { openNotifier } from '../io/sd-notify.js';
import { openStateFile } from '../io/state-file.js';
import { openSysctls } from '../io/sysctls.js';
import { vrrpTransportOpener } from '../io/vrrp-transport.js';
import { LOG_LEVELS, type LogLevel, type OpenLog, openLog } from '../observe/logger.js';
import { Director } from '../runtime/director.js';
import type { Log, Notifier } from '../runtime/ports.js';
import { type Command, OperationalError, UsageError } from './command.js';
import {
  CONFIG_OPTIONS,
  CONFIG_OPTIONS_USAGE,
  type ConfigOptions,
  EXIT_CONFIG,
  faultText,
  loadConfig,
  readConfig,
} from './load-config.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from './runtime-dir.js';
import { type DaemonSignals, takeSignals } from './signals.js';

const USAGE = `Usage: director run [OPTIONS]

Runs the director in the foreground: elects a master by VRRP, moves the addresses, programs IPVS, checks the real
servers. SIGHUP reads the configuration again, SIGTERM or Ctrl-C hands over to the peer and leaves (a second one at
once). Needs CAP_NET_ADMIN and CAP_NET_RAW; under systemd it is the service lvs-director.

${CONFIG_OPTIONS_USAGE.replace(/^ {2}--json.*\n/m, '')}${RUNTIME_OPTIONS_USAGE}  --log FORMAT        json or pretty (default pretty on a terminal, else json)
  --log-level LEVEL   ${LOG_LEVELS.join(', ')} (default info)
`;

function options(argv: readonly string[]) {
  const { config, director } = CONFIG_OPTIONS;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config,
      director,
      ...RUNTIME_OPTIONS,
      log: { type: 'string' },
      'log-level': { type: 'string', default: 'info' },
    },
  });
  const format = values.log ?? (process.stdout.isTTY ? 'pretty' : 'json');
  if (format !== 'json' && format !== 'pretty')
    throw new UsageError(`--log is json or pretty, not '${format}'`);
  const level = LOG_LEVELS.find((name) => name === values['log-level']);
  if (level === undefined) throw new UsageError(`--log-level is one of ${LOG_LEVELS.join(', ')}`);
  return { file: values, runtimeDirectory: values['runtime-dir'], format, level } as const;
}

function checkPrivileges(): void {
  const missing = missingCapabilities(['CAP_NET_ADMIN', 'CAP_NET_RAW']);
  if (missing.length === 0) return;
  throw new OperationalError(
    'ERR_NO_PRIVILEGE',
    `this process lacks ${missing.join(' and ')}: start it as root or with 'systemctl start lvs-director'`,
  );
}

/** Before anything is opened: what is missing is told for all instances at once. */
function checkInterfaces(config: DirectorConfig): void {
  const faults = interfaceFaults(config.instances);
  if (faults.length > 0) throw new OperationalError('ERR_INTERFACE', faults.join('; '));
}

/** Everything that is open while the daemon runs. */
interface Daemon {
  readonly director: Director;
  close(): Promise<void>;
}

/** Parts of the VRRP service that the configuration cannot ask for yet. */
const NOT_YET = {
  routes: { add: async () => {}, remove: async () => {} },
  virtualMacs: { create: async () => {}, remove: async () => {} },
  acceptFilter: { drop: async () => {} },
};

/** Opens what the daemon needs, in an order in which a failure leaves nothing behind. */
async function bringUp(config: DirectorConfig, runtimeDirectory: string, log: Log): Promise<Daemon> {
  let director: Director | undefined;
  // First: it also keeps a second daemon out.
  const control = await openControlServer(runtimeDirectory, { '/status': () => director?.status() ?? {} });
  const addresses = openAddresses();
  const announcer = openAnnouncer((error) => log.warn({ err: error }, 'gratuitous ARP could not be sent'));
  const guardian = startGuardian({
    onActed: () => director?.withdrawn(),
    onError: (error) => log.error({ err: error }, 'the guardian is in trouble'),
  });
  const close = async () => {
    guardian.disarm();
    announcer.close();
    addresses.close();
    await control.close();
  };
  const virtual = config.instances.flatMap((instance) => instance.addresses.map((a) => a.address));
  try {
    director = await Director.start(config, {
      clock: monotonicClock,
      openTransport: vrrpTransportOpener(virtual),
      openLinkMonitor,
      addresses,
      ...NOT_YET,
      announcer,
      guardian,
      openIpvs,
      prober: openProber(),
      sysctls: openSysctls(),
      stateFile: openStateFile(runtimeDirectory, (path, reason) =>
        log.warn({ err: reason }, `${path} is damaged: starting without it`),
      ),
      log,
      started: new Date().toISOString(),
    });
    return { director, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Reads the file again; one that is wrong or cannot run here is told and changes nothing. */
async function reload(director: Director, file: ConfigOptions, log: Log, notifier: Notifier): Promise<void> {
  notifier.notify(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  const result = await readConfig(file);
  const faults = result.ok
    ? interfaceFaults(result.config.instances)
    : faultText(file.config, result).trimEnd().split('\n');
  if (!result.ok || faults.length > 0) {
    log.error({ event: 'reload', faults }, `${faults.join('; ')}: the director goes on with what it had`);
  } else {
    try {
      await director.reload(result.config);
      log.info({ event: 'reload' }, 'configuration reloaded');
    } catch (error) {
      log.error(
        { event: 'reload', err: error },
        'the reload failed part way: mend the cause and reload again',
      );
    }
  }
  notifier.notify('READY=1');
}

/** Serves until SIGTERM or SIGINT. */
async function serve(daemon: Daemon, file: ConfigOptions, log: Log, signals: DaemonSignals): Promise<void> {
  const { director } = daemon;
  const notifier = openNotifier((error) => log.warn({ err: error }, 'the service manager was not reached'));
  let reloads: Promise<void> = Promise.resolve();
  const watchdog =
    notifier.watchdogMs === undefined
      ? undefined
      : setInterval(() => notifier.notify('WATCHDOG=1'), notifier.watchdogMs / 2);
  signals.onReload(() => {
    reloads = reloads.then(() => reload(director, file, log, notifier));
  });
  notifier.notify('READY=1');
  log.info({ event: 'ready' }, 'ready');
  const signal = await signals.stop;
  log.info({ event: 'stopping', signal }, `${signal}: handing over and leaving`);
  notifier.notify('STOPPING=1');
  signals.onHurry(() => director.hurry());
  await reloads;
  await director.stop();
  await daemon.close();
  clearInterval(watchdog);
  log.info({ event: 'stopped' }, 'stopped');
}

async function runDaemon(config: DirectorConfig, argv: ReturnType<typeof options>): Promise<number> {
  const { level, format, file, runtimeDirectory }: { level: LogLevel } & typeof argv = argv;
  const opened: OpenLog = await openLog({ format, level, director: config.director });
  const signals = takeSignals(() => monotonicClock.nowMs());
  try {
    const daemon = await bringUp(config, runtimeDirectory, opened.log);
    await serve(daemon, file, opened.log, signals);
    return 0;
  } finally {
    opened.flush();
  }
}

export const command: Command = {
  name: 'run',
  summary: 'run the director in the foreground',
  usage: USAGE,
  async run(argv) {
    const chosen = options(argv);
    const config = await loadConfig(chosen.file);
    if (config === undefined) return EXIT_CONFIG;
    checkPrivileges();
    checkInterfaces(config);
    return runDaemon(config, chosen);
  },
};
