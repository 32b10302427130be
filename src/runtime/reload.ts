/** One reload: the file is read elsewhere, and a good one becomes the configuration that runs. */
import type { ElectionConfig } from '../config/model.js';
import { type Configuration, faultsOf, type LoadAnswer } from './configuration.js';
import type { Log, Notifier } from './ports.js';

/** Faults of a refused file that the log names: `director check` tells all. */
export const MAX_TOLD_FAULTS = 20;

export interface ReloadPorts {
  readonly log: Log;
  readonly notifier: Notifier;
  /** Microseconds of CLOCK_MONOTONIC, which sd_notify(3) asks for. */
  nowUs(): bigint;
  /** Reads and checks the file. Never rejects. */
  load(): Promise<LoadAnswer>;
  /** The configuration that runs. */
  current(): Configuration;
  /** Goes over to a checked configuration. */
  apply(configuration: Configuration): Promise<void>;
  /** Throws away whatever was loaded, but for the configuration at `path`. */
  keepOnly(path: string): Promise<void>;
  /** The director leaves: nothing changes any more, and nobody is told. */
  stopping(): boolean;
}

/** A file that is wrong or cannot run here is told and changes nothing. Never rejects. */
export async function reload(ports: ReloadPorts): Promise<void> {
  const { log, notifier } = ports;
  notifier.notify(`RELOADING=1\nMONOTONIC_USEC=${ports.nowUs()}`);
  const answer = accepted(await ports.load(), ports.current().election);
  if (ports.stopping()) return;
  if (answer.ok) await apply(answer.configuration, ports);
  else {
    const faults = faultsOf(answer);
    log.error({ event: 'reload', faults }, `${faults.join('; ')}: the director goes on with what it had`);
  }
  if (ports.stopping()) return;
  await ports.keepOnly(ports.current().path).catch((error: unknown) => {
    log.warn(
      { event: 'reload', err: error },
      'old configurations could not be removed from the runtime directory',
    );
  });
  notifier.notify('READY=1');
}

async function apply(configuration: Configuration, ports: ReloadPorts): Promise<void> {
  const { log } = ports;
  try {
    await ports.apply(configuration);
    if (ports.stopping()) return;
    const { sha256, virtualServers, realServers, election } = configuration;
    const instances = election.instances.length;
    log.info({ event: 'reload', sha256, instances, virtualServers, realServers }, 'configuration reloaded');
  } catch (error) {
    if (ports.stopping()) return;
    log.error(
      { event: 'reload', err: error },
      'the reload failed, and all is as it was: mend the cause and reload again',
    );
  }
}

/** A good file may still be one that is not to be taken over. */
function accepted(answer: LoadAnswer, now: ElectionConfig): LoadAnswer {
  const lost = now.instances.length;
  if (!answer.ok || answer.configuration.election.saysVrrp || lost === 0) return answer;
  const words =
    `the file says nothing of vrrp, and may have been cut off: this would withdraw ${lost} instances. ` +
    "Where that is meant, write 'vrrp: { instances: [] }'";
  return { ok: false, faults: [words], untold: 0 };
}
