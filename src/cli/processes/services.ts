import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { parseArgs } from 'node:util';
import type { DirectorConfig } from '../../config/model.js';
import { IcmpProbes } from '../../io/checks/icmp-probes.js';
import { openProber } from '../../io/checks/probes.js';
import { openTrackProber } from '../../io/checks/track-probes.js';
import { monotonicClock } from '../../io/host/clock.js';
import { openConfigurationReader, restoreConfiguration } from '../../io/host/configuration-files.js';
import { openLoopDelay } from '../../io/host/event-loop-delay.js';
import { releaseCode, staySmall } from '../../io/host/memory.js';
import { openNft } from '../../io/host/nft.js';
import { inHurry, takeLowPriority } from '../../io/host/real-time.js';
import { OVERRIDES, SERVICES_STATE } from '../../io/host/state-file.js';
import { syncInterfaces } from '../../io/host/sync-interfaces.js';
import { openSysctls } from '../../io/host/sysctls.js';
import { type KernelIpvs, openIpvs } from '../../io/netlink/ipvs.js';
import { openNftSets } from '../../io/netlink/nft-sets.js';
import { eventSocketPath, openEventSocket } from '../../io/operator/event-socket.js';
import { openServicesSocket, servicesSocketPath } from '../../io/operator/services-socket.js';
import type { Keeping } from '../../io/operator/standing-socket.js';
import { readPeerKey } from '../../io/peer/peer-key.js';
import { openPeerSocket } from '../../io/peer/peer-socket.js';
import { openCommands } from '../../io/processes/command.js';
import { openLoaderAhead } from '../../io/processes/loader.js';
import { openParentLink, type ParentLink } from '../../io/processes/services-process.js';
import { forgetClosed } from '../../io/sync/forget.js';
import { replayConnections, replayYoung } from '../../io/sync/replay.js';
import { listenToReplays } from '../../io/sync/replay-listener.js';
import { tableNumbers } from '../../ipvs/count.js';
import type { LogFormat, LogLevel } from '../../observe/logger.js';
import { MAIN } from '../../program.js';
import { Looks } from '../../runtime/looks.js';
import type { Log } from '../../runtime/ports.js';
import { HandOver, type HandOverPorts } from '../../runtime/services/hand-over.js';
import type { MetricsPorts } from '../../runtime/services/metrics-keeper.js';
import { PeerChannelPart } from '../../runtime/services/peer/peer-channel.js';
import type { PeerPorts, Replayed, ReplayOptions } from '../../runtime/services/peer/peer-ports.js';
import { ServicesHost } from '../../runtime/services/services-host.js';
import type { IpvsCounters } from '../../runtime/services/services-ports.js';
import { TrackAndHooks, type TrackAndHooksPorts } from '../../runtime/services/track-and-hooks.js';
import { canonicalAddress } from '../../util/ip-address.js';
import { type Command, UsageError } from '../command.js';
import { LOG_OPTIONS, logOptions } from '../log-options.js';
import { RUNTIME_OPTIONS, STATE_OPTIONS } from '../runtime-dir.js';
import { version } from '../version.js';
import { keepState } from './keep-state.js';
import { openProcessLog } from './process-log.js';
import { leaveSignalsToParent } from './signals.js';

/** By then the first table is in the kernel, as a rule. */
const STARTED_AFTER_MS = 10_000;

const GATEWAY_TIMEOUT_MS = 1000;

/** Virtual servers of a file that is long in reading: worth the memory of a loader that waits for the next one. */
const LARGE_FILE = 1000;

const USAGE = `'director run' starts this by itself: the process that programs IPVS and checks the real servers.
`;

