import { createHash } from 'node:crypto';
import type { DirectorConfig } from '../../config/model.js';
import { sectionTexts } from '../../config/section-texts.js';
import { writeConfiguration } from '../../io/host/configuration-files.js';
import { takeLowPriority } from '../../io/host/real-time.js';
import { type LoadAnswer, type LoadRequest, loadFailed } from '../../runtime/configuration.js';
import { type Command, UsageError } from '../command.js';
import { formatFault, readConfig } from '../load-config.js';

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
    const words = error instanceof Error ? error.message : String(error);
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

export const command: Command = {
  name: 'load',
  summary: 'the reader of a running director',
  usage: USAGE,
  async run(argv) {
    const [request, ...more] = argv;
    if (request === undefined || more.length > 0)
      throw new UsageError("'load' is started by 'director run' alone");
    takeLowPriority();
    process.stdout.write(JSON.stringify(await load(JSON.parse(request))));
    return 0;
  },
};
