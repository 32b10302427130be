import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../io/sockets/native.js';

/** The package's version. Throws where the installation is incomplete. */
export function version(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}
