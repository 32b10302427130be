/** What `check` and `plan` say of a good file and of this host: nothing that stops a start. */
import { readFile } from 'node:fs/promises';
import type { ConfigFault } from '../config/model.js';
import { type ConfigOptions, formatFault, type GoodFile, thisHost } from './load-config.js';

/** Warnings about what was read from this file; those about this host not for another host's part of it. */
export async function configWarnings(
  options: ConfigOptions,
  { config, written }: GoodFile,
): Promise<readonly ConfigFault[]> {
  const [{ missingParts }, { chooseDirector, locateIn }, { cautions }] = await Promise.all([
    import('../io/operator/missing-parts.js'),
    import('../config/parse.js'),
    import('../config/cautions.js'),
  ]);
  // `--director` names one, and this host's own name another.
  const own = options.director === undefined ? undefined : chooseDirector(written, thisHost());
  const isAnotherHost = own !== undefined && own !== config.director;
  const parts = [...cautions(config), ...(isAnotherHost ? [] : missingParts(config))];
  return parts.length === 0 ? [] : locateIn(await readFile(options.config, 'utf8'), parts);
}

/** One line a warning, in the manner of faults. */
export function warningText(file: string, warnings: readonly ConfigFault[]): string {
  return warnings
    .map(({ message, ...place }) => `${formatFault(file, { ...place, message: `warning: ${message}` })}\n`)
    .join('');
}
