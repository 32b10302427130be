import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openMaintenanceFile } from '../../../src/io/host/maintenance-file.js';
import { cleanUp } from '../../../src/runtime/clean-up.js';
import { Maintenance, NoInstanceError, PersistError } from '../../../src/runtime/maintenance.js';
import type { Log } from '../../../src/runtime/ports.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';

const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const CONFIG = directorConfig({
  instances: ['outside', 'inside', 'alone'].map((name) => vrrpInstance({ name })),
  syncGroups: [{ name: 'pair', instances: ['outside', 'inside'], track: [] }],
});

const base = await mkdtemp(join(tmpdir(), 'maintenance-'));
t.teardown(() => rm(base, { recursive: true }));

function memory(names: readonly string[] = []) {
  const saved: (readonly string[])[] = [];
  return { saved, load: async () => names, save: async (next: readonly string[]) => void saved.push(next) };
}

void t.test('a sync group goes as one, and lasts as long as it was told', async (t) => {
  const file = memory();
  const maintenance = new Maintenance(file, LOG);
  const take = (instances: string[] | null, on: boolean, persist = false) =>
    maintenance.take({ instances, on, persist }, CONFIG);
  const states = () => ['outside', 'inside', 'alone'].map((name) => maintenance.of(name));

  t.same(await take(['inside'], true), ['inside', 'outside']);
  t.same(states(), ['on', 'on', 'off']);
  t.same(file.saved, []);
  t.same(await take(null, true, true), ['outside', 'inside', 'alone']);
  t.same(states(), ['persistent', 'persistent', 'persistent']);
  t.same(await take(['alone'], false), ['alone']);
  t.same(states(), ['persistent', 'persistent', 'off']);
  t.same(file.saved, [
    ['outside', 'inside', 'alone', '*'],
    ['outside', 'inside'],
  ]);
  await t.rejects(take(['alien'], true), {
    constructor: NoInstanceError,
    message: "there is no VRRP instance 'alien': there are outside, inside, alone",
  });
});

void t.test('its end for all is also that of what the file has no more', async (t) => {
  const file = memory();
  const maintenance = new Maintenance(file, LOG);
  await maintenance.take({ instances: ['alone'], on: true, persist: true }, CONFIG);
  const less = { ...CONFIG, instances: CONFIG.instances.filter(({ name }) => name !== 'alone') };
  t.same(await maintenance.take({ instances: null, on: false, persist: false }, less), [
    'outside',
    'inside',
    'alone',
  ]);
  t.equal(maintenance.of('alone'), 'off');
  t.same(file.saved.at(-1), []);
});

void t.test(
  'an order for the whole director is one for what a reload adds, until one is taken back',
  async (t) => {
    const file = memory();
    const maintenance = new Maintenance(file, LOG);
    const named = (...names: string[]) => ({
      ...CONFIG,
      instances: [...CONFIG.instances, ...names.map((name) => vrrpInstance({ name }))],
    });
    await maintenance.take({ instances: null, on: true, persist: true }, CONFIG);
    t.same(await maintenance.joined(CONFIG), []);
    t.same(await maintenance.joined(named('new')), ['new']);
    t.equal(maintenance.of('new'), 'persistent');
    t.same(file.saved.at(-1), ['outside', 'inside', 'alone', '*', 'new']);

    const later = new Maintenance(memory(file.saved.at(-1)), LOG);
    t.same(await later.load(named('new', 'newer')), ['outside', 'inside', 'alone', 'new', 'newer']);

    await maintenance.take({ instances: ['alone'], on: false, persist: false }, named('new'));
    t.same(await maintenance.joined(named('new', 'newer')), []);
    t.same(
      ['outside', 'alone', 'new', 'newer'].map((name) => maintenance.of(name)),
      ['persistent', 'off', 'persistent', 'off'],
    );
    t.same(await maintenance.take({ instances: null, on: false, persist: false }, CONFIG), [
      'outside',
      'inside',
      'alone',
      'new',
    ]);
    t.same(file.saved.at(-1), []);
  },
);

void t.test('who joins a sync group that is out of service is, too', async (t) => {
  const maintenance = new Maintenance(memory(), LOG);
  await maintenance.take({ instances: ['inside'], on: true, persist: false }, CONFIG);
  const syncGroups = [{ name: 'all', instances: ['outside', 'inside', 'alone'], track: [] }];
  t.same(await maintenance.joined({ ...CONFIG, syncGroups }), ['alone']);
  t.equal(maintenance.of('alone'), 'on');
});

