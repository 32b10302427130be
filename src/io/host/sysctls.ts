/** /proc/sys by the keys of sysctl(8). */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Sysctls } from '../../runtime/services/services-ports.js';
import type { AddressFamily } from '../../util/ip-address.js';

/** The key cannot name a file below /proc/sys. */
export class SysctlKeyError extends Error {
  override readonly name = 'SysctlKeyError';
  readonly code = 'ERR_SYSCTL_KEY';
  constructor(key: string) {
    super(`'${key}' is no sysctl key`);
  }
}

/** The kernel refused to read or take a value. */
export class SysctlError extends Error {
  override readonly name = 'SysctlError';
  /** Symbol of the errno, such as `EACCES` or `EINVAL`. */
  readonly code: string;
  constructor(action: string, code: string, cause: unknown) {
    super(`cannot ${action}: ${code}`, { cause });
    this.code = code;
  }
}

const MAX_KEY_LENGTH = 256;
/** Characters that kernel names and interface names (dev_valid_name) can have; no space, no colon, no NUL. */
const PART = /^[\w.,@+*=%!#~^&$-]+$/;

/**
 * Path below `root` for a dotted key. A slash stands for a dot within a name, as in sysctl(8):
 * `net.ipv4.conf.eth0/100.send_redirects` is interface `eth0.100`. Throws SysctlKeyError for what cannot be a key.
 */
export function sysctlPath(key: string, root = '/proc/sys'): string {
  const parts = key.length <= MAX_KEY_LENGTH ? key.split('.').map((part) => part.replaceAll('/', '.')) : [];
  if (parts.length < 2 || parts.some((part) => !PART.test(part) || part === '.' || part === '..')) {
    throw new SysctlKeyError(key);
  }
  return [root, ...parts].join('/');
}

/** Key of a per-interface value: `interfaceSysctl('ipv4', 'eth0.100', 'send_redirects')`. */
export function interfaceSysctl(family: AddressFamily, interfaceName: string, name: string): string {
  return `net.${family}.conf.${interfaceName.replaceAll('.', '/')}.${name}`;
}

/**
 * procfs answers from memory, so this is done at once: the thread pool would cost a takeover two turns of the event
 * loop. `root` is for tests. Reads and writes reject with SysctlError, or SysctlKeyError for
 * a bad key.
 */
export function openSysctls(root = '/proc/sys'): Sysctls {
  return {
    read: async (key) => {
      const path = sysctlPath(key, root);
      try {
        return readFileSync(path, 'utf8').trimEnd();
      } catch (error) {
        if (errorCode(error) === 'ENOENT') {
          return undefined;
        }
        throw new SysctlError(`read ${key}`, errorCode(error), error);
      }
    },
    write: async (key, value) => {
      const path = sysctlPath(key, root);
      try {
        // Without O_CREAT: a key the kernel lacks is an error, not a file.
        writeFileSync(path, `${value}\n`, { flag: 'r+' });
      } catch (error) {
        throw new SysctlError(`write ${key} = ${value}`, errorCode(error), error);
      }
    },
  };
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
}
