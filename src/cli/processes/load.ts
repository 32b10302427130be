import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { DirectorConfig } from '../../config/model.js';
import { sectionTexts } from '../../config/section-texts.js';
import { writeConfiguration } from '../../io/host/configuration-files.js';
import { collectGarbage, releaseCode } from '../../io/host/memory.js';
import { takeLowPriority } from '../../io/host/real-time.js';
import { AHEAD } from '../../io/processes/loader.js';
import { type LoadAnswer, type LoadRequest, loadFailed } from '../../runtime/configuration.js';
import { messageOf } from '../../util/error-message.js';
import { type Command, UsageError } from '../command.js';
import { formatFault, readConfig, readingParts } from '../load-config.js';

/** 64 bits: enough to see a difference, which is no matter of security here. */
const SECTION_DIGITS = 16;

const USAGE = `'director run' starts this by itself: the process that reads and checks the configuration.
`;

async function load(request: LoadRequest): Promise<LoadAnswer> {
  const result = await readConfig(request);
  if (!result.ok) {
    if ('unreadable' in result) return result;
    const faults = result.faults.map((fault) => formatFault(request.config, fault));
    return {
      ok: false,
      faults: faults.slice(0, request.maxFaults),
      untold: Math.max(0, faults.length - request.maxFaults),
    };
  }
  const { sha256 } = result;
  const config = withSections(result.config, result.written);
  const { virtualServers, hooks: _hooks, metrics: _metrics, peerChannel: _channel, ...election } = config;
  try {
    return {
      ok: true,
      configuration: {
        election,
        path: await writeConfiguration(request.runtimeDirectory, config),
        virtualServers: virtualServers.length,
        realServers: virtualServers.reduce((sum, { realServers }) => sum + realServers.length, 0),
        sha256,
      },
    };
  } catch (error) {
    const words = messageOf(error);
    return loadFailed(`the configuration cannot be left in ${request.runtimeDirectory}: ${words}`);
  }
}

/** Peers compare what their files say. */
function withSections(config: DirectorConfig, written: unknown): DirectorConfig {
  const { peerChannel } = config;
  if (peerChannel === undefined) return config;
  const sections = Object.entries(sectionTexts(written)).map(([key, text]) => [
    key,
    createHash('sha256').update(text).digest('hex').slice(0, SECTION_DIGITS),
  ]);
  return { ...config, peerChannel: { ...peerChannel, sections: Object.fromEntries(sections) } };
}

/** Of a file that is read for nothing. */
const REHEARSED_SERVERS = 50;

/** Reads a file as most of them are, so that what reads the next one is compiled. */
async function rehearse(): Promise<void> {
  const { parseConfig } = await readingParts();
  const servers = Array.from({ length: REHEARSED_SERVERS }, (_, index) => [
    `  - { name: web-${index}, address: 192.0.2.${index + 1}, port: 80, forwarding: nat, real_servers: [{ address: 10.0.0.1 }] }`,
    `  - name: mail-${index}`,
    `    address: 198.51.100.${index + 1}`,
    '    port: 25',
    '    forwarding: dr',
    '    health_check: { tcp: {}, interval: 2s }',
    '    real_servers:',
    '      - { address: 10.0.0.1, port: 25, weight: 2 }',
    '      - { address: 10.0.0.2, port: 25, weight: 3 }',
  ]);
  const head = ['version: 1', 'directors: { here: { address: 10.0.0.8 } }', 'virtual_servers:'];
  JSON.stringify(parseConfig([...head, ...servers.flat(), ''].join('\n'), { name: 'here' }));
}

/** Whoever waits does nothing else, and holds little. */
async function requestAhead(): Promise<string> {
  await rehearse();
  collectGarbage();
  releaseCode();
  return readFileSync(0, 'utf8');
}

export const command: Command = {
  name: 'load',
  summary: 'the reader of a running director',
  usage: USAGE,
  async run(argv) {
    const [argument, ...more] = argv;
    if (argument === undefined || more.length > 0)
      throw new UsageError("'load' is started by 'director run' alone");
    takeLowPriority();
    const request = argument === AHEAD ? await requestAhead() : argument;
    // The parent has gone, or needs no answer any more.
    if (request === '') return 0;
    process.stdout.write(JSON.stringify(await load(JSON.parse(request))));
    return 0;
  },
};