void t.test('instances that get other names stay as they are', async (t) => {
  const file = memory();
  const maintenance = new Maintenance(file, LOG);
  await maintenance.take({ instances: ['alone'], on: true, persist: true }, CONFIG);
  await maintenance.take({ instances: ['inside'], on: true, persist: false }, CONFIG);
  await maintenance.renamed(
    new Map([
      ['alone', 'outside'],
      ['outside', 'alone'],
    ]),
  );
  const states = () => ['outside', 'inside', 'alone'].map((name) => maintenance.of(name));
  t.same(states(), ['persistent', 'on', 'on']);
  t.same(file.saved, [['alone'], ['outside']]);
  await maintenance.renamed(new Map([['inside', 'within']]));
  t.equal(maintenance.of('within'), 'on');
  t.equal(file.saved.length, 2, 'nothing that lasts has another name');
});

void t.test('of two orders at once, none is lost', async (t) => {
  const file = memory();
  const maintenance = new Maintenance(file, LOG);
  const order = (name: string) => ({ instances: [name], on: true, persist: true });
  await Promise.all(['inside', 'alone'].map((name) => maintenance.take(order(name), CONFIG)));
  t.same(file.saved.at(-1), ['inside', 'outside', 'alone']);
  t.same(
    ['outside', 'inside', 'alone'].map((name) => maintenance.of(name)),
    ['persistent', 'persistent', 'persistent'],
  );
});

void t.test('an order that cannot be made to last changes nothing', async (t) => {
  const failing = {
    load: async () => [],
    save: async () => {
      throw new Error('read-only file system');
    },
  };
  const maintenance = new Maintenance(failing, LOG);
  const order = { instances: null, on: true, persist: true };
  await t.rejects(maintenance.take(order, CONFIG), {
    constructor: PersistError,
    message: 'maintenance cannot be made to last: read-only file system',
  });
  t.equal(maintenance.of('outside'), 'off');
});

void t.test('what was left is loaded', async (t) => {
  const maintenance = new Maintenance(memory(['alone']), LOG);
  t.same(await maintenance.load(CONFIG), ['alone']);
  t.equal(maintenance.of('alone'), 'persistent');
});

void t.test('the file: saved, loaded, removed when empty, told when damaged', async (t) => {
  const directory = join(base, 'state');
  const damages: string[] = [];
  const file = openMaintenanceFile(directory, (path) => damages.push(path));
  t.same(await file.load(), []);
  await file.save(['a', 'b']);
  t.same(await file.load(), ['a', 'b']);
  const path = join(directory, 'maintenance.json');
  const good = await readFile(path, 'utf8');
  for (const text of ['', '[]', 'null', good.replace('1', '2'), good.replace('"instances"', '"instance"')]) {
    t.not(text, good);
    await writeFile(path, text);
    t.same(await file.load(), []);
  }
  t.same(damages, [path, path, path, path, path]);
  await file.save([]);
  await t.rejects(readFile(path), { code: 'ENOENT' });
  await file.save([]);
  await writeFile(join(base, 'file'), '');
  await chmod(join(base, 'file'), 0o600);
  await t.rejects(openMaintenanceFile(join(base, 'file'), () => {}).save(['a']));
});

void t.test('a file that hangs holds up neither a start nor an order', async (t) => {
  const directory = join(base, 'hanging');
  await mkdir(directory);
  const paths = [join(directory, 'maintenance.json'), join(directory, 'maintenance.json.new')];
  // A FIFO with nobody at its other end stands for a file system that hangs.
  t.equal(spawnSync('mkfifo', paths).status, 0);
  const told: string[] = [];
  const starting = openMaintenanceFile(directory, (_path, { message }) => told.push(message), 500);
  t.same(await starting.load(), []);
  t.same(told, ['no answer within 500 ms']);
  const [read = '', written = ''] = paths;
  closeSync(openSync(read, constants.O_WRONLY | constants.O_NONBLOCK));
  await rm(read);

  const file = openMaintenanceFile(directory, () => t.fail(), 500);
  t.same(await file.load(), []);
  await t.rejects(file.save(['a']), /no answer within 500 ms/);
  await t.rejects(file.save(['a']), /has not come back/);
  const reader = openSync(written, constants.O_RDONLY | constants.O_NONBLOCK);
  t.teardown(() => closeSync(reader));
  await rm(written);
  for (;;) {
    try {
      await file.save(['b']);
      break;
    } catch (error) {
      t.match(error, /come back|no answer/);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  t.same(await file.load(), ['b'], 'when it is over, all is well');
});

void t.test('one step of a clean-up that throws does not stop the others', async (t) => {
  const done: string[] = [];
  const told: string[] = [];
  const log = { ...LOG, error: (_fields: object, message: string) => told.push(message) };
  const step = (what: string, fault?: Error) => ({
    what,
    run: () => {
      done.push(what);
      if (fault !== undefined) throw fault;
    },
  });
  t.equal(await cleanUp([step('a'), step('b', new Error('x')), step('c')], log), false);
  t.same(done, ['a', 'b', 'c']);
  t.same(told, ['could not clear away b']);
  t.equal(await cleanUp([step('d')], log), true);
});
