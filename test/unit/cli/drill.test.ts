import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CONFIG_FOLDER } from '../../../src/program.js';
import { MAIN } from '../../program.js';

function drill(...options: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, 'drill', ...options], { encoding: 'utf8' });
}

await t.test('wrong arguments are named and end with 2, before anything is built', async (t) => {
  const cases: [string[], RegExp][] = [
    [
      ['--topology', 'natt'],
      /there is no 'natt'; there are nat, nat-port-mapping, dr, tun, fullnat, virtual-mac, services and all/,
    ],
    [['--scenario', 'planned,crush'], /there is no 'crush'/],
    [['--kernel', 'moon'], /there is no 'moon'/],
    [['--advertisement-interval', '2s'], /'2s' is none of 1s, 100ms, 10ms/],
    [['--probe-interval', '50ms'], /'50ms' is not between 2 and 5/],
    [['--connections', '0'], /'0' is not between 1 and/],
    [['--request-rate', '0'], /'0' is not between 1 and/],
    [['--config', 'x.yaml', '--topology', 'nat'], /--config and --topology exclude each other/],
    [['--config', '/nowhere/x.yaml'], /cannot read the configuration \/nowhere\/x\.yaml/],
    [['--nonsense'], /nonsense/],
  ];
  for (const [options, words] of cases) {
    const { status, stderr } = drill(...options);
    t.equal(status, 2, options.join(' '));
    t.match(stderr, words);
  }
});

await t.test('a configuration is checked before anything is built', async (t) => {
  const text = readFileSync(join(CONFIG_FOLDER, 'nat.yaml'), 'utf8');
  const folder = t.testdir({
    'faulty.yaml': text.replace('virtual_router_id: 51', 'virtual_router_id: 510'),
    'lone.yaml': text.replace(/ {2}lb2: .*\n/, ''),
  });
  const faulty = drill('--config', join(folder, 'faulty.yaml'));
  t.equal(faulty.status, 2);
  t.match(faulty.stderr, /faulty\.yaml:\d+:\d+: vrrp\.instances\[0\]\.virtual_router_id/);
  const lone = drill('--config', join(folder, 'lone.yaml'));
  t.equal(lone.status, 1);
  t.match(lone.stderr, /the lab cannot be made from this file: it has 1 directors/);
});

await t.test('help names every option', async (t) => {
  const { status, stdout } = drill('--help');
  t.equal(status, 0);
  for (const option of [
    'topology',
    'scenario',
    'kernel',
    'out',
    'json',
    'advertisement-interval',
    'probe-interval',
    'config',
    'all',
    'request-rate',
  ]) {
    t.match(stdout, `--${option}`);
  }
});