function trackAndHooksPorts(runtimeDirectory: string, log: Log): TrackAndHooksPorts {
  const commands = openCommands();
  return {
    clock: monotonicClock,
    log,
    commands,
    prober: openTrackProber(commands),
    openEvents: (snapshot) =>
      openEventSocket(runtimeDirectory, {
        snapshot,
        clock: monotonicClock,
        onTrouble: (words) => log.warn({ event: 'events' }, words),
        nowEpochMs: () => Date.now(),
      }),
    nowEpochMs: () => Date.now(),
  };
}

/** For one piece of work, over a connection of its own to the kernel. */
async function withIpvs<T>(work: (ipvs: KernelIpvs) => Promise<T>): Promise<T> {
  const ipvs = await openIpvs();
  try {
    return await work(ipvs);
  } finally {
    ipvs.close();
  }
}

/**
 * In this process: it is there at once, and each of its steps is short. Of a large table it costs the kernel seconds, which another
 * thread waits for.
 */
async function sendReplay({ signal, thoroughness, replay }: ReplayOptions): Promise<Replayed> {
  const choice = { signal, replay, ...(thoroughness === 'again' && { passes: 1 }) };
  return withIpvs((ipvs) => replayConnections(ipvs, choice));
}

function handOverPorts(log: Log): HandOverPorts {
  return {
    clock: monotonicClock,
    log,
    nft: openNft('connection_sync'),
    nftSets: openNftSets(),
    tellYoung: async (limitMs) => {
      const { connections } = await inHurry(() => withIpvs((ipvs) => replayYoung(ipvs, limitMs)));
      return connections;
    },
    forgetClosed: (virtualAddresses, signal) =>
      withIpvs((ipvs) => forgetClosed(ipvs, virtualAddresses, signal)),
    ownAddresses: () =>
      Object.values(networkInterfaces()).flatMap((addresses) =>
        (addresses ?? []).map(({ address }) => canonicalAddress(address)),
      ),
  };
}

function peerPorts(log: Log): PeerPorts {
  const gateway = new IcmpProbes();
  let counters: Promise<IpvsCounters> | undefined;
  return {
    clock: monotonicClock,
    log,
    open: openPeerSocket,
    readKey: readPeerKey,
    random64: () => randomBytes(8).readBigUInt64BE(),
    nowEpochMs: () => Date.now(),
    version: version(),
    countConnections: async () => {
      counters ??= openIpvs();
      try {
        return tableNumbers(await (await counters).read());
      } catch (error) {
        // The next count begins anew.
        counters = undefined;
        throw error;
      }
    },
    probeGateway: async (address) => (await gateway.probe(undefined, address, GATEWAY_TIMEOUT_MS)).ok,
    replay: sendReplay,
    listenToReplays,
  };
}

/**
 * What metrics need is loaded when they are configured: few directors serve them, and memory counts. All else that this process may
 * ever need is there from its start, since an update removes the files.
 */
