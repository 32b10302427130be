/** The VRRP process from start to end: opens what it needs, serves until a signal, reloads. */
import { setFlagsFromString } from 'node:v8';
import type { ElectionConfig } from '../../config/model.js';
import { openBfdPorts } from '../../io/bfd/transport.js';
import { ACCEPT_FILTER_SET, openAcceptFilter } from '../../io/host/accept-filter.js';
import { monotonicClock } from '../../io/host/clock.js';
import { keepConfiguration } from '../../io/host/configuration-files.js';
import { openLoopDelay } from '../../io/host/event-loop-delay.js';
import { openMaintenanceFile } from '../../io/host/maintenance-file.js';
import { collectGarbage, releaseCode } from '../../io/host/memory.js';
import { takeRealTime } from '../../io/host/real-time.js';
import { VRRP_STATE } from '../../io/host/state-file.js';
import { type HostAddresses, openAddresses } from '../../io/netlink/addresses.js';
import { openLinkMonitor } from '../../io/netlink/links.js';
import { openNftSets } from '../../io/netlink/nft-sets.js';
import { openRouting } from '../../io/netlink/routing/routing.js';
import { openVirtualMacs } from '../../io/netlink/virtual-mac.js';
import { openVolley } from '../../io/netlink/volley.js';
import { openControlServer } from '../../io/operator/control-server.js';
import { ControlRequestError, NotReadyError } from '../../io/operator/http-socket.js';
import { openNotifier } from '../../io/operator/sd-notify.js';
import { startGuardian } from '../../io/processes/guardian.js';
import type { ServicesStarter } from '../../io/processes/services-process.js';
import { openAnnouncer } from '../../io/vrrp/announcer.js';
import { rehearseEncoding } from '../../io/vrrp/rehearsal.js';
import { vrrpTransportOpener } from '../../io/vrrp/transport.js';
import type { LogFormat, LogLevel } from '../../observe/logger.js';
import type { Configuration, Load, LoadRequest } from '../../runtime/configuration.js';
import { Director } from '../../runtime/director.js';
import { rehearseTakeover } from '../../runtime/election/rehearsal.js';
import { addressLifetime } from '../../runtime/guardian/address-lifetime.js';
import { KeptAcceptFilter } from '../../runtime/kept-accept-filter.js';
import { NoInstanceError, PersistError } from '../../runtime/maintenance.js';
import type { AcceptFilter, Announcer, Log } from '../../runtime/ports.js';
import { MAX_TOLD_FAULTS, type ReloadPorts, reload } from '../../runtime/reload.js';
import { ServicesError } from '../../runtime/services-supervisor.js';
import type { MaintenanceAnswer, MaintenanceOrder } from '../../runtime/status.js';
import { keepState } from './keep-state.js';
import { openProcessLog, type ProcessLog } from './process-log.js';
import { Reloads } from './reloads.js';
import { type DaemonSignals, takeSignals } from './signals.js';

export interface DaemonOptions {
  /** How the file is read, at first and again. */
  readonly request: LoadRequest;
  readonly load: Load;
  readonly runtimeDirectory: string;
  readonly stateDirectory: string;
  readonly realTime: boolean;
  readonly format: LogFormat;
  readonly level: LogLevel;
  readonly services: ServicesStarter;
}

/** Everything that is open while the daemon runs. */
interface Daemon {
  readonly director: Director;
  close(): Promise<void>;
}

/** `POST /maintenance`. */
async function maintenance(director: Director | undefined, body: unknown): Promise<MaintenanceAnswer> {
  if (director === undefined) throw new ControlRequestError('the director is still starting');
  const { instances, on, persist } = Object(body) as Partial<Record<keyof MaintenanceOrder, unknown>>;
  const names = instances === null ? null : namesIn(instances);
  if (names === undefined || typeof on !== 'boolean' || typeof persist !== 'boolean') {
    throw new ControlRequestError(
      'expected { instances: [NAME, ...] or null, on: boolean, persist: boolean }',
    );
  }
  try {
    return await director.maintenance({ instances: names, on, persist });
  } catch (error) {
    const foreseen = error instanceof NoInstanceError || error instanceof PersistError;
    throw foreseen ? new ControlRequestError(error.message, { cause: error }) : error;
  }
}

function namesIn(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const names = value.filter((name) => typeof name === 'string');
  return names.length === value.length ? names : undefined;
}

/** What a takeover would otherwise have to do first: it has milliseconds, and this may be weeks before it. */
async function getReady(
  { instances }: ElectionConfig,
  addresses: HostAddresses,
  announcer: Announcer,
): Promise<void> {
  // V8 forgets the compiled code of functions that were not called for a while: a backup's takeover, above all.
  setFlagsFromString('--no-flush-bytecode');
  // Before the rehearsal, which touches what a takeover needs.
  releaseCode();
  await addresses.prepare(instances.flatMap((instance) => instance.addresses));
  const one = (['ipv4', 'ipv6'] as const).flatMap(
    (family) => instances.find((each) => each.family === family) ?? [],
  );
  rehearseEncoding(one, announcer);
  await rehearseTakeover(one);
  collectGarbage();
}

function acceptFilter(log: Log): AcceptFilter {
  const { table, set } = ACCEPT_FILTER_SET;
  const sets = openNftSets();
  const find = () => sets.find(table, set);
  return new KeptAcceptFilter({ filter: openAcceptFilter(), find, clock: monotonicClock, log });
}

