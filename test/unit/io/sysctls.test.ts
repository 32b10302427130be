import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { interfaceSysctl, openSysctls, sysctlPath } from '../../../src/io/host/sysctls.js';

await t.test('keys name files as in sysctl(8)', async (t) => {
  t.equal(sysctlPath('net.ipv4.ip_forward'), '/proc/sys/net/ipv4/ip_forward');
  const key = interfaceSysctl('ipv4', 'eth0.100', 'send_redirects');
  t.equal(key, 'net.ipv4.conf.eth0/100.send_redirects');
  t.equal(sysctlPath(key), '/proc/sys/net/ipv4/conf/eth0.100/send_redirects');
});

await t.test('no key leaves /proc/sys', async (t) => {
  for (const key of [
    '',
    'net',
    'net..ipv4',
    'net.//.x',
    'net./.x',
    'net.a b.c',
    'net.a\0.c',
    '.net.x',
    'net.x.',
  ]) {
    t.throws(() => sysctlPath(key), { code: 'ERR_SYSCTL_KEY' }, JSON.stringify(key));
  }
  t.throws(() => sysctlPath(interfaceSysctl('ipv4', '..', 'x')), { code: 'ERR_SYSCTL_KEY' });
  await t.rejects(openSysctls().read('net.//.//.etc.passwd'), { code: 'ERR_SYSCTL_KEY' });
});

await t.test('reads and writes', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'lvs-director-sysctl-'));
  t.teardown(() => rm(root, { recursive: true }));
  await mkdir(join(root, 'net'));
  await writeFile(join(root, 'net', 'sync_threshold'), '3\t50\n');
  const sysctls = openSysctls(root);
  t.equal(await sysctls.read('net.sync_threshold'), '3\t50');
  await sysctls.write('net.sync_threshold', '2\t50');
  t.equal(await readFile(join(root, 'net', 'sync_threshold'), 'utf8'), '2\t50\n');
  t.equal(await sysctls.read('net.absent'), undefined);
  await t.rejects(sysctls.write('net.absent', '1'), {
    code: 'ENOENT',
    message: 'cannot write net.absent = 1: ENOENT',
  });
  t.equal(await sysctls.read('net.absent'), undefined, 'a write never makes a file');
  t.match(await openSysctls().read('kernel.ostype'), 'Linux');
});
