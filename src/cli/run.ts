import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { staySmall } from '../io/host/memory.js';
import { missingCapabilities } from '../io/host/privileges.js';
import { openLoader } from '../io/processes/loader.js';
import { launchServices } from '../io/processes/services-process.js';
import { MAIN } from '../program.js';
import { faultsOf, type LoadRefusal, type LoadRequest } from '../runtime/configuration.js';
import { type Command, OperationalError } from './command.js';
import { CONFIG_OPTIONS, CONFIG_OPTIONS_USAGE, EXIT_CONFIG } from './load-config.js';
import { LOG_OPTIONS, LOG_OPTIONS_USAGE, logOptions } from './log-options.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE, STATE_OPTIONS, STATE_OPTIONS_USAGE } from './runtime-dir.js';

const USAGE = `Usage: director run [OPTIONS]

Runs the director in the foreground: elects a master by VRRP, moves the addresses, programs IPVS, checks the real
servers. SIGHUP reads the configuration again, SIGTERM or Ctrl-C hands over to the peer and leaves (a second one at
once). Needs CAP_NET_ADMIN and CAP_NET_RAW; under systemd it is the service lvs-director.

${CONFIG_OPTIONS_USAGE.replace(/^ {2}--json.*\n/m, '')}${RUNTIME_OPTIONS_USAGE}${LOG_OPTIONS_USAGE}${STATE_OPTIONS_USAGE}  --no-real-time      ordinary scheduling, for several directors on one machine
`;

function options(argv: readonly string[]) {
  const { config, director } = CONFIG_OPTIONS;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config,
      director,
      ...RUNTIME_OPTIONS,
      ...LOG_OPTIONS,
      ...STATE_OPTIONS,
      'no-real-time': { type: 'boolean', default: false },
    },
  });
  return {
    config: values.config,
    director: values.director,
    runtimeDirectory: values['runtime-dir'],
    stateDirectory: values['state-dir'],
    realTime: !values['no-real-time'],
    ...logOptions(values),
  };
}

function checkPrivileges(): void {
  const missing = missingCapabilities(['CAP_NET_ADMIN', 'CAP_NET_RAW']);
  if (missing.length === 0) return;
  throw new OperationalError(
    'ERR_NO_PRIVILEGE',
    `this process lacks ${missing.join(' and ')}: start it as root or with 'systemctl start lvs-director'`,
  );
}

/** Tells why and returns the exit status. */
function refused(answer: LoadRefusal): number {
  if ('failed' in answer) throw new OperationalError('ERR_LOAD', answer.failed);
  const prefix = 'unreadable' in answer ? 'director: ' : '';
  process.stderr.write(
    faultsOf(answer)
      .map(
        (line) => `${prefix}${line}
`,
      )
      .join(''),
  );
  return EXIT_CONFIG;
}

export const command: Command = {
  name: 'run',
  summary: 'run the director in the foreground',
  usage: USAGE,
  async run(argv) {
    staySmall();
    const chosen = options(argv);
    const { runtimeDirectory, stateDirectory, format, level } = chosen;
    const { config, director } = chosen;
    const request: LoadRequest = { config, director, runtimeDirectory, maxFaults: Number.MAX_SAFE_INTEGER };
    const load = openLoader({ main: MAIN });
    // First: both load their programs while this process loads its own.
    const loading = load(request);
    const services = launchServices({
      main: MAIN,
      argv: [
        'services',
        `--runtime-dir=${runtimeDirectory}`,
        `--state-dir=${stateDirectory}`,
        `--log=${format}`,
        `--log-level=${level}`,
      ],
    });
    try {
      const daemon = import('./processes/daemon.js');
      const answer = await loading;
      if (!answer.ok) return refused(answer);
      try {
        checkPrivileges();
        return await (await daemon).runDaemon(answer.configuration, { ...chosen, request, load, services });
      } finally {
        // Where it did not get so far as to remove it.
        rmSync(answer.configuration.path, { force: true });
      }
    } finally {
      services.close();
    }
  },
};
