/** Configurations that one process leaves for another: read whole, and what is the same again is the same object. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { DirectorConfig } from '../../../src/config/model.js';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import { parseConfig } from '../../../src/config/parse.js';
import {
  openConfigurationReader,
  readConfiguration,
  restoreConfiguration,
  writeConfiguration,
} from '../../../src/io/host/configuration-files.js';
import { virtualServer } from '../config/servers.js';

const folder = mkdtempSync(join(tmpdir(), 'configurations-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const parsed = parseConfig('version: 1\ndirectors: { lb1: { address: 10.0.0.1 } }\n', { name: 'lb1' });
if (!parsed.ok) throw new Error(JSON.stringify(parsed));
const { config: empty } = parsed;

function named(names: readonly string[]): DirectorConfig {
  return { ...empty, virtualServers: names.map((name) => virtualServer({ name })) };
}

const write = (config: DirectorConfig): Promise<string> => writeConfiguration(folder, config);

void t.test('what was written is read, whatever was read before', async (t) => {
  const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd\n', 'é'), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(names, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (several, loses) => {
        const read = openConfigurationReader();
        for (const one of several) {
          const path = await write(named(one));
          const config = await read(path);
          if (JSON.stringify(config) !== JSON.stringify(await readConfiguration(path))) return false;
          if (config.virtualServers.some(({ name }, index) => name !== one[index])) return false;
          if (config.virtualServers.length !== one.length) return false;
          if (loses) rmSync(path);
        }
        return true;
      },
    ),
    { numRuns: 200 },
  );
  t.same(await readConfiguration(await write(named(['a']))), JSON.parse(JSON.stringify(named(['a']))));
});

void t.test('one that somebody removed is written again, one that is there is left alone', async (t) => {
  const config = named(['a', 'b']);
  const path = await write(config);
  t.notOk(await restoreConfiguration(path, named(['c'])));
  rmSync(path);
  t.ok(await restoreConfiguration(path, config));
  t.same(await readConfiguration(path), JSON.parse(JSON.stringify(config)));
  t.equal(statSync(path).mode & 0o777, 0o600);
});

void t.test('a virtual server that is as it was is the same object', async (t) => {
  const read = openConfigurationReader();
  const before = await read(await write(named(['a', 'b', 'c', 'd'])));
  const same = (after: readonly VirtualServer[]): string[] =>
    after.filter((server) => before.virtualServers.includes(server)).map(({ name }) => name);
  const reweighed = named(['a', 'b', 'c', 'd']).virtualServers.map((server) =>
    server.name === 'b' ? { ...server, scheduler: 'wlc' as const } : server,
  );
  const changed = await read(await write({ ...empty, virtualServers: reweighed }));
  t.same(same(changed.virtualServers), ['a', 'c', 'd']);
  t.equal(changed.virtualServers[1]?.scheduler, 'wlc');
  const less = await read(await write(named(['a', 'c', 'd'])));
  t.same(same(less.virtualServers), ['a', 'c', 'd']);
  const more = await read(await write(named(['new', 'a', 'c', 'd'])));
  t.same(same(more.virtualServers), ['a', 'c', 'd']);
});
