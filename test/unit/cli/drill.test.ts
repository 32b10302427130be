import { spawnSync } from 'node:child_process';
import t from 'tap';
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
    [['--nonsense'], /nonsense/],
  ];
  for (const [options, words] of cases) {
    const { status, stderr } = drill(...options);
    t.equal(status, 2, options.join(' '));
    t.match(stderr, words);
  }
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
  ]) {
    t.match(stdout, `--${option}`);
  }
});
