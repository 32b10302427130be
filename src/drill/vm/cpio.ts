/** One entry of an archive. Paths are relative, without a leading slash. */
export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly content: Uint8Array; readonly mode: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string };

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const TRAILER = 'TRAILER!!!';

/**
 * Writes a "newc" archive (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel), which the
 * kernel unpacks as its initramfs. Parent folders must come before what is in them. Owner is root, times are 0, so
 * equal entries give equal bytes.
 */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const [index, entry] of entries.entries()) {
    const content = contentOf(entry);
    parts.push(...record(entry.path, modeOf(entry), index + 1, content));
  }
  parts.push(...record(TRAILER, 0, 0, Buffer.alloc(0)));
  return Buffer.concat(parts);
}

function contentOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.content;
  return entry.kind === 'symlink' ? Buffer.from(entry.target) : Buffer.alloc(0);
}

function modeOf(entry: CpioEntry): number {
  if (entry.kind === 'file') return S_IFREG | entry.mode;
  return entry.kind === 'symlink' ? S_IFLNK | 0o777 : S_IFDIR | 0o755;
}

/** c_magic, then thirteen fields of eight hexadecimal digits, the name with its NUL, the data; each padded to 4. */
function record(path: string, mode: number, inode: number, content: Uint8Array): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const links = (mode & S_IFDIR) !== 0 && (mode & S_IFREG) === 0 ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), Buffer.from(content), padding(content.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