/** Opens what the daemon needs, in an order in which a failure leaves nothing behind. */
async function bringUp(
  configuration: Configuration,
  { runtimeDirectory, stateDirectory, realTime, services, load }: DaemonOptions,
  { log, status: logStatus }: ProcessLog,
): Promise<Daemon> {
  let director: Director | undefined;
  const config = () => director?.config ?? configuration.election;
  const instances = () => config().instances;
  const virtualAddresses = () => instances().flatMap((one) => one.addresses.map(({ address }) => address));
  const answers = {
    get: {
      '/status': () => {
        if (director === undefined) throw new NotReadyError('the director is still starting');
        return director.status();
      },
    },
    post: { '/maintenance': (body: unknown) => maintenance(director, body) },
  };
  // First: it also keeps a second daemon out.
  const control = await openControlServer(runtimeDirectory, answers, {
    clock: monotonicClock,
    onTrouble: (words) => log.warn({ event: 'control-socket' }, words),
  });
  const addresses = openAddresses(() => addressLifetime(config()));
  const routing = openRouting();
  const virtualMacs = openVirtualMacs();
  const announcer = openAnnouncer((error) => log.warn({ err: error }, 'gratuitous ARP could not be sent'), {
    // Devices over one parent share its wire, and its pace.
    segmentOf: (name) =>
      instances().find((instance) => instance.virtualMacInterface === name)?.interface ?? name,
  });
  const guardian = startGuardian({
    onActed: () => director?.withdrawn(),
    onError: (error) => log.error({ err: error }, 'the guardian is in trouble'),
  });
  let endRealTime = () => {};
  const close = async () => {
    endRealTime();
    guardian.disarm();
    announcer.close();
    addresses.close();
    routing.close();
    virtualMacs.close();
    await keepConfiguration(runtimeDirectory, undefined).catch((error: unknown) =>
      log.warn({ err: error }, 'the configuration could not be removed from the runtime directory'),
    );
    await control.close();
  };
  try {
    await keepConfiguration(runtimeDirectory, configuration.path);
    await getReady(configuration.election, addresses, announcer);
    director = await Director.start(configuration, {
      clock: monotonicClock,
      openTransport: vrrpTransportOpener(virtualAddresses),
      bfd: openBfdPorts(virtualAddresses),
      openLinkMonitor,
      addresses,
      routing,
      virtualMacs,
      acceptFilter: acceptFilter(log),
      announcer,
      openVolley,
      guardian,
      startServices: services.start,
      load,
      loopDelay: openLoopDelay(),
      logStatus,
      maintenanceFile: openMaintenanceFile(stateDirectory, (path, reason) =>
        log.warn({ err: reason }, `${path} is damaged: starting without it`),
      ),
      stateFile: keepState(VRRP_STATE, runtimeDirectory, log),
      log,
      // All threads are there by now: those that are made later are not concerned.
      beforeElection: () => {
        if (realTime) endRealTime = takeRealTime(log);
      },
      started: new Date().toISOString(),
    });
    return { director, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Serves until a signal to stop. */
async function serve(
  daemon: Daemon,
  options: DaemonOptions,
  log: Log,
  signals: DaemonSignals,
): Promise<void> {
  const { director } = daemon;
  const notifier = openNotifier((error) => log.warn({ err: error }, 'the service manager was not reached'));
  const request = { ...options.request, maxFaults: MAX_TOLD_FAULTS };
  const ports: ReloadPorts = {
    log,
    notifier,
    nowUs: () => process.hrtime.bigint() / 1000n,
    load: () => director.load({ ...request, current: director.configuration.election.director }),
    current: () => director.configuration,
    apply: (configuration) => director.reload(configuration),
    keepOnly: (path) => keepConfiguration(options.runtimeDirectory, path),
    stopping: () => signals.stopping(),
  };
  const reloads = new Reloads(() => reload(ports));
  const watchdog =
    notifier.watchdogMs === undefined
      ? undefined
      : setInterval(() => notifier.notify('WATCHDOG=1'), notifier.watchdogMs / 2);
  signals.onReload(() => reloads.request());
  signals.onQuestion((signal) =>
    log.info(
      { signal },
      `${signal}: 'director status' tells the state, 'director top' shows it as it changes`,
    ),
  );
  director.watchRoles((roles) => notifier.notify(`STATUS=${roles}`));
  notifier.notify('READY=1');
  log.info({ event: 'ready' }, 'ready');
  const signal = await signals.stop;
  log.info({ event: 'stopping', signal }, `${signal}: handing over and leaving`);
  notifier.notify('STOPPING=1');
  signals.onHurry(() => director.hurry());
  reloads.close();
  await director.stop();
  await daemon.close();
  clearInterval(watchdog);
  log.info({ event: 'stopped' }, 'stopped');
}

/** A signal to all processes may end the services process while it still loads: then this is no failure. */
function stoppedEarly(error: unknown, signals: DaemonSignals): boolean {
  return error instanceof ServicesError && error.code === 'ERR_SERVICES_ENDED' && signals.stopping();
}

/** @throws OperationalError and others with a `code`, after everything was undone. */
export async function runDaemon(configuration: Configuration, options: DaemonOptions): Promise<number> {
  const { level, format } = options;
  const opened = await openProcessLog({ format, level, director: configuration.election.director });
  const signals = takeSignals(() => monotonicClock.nowMs());
  try {
    const daemon = await bringUp(configuration, options, opened);
    await serve(daemon, options, opened.log, signals);
    return 0;
  } catch (error) {
    if (!stoppedEarly(error, signals)) throw error;
    opened.log.info({ event: 'stopped' }, 'stopped during the start');
    return 0;
  } finally {
    await opened.end();
  }
}
