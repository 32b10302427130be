import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openStateFile as openFile, SERVICES_STATE, VRRP_STATE } from '../../../src/io/host/state-file.js';
import type { VrrpLeftovers } from '../../../src/runtime/ports.js';
import type { ServicesLeftovers } from '../../../src/runtime/services/services-ports.js';

const STATE: ServicesLeftovers = {
  ownedServices: ['tcp 192.168.1.253:80'],
  sysctls: { 'net.ipv4.ip_forward': '0' },
  syncDaemons: [
    { state: 'master', interface: 'eth1', syncid: 51, interfaceIndex: 7 },
    { state: 'backup', interface: 'eth1', syncid: 51 },
  ],
  drains: { 'tcp 192.168.1.253:80 -> 10.0.0.2:80': 12.5 },
};
const EMPTY: ServicesLeftovers = { ownedServices: [], sysctls: {}, syncDaemons: [] };

function openStateFile(directory: string, onDamaged?: (path: string, reason: Error) => void) {
  return openFile(SERVICES_STATE, directory, onDamaged);
}

const base = await mkdtemp(join(tmpdir(), 'lvs-director-state-'));
t.teardown(() => rm(base, { recursive: true }));

await t.test('a missing file is empty, a saved one comes back, a removed one is empty again', async (t) => {
  const directory = join(base, 'a', 'b');
  const file = openStateFile(directory, (_path, reason) => t.fail(reason.message));
  t.same(await file.load(), EMPTY);
  await file.save(STATE);
  t.same(await file.load(), STATE);
  t.same(await openStateFile(directory).load(), STATE);
  await file.remove();
  await file.remove();
  t.same(await file.load(), EMPTY);
});

await t.test('nobody else reads it, whatever the umask and whatever was there', async (t) => {
  const directory = join(base, 'modes');
  const before = process.umask(0);
  t.teardown(() => process.umask(before));
  const file = openStateFile(directory);
  await file.save(EMPTY);
  await writeFile(join(directory, 'services.json.new'), 'left behind by a crash, and long', { mode: 0o666 });
  await file.save(STATE);
  t.equal((await stat(directory)).mode & 0o777, 0o700);
  t.equal((await stat(join(directory, 'services.json'))).mode & 0o777, 0o600);
  t.same(await file.load(), STATE);

  const shared = join(base, 'shared');
  await mkdir(shared, { mode: 0o755 });
  await openStateFile(shared).save(STATE);
  t.equal((await stat(shared)).mode & 0o777, 0o755, 'a directory that was there keeps its mode');
});

await t.test('saves without waiting end with the last', async (t) => {
  const directory = join(base, 'order');
  const file = openStateFile(directory);
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => file.save({ ...STATE, ownedServices: [`${index}`] })),
  );
  t.same((await file.load()).ownedServices, ['19']);
});

await t.test('damage is reported and loads as empty', async (t) => {
  const directory = join(base, 'damaged');
  const reports: string[] = [];
  const file = openStateFile(directory, (path) => reports.push(path));
  await file.save(STATE);
  const path = join(directory, 'services.json');
  const good = await readFile(path, 'utf8');
  const damaged = [
    '',
    good.slice(0, -10),
    '[]',
    good.replace('"version": 1', '"version": 2'),
    good.replace('"0"', '0'),
    good.replace('"master"', '"slave"'),
    good.replace('51', '510'),
  ];
  for (const [index, text] of damaged.entries()) {
    t.not(text, good);
    await writeFile(path, text);
    t.same(await file.load(), EMPTY, `damage ${index}`);
    t.equal(reports.length, index + 1);
  }
  t.equal(reports[0], path);
});

await t.test('each process has its own file', async (t) => {
  const directory = join(base, 'both');
  const reports: string[] = [];
  const vrrp = openFile(VRRP_STATE, directory, (path) => reports.push(path));
  const left: VrrpLeftovers = {
    addresses: [
      { address: '192.168.1.253', prefixLength: 24, interface: 'eth0' },
      { address: '2001:db8::1', prefixLength: 64, interface: 'eth0' },
    ],
  };
  await vrrp.save(left);
  await openStateFile(directory).save(STATE);
  t.same(await vrrp.load(), left);
  t.same(await openStateFile(directory).load(), STATE);
  const path = join(directory, 'vrrp.json');
  const good = await readFile(path, 'utf8');
  const damaged = [
    good.replace('192.168.1.253"', '192.168.1.2533"'),
    good.replace('24', '240'),
    good.replace('"eth0"', '""'),
    good.replace('"addresses"', '"address"'),
  ];
  for (const [index, text] of damaged.entries()) {
    t.not(text, good);
    await writeFile(path, text);
    t.same(await vrrp.load(), { addresses: [] }, `damage ${index}`);
    t.equal(reports.length, index + 1);
  }
});
