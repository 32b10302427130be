import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { monotonicClock } from '../io/clock.js';
import { openCommands } from '../io/command.js';
import { openLoopDelay } from '../io/event-loop-delay.js';
import { eventSocketPath, openEventSocket } from '../io/event-socket.js';
import { openIpvs } from '../io/ipvs.js';
import { openProber } from '../io/probes.js';
import { takeServicesPriority } from '../io/real-time.js';
import { openParentLink } from '../io/services-process.js';
import { openStateFile, SERVICES_STATE } from '../io/state-file.js';
import { openSysctls } from '../io/sysctls.js';
import { openTrackProber } from '../io/track-probes.js';
import { openLog } from '../observe/logger.js';
import type { Log } from '../runtime/ports.js';
import { ServicesHost } from '../runtime/services-host.js';
import { TrackAndHooks, type TrackAndHooksPorts } from '../runtime/track-and-hooks.js';
import { type Command, UsageError } from './command.js';
import { LOG_OPTIONS, logOptions } from './log-options.js';
import { RUNTIME_OPTIONS } from './runtime-dir.js';

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
        onTrouble: (words) => log.warn({ event: 'events' }, words),
        nowEpochMs: () => Date.now(),
      }),
    nowEpochMs: () => Date.now(),
  };
}

export const command: Command = {
  name: 'services',
  summary: 'the services process of a running director',
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: { ...RUNTIME_OPTIONS, ...LOG_OPTIONS, director: { type: 'string', default: '' } },
    });
    if (process.send === undefined) throw new UsageError("'services' is started by 'director run' alone");
    // The parent decides when this ends, also when a signal goes to the whole control group.
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
    const opened = await openLog({
      ...logOptions(values),
      director: values.director,
      process: 'services',
    });
    const { log } = opened;
    takeServicesPriority(log);
    return new Promise((resolve) => {
      const host = new ServicesHost(
        {
          clock: monotonicClock,
          openIpvs,
          prober: openProber(),
          sysctls: openSysctls(),
          stateFile: openStateFile(SERVICES_STATE, values['runtime-dir'], (path, reason) =>
            log.warn({ err: reason }, `${path} is damaged: starting without it`),
          ),
          loopDelay: openLoopDelay(),
          log,
          parts: [(report) => new TrackAndHooks(trackAndHooksPorts(values['runtime-dir'], log), report)],
        },
        (message) => parent.send(message),
        () => {
          // A process that was killed left its own.
          rmSync(eventSocketPath(values['runtime-dir']), { force: true });
          opened.flush();
          parent.end(0);
          resolve(0);
        },
      );
      const parent = openParentLink((message) => host.take(message));
    });
  },
};
