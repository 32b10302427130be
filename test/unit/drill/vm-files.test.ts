import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { writeCpio } from '../../../src/drill/vm/cpio.js';
import { FileTail } from '../../../src/drill/vm/file-tail.js';
import { quote } from '../../../src/drill/vm/guest-scripts.js';
import { loadOrder, moduleName, parseModulesDep } from '../../../src/drill/vm/module-order.js';

void t.test('cpio: the bytes of a newc archive', (t) => {
  const archive = writeCpio([
    { kind: 'directory', path: 'bin' },
    { kind: 'file', path: 'bin/sh', content: Buffer.from('hello'), mode: 0o755 },
    { kind: 'symlink', path: 'init', target: 'bin/sh' },
  ]).toString('latin1');
  const zero = '00000000';
  const links = '00000002';
  const fields = [
    '070701',
    '00000001',
    '000041ed',
    zero,
    zero,
    links,
    ...Array<string>(6).fill(zero),
    '00000004',
    zero,
  ];
  const directory = fields.join('');
  t.equal(archive.slice(0, 116), `${directory}bin\0\0\0`, 'header of 110 bytes, name, padding to 4');
  t.equal(archive.length % 4, 0);
  const file = archive.slice(116);
  t.equal(file.slice(14, 22), '000081ed', 'a regular file, mode 755');
  t.equal(file.slice(54, 62), '00000005', 'its size');
  t.equal(file.slice(110, 128), 'bin/sh\0\0\0\0hello\0\0\0', 'name and data each padded');
  t.equal(file.slice(128 + 14, 128 + 22), '0000a1ff', 'then the symbolic link');
  t.match(archive, /TRAILER!!!\0+$/);
  t.end();
});

void t.test('modules: what is needed comes first, each once', (t) => {
  const dependencies = parseModulesDep(
    [
      'kernel/net/ip_vs.ko: kernel/net/nf_conntrack.ko kernel/lib/libcrc32c.ko',
      'kernel/net/nf_conntrack.ko: kernel/lib/libcrc32c.ko',
      'kernel/lib/libcrc32c.ko:',
      'kernel/net/ip_vs_ftp.ko.xz: kernel/net/ip_vs.ko',
      'kernel/net/unused-one.ko:',
      '',
    ].join('\n'),
  );
  t.strictSame(loadOrder(dependencies, ['ip_vs_ftp', 'ip_vs', 'built_in']), [
    'kernel/lib/libcrc32c.ko',
    'kernel/net/nf_conntrack.ko',
    'kernel/net/ip_vs.ko',
    'kernel/net/ip_vs_ftp.ko.xz',
  ]);
  t.strictSame(loadOrder(dependencies, ['unused_one']), ['kernel/net/unused-one.ko'], '- and _ are the same');
  t.equal(moduleName('kernel/net/ip_vs_ftp.ko.xz'), 'ip_vs_ftp');
  t.end();
});

void t.test('modules: a circle ends', (t) => {
  const dependencies = parseModulesDep('a.ko: b.ko\nb.ko: a.ko\n');
  t.strictSame(loadOrder(dependencies, ['a']), ['b.ko', 'a.ko']);
  t.end();
});

void t.test('quote: a shell gives every word back', (t) => {
  const words = ["it's", '', '$HOME `id` "x"', 'a\nb', '\\', "''"];
  const result = spawnSync('sh', ['-c', `printf '%s\\0' ${words.map(quote).join(' ')}`], {
    encoding: 'utf8',
  });
  t.strictSame(result.stdout.split('\0').slice(0, -1), words);
  t.end();
});

void t.test('file tail: whole lines, and characters that a read cuts in two', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tail-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'out');
  const lines: string[] = [];
  const tail = new FileTail(path, (line) => lines.push(line));
  tail.read();
  t.strictSame(lines, [], 'a file that is not there yet has no lines');
  const umlaut = Buffer.from('ä');
  writeFileSync(path, Buffer.concat([Buffer.from('one\ntw'), umlaut.subarray(0, 1)]));
  tail.read();
  t.strictSame(lines, ['one']);
  appendFileSync(path, Buffer.concat([umlaut.subarray(1), Buffer.from('\nrest')]));
  tail.read();
  t.strictSame(lines, ['one', 'twä']);
  t.equal(tail.finish(), 'one\ntwä\nrest');
  t.strictSame(lines, ['one', 'twä', 'rest']);
  t.end();
});