function metricsPorts(keeping: Keeping): MetricsPorts {
  const build = { version: version(), nodeVersion: process.versions.node };
  const exposition = () => import('../../observe/metrics/exposition.js');
  return {
    serve: async (listen, scrape) => {
      // A scrape of thousands of virtual servers leaves tens of megabytes behind, which V8 would keep until there are many more.
      staySmall();
      const [{ serveMetrics }, { CONTENT_TYPE }] = await Promise.all([
        import('../../io/operator/metrics-server.js'),
        exposition(),
      ]);
      const answer = async () => ({ contentType: CONTENT_TYPE, parts: await scrape() });
      return serveMetrics(listen, answer, keeping);
    },
    write: async (snapshot) => (await exposition()).expositionOf(build, snapshot, nextTurn),
    openCounters: openIpvs,
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Keeps the configuration that was read last in its place, for the process that may follow this one. */
function configurationKeeper(log: Log): (path: string, config: DirectorConfig) => void {
  let restore = async () => {};
  const looks = new Looks(monotonicClock, () => restore());
  return (path, config) => {
    restore = async () => {
      try {
        const isRestored = await restoreConfiguration(path, config);
        if (isRestored) log.warn({ event: 'configuration' }, `somebody removed ${path}: written again`);
      } catch {
        // The election's process tells of a directory that cannot be used.
      }
    };
    looks.start();
  };
}

/** `director` names this director on every line of the log. */
async function openHost(
  options: {
    runtimeDirectory: string;
    stateDirectory: string;
    format: LogFormat;
    level: LogLevel;
    director: string;
  },
  parent: ParentLink,
): Promise<ServicesHost> {
  const { runtimeDirectory, stateDirectory, format, level, director } = options;
  const opened = await openProcessLog({ format, level, director, process: 'services' });
  const { log } = opened;
  const keeping: Keeping = {
    clock: monotonicClock,
    onTrouble: (words) => log.warn({ event: 'socket' }, words),
  };
  const refusals = takeLowPriority();
  if (refusals.length > 0) log.debug({ event: 'real-time', refusals }, 'priorities could not be set');
  const readConfiguration = openConfigurationReader();
  const keepConfiguration = configurationKeeper(log);
  const loader = openLoaderAhead({ main: MAIN, afterMs: STARTED_AFTER_MS });
  const host = new ServicesHost(
    {
      load: loader.load,
      readConfiguration: async (path) => {
        const config = await readConfiguration(path);
        keepConfiguration(path, config);
        loader.keepReady(config.virtualServers.length >= LARGE_FILE);
        return config;
      },
      breathe: nextTurn,
      clock: monotonicClock,
      openIpvs,
      // Commands of its own: hooks do not wait for checks.
      prober: openProber(openCommands(), {
        tellCertificate: (words) => log.warn({ event: 'certificate' }, words),
      }),
      syncInterfaces,
      sysctls: openSysctls(),
      nft: openNft('forwarding: fullnat or masquerade'),
      stateFile: keepState(SERVICES_STATE, runtimeDirectory, log),
      overridesFile: keepState(OVERRIDES, stateDirectory, log),
      loopDelay: openLoopDelay(),
      logStatus: opened.status,
      log,
      metrics: metricsPorts(keeping),
      parts: [
        ({ tracked }) => new TrackAndHooks(trackAndHooksPorts(runtimeDirectory, log), tracked),
        () => new HandOver(handOverPorts(log)),
        (election) => new PeerChannelPart(peerPorts(log), election),
      ],
    },
    (message) => parent.send(message),
    () => {
      // A process that was killed left its own.
      rmSync(eventSocketPath(runtimeDirectory), { force: true });
      rmSync(servicesSocketPath(runtimeDirectory), { force: true });
      void opened.end().then(() => parent.end(0));
    },
  );
  try {
    await openServicesSocket(
      runtimeDirectory,
      () => host.status(),
      (order) => host.order(order),
      keeping,
    );
  } catch (error) {
    log.error({ err: error }, "'director status' will not see virtual servers");
  }
  setTimeout(releaseCode, STARTED_AFTER_MS).unref();
  return host;
}

export const command: Command = {
  name: 'services',
  summary: 'the services process of a running director',
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: { ...RUNTIME_OPTIONS, ...STATE_OPTIONS, ...LOG_OPTIONS },
    });
    if (process.send === undefined) throw new UsageError("'services' is started by 'director run' alone");
    // The parent decides when this ends, also when a signal goes to the whole control group.
    leaveSignalsToParent();
    const options = {
      runtimeDirectory: values['runtime-dir'],
      stateDirectory: values['state-dir'],
      ...logOptions(values),
    };
    let host: Promise<ServicesHost> | undefined;
    // Opened by the first message: this process is started while its parent still reads the configuration.
    const parent = openParentLink((message) => {
      const director = message.type === 'configure' ? message.director : '';
      host ??= openHost({ ...options, director }, parent);
      void host.then((opened) => opened.take(message));
    });
    // The parent ends it, or its own end does.
    return new Promise(() => {});
  },
};
