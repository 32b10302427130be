/** Metrics of running directors and of tables of any size; the judge is promtool. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { MetricsListen } from '../../../src/config/model.js';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { monotonicClock } from '../../../src/io/host/clock.js';
import { serveMetrics } from '../../../src/io/operator/metrics-server.js';
import { CONTENT_TYPE, expositionOf } from '../../../src/observe/metrics/exposition.js';
import { freePort } from '../../free-port.js';
import { manyServices, snapshot } from '../../unit/observe/snapshots.js';
import {
  Bench,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  settled,
  skipWithout,
  statusOf,
  stop,
  test,
  testUnless,
} from '../daemon-helpers.js';

t.setTimeout(FILE_LIMIT_MS);

const judged = testUnless(skipWithout('promtool'));
const SERVICES = 5000;
const BUILD = { version: '1.2.3', nodeVersion: '20.0.0' };

/** The body of a scrape. */
function scrape(options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ path: '/metrics', agent: false, ...options }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${response.statusCode}: ${text}`));
      });
    })
      .on('error', reject)
      .end();
  });
}

/** What promtool has to say against it, nothing when it is good. */
function complaintsOfPromtool(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync('promtool', [...args], { input, encoding: 'utf8' });
  return status === 0 ? '' : `${status}: ${stdout}${stderr}`;
}

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'metrics-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Somebody else listens there, until it is released. */
async function occupied(path: string): Promise<() => Promise<void>> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(path, () => resolve());
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
    });
}

judged('promtool takes the metrics of 5,000 services, over loopback and over a unix socket', async (t) => {
  const told = snapshot({ ...manyServices(SERVICES), realServers: true });
  const serve = async (listen: MetricsListen): Promise<void> => {
    const parts = () => expositionOf(BUILD, told, async () => {});
    const close = await serveMetrics(
      listen,
      async () => ({ contentType: CONTENT_TYPE, parts: await parts() }),
      { clock: monotonicClock, onTrouble: (words) => t.fail(words) },
    );
    t.teardown(close);
  };
  const port = await freePort();
  const path = join(folder(t), 'm.sock');
  await serve({ address: '127.0.0.1', port });
  await serve({ path });
  const texts = await Promise.all([scrape({ host: '127.0.0.1', port }), scrape({ socketPath: path })]);
  t.equal(texts[0], texts[1]);
  const text = texts[0] ?? '';
  const count = (name: string) => text.split(`\nlvs_director_${name}{`).length - 1;
  t.equal(count('virtual_server_connections_total'), SERVICES);
  t.equal(count('real_server_connections_total'), 2 * SERVICES);
  t.equal(complaintsOfPromtool(['check', 'metrics'], text), '');
});

judged('promtool finds what is wrong with a metric', async (t) => {
  t.match(complaintsOfPromtool(['check', 'metrics'], '# TYPE a_ms counter\na_ms 1\n'), /^3: .*_total/s);
});

judged('promtool takes the examples of docs/METRICS.md', async (t) => {
  const text = readFileSync(join(projectFolder(), 'docs', 'METRICS.md'), 'utf8');
  const examples = [...text.matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, example = '']) => example);
  const directory = folder(t);
  for (const [kind, key] of [
    ['config', 'scrape_configs:'],
    ['rules', 'groups:'],
  ] as const) {
    const example = examples.find((one) => one.startsWith(key));
    t.type(example, 'string', `an example of ${kind}`);
    const file = join(directory, `${kind}.yml`);
    writeFileSync(file, example ?? '');
    t.equal(complaintsOfPromtool(['check', kind, file]), '');
  }
});

judged('a director tells its role, its configuration and how late it is', async (t) => {
  const bench = await Bench.open(t);
  const socketPath = join(bench.folder, 'm.sock');
  const lb1 = await bench.start('lb1', directorYaml({ more: `metrics: { listen: 'unix:${socketPath}' }` }));
  await inState(lb1, 'master');
  const isMaster = /vrrp_instance_state\{vrrp_instance="outside",state="master"\} 1/;
  let text = '';
  await settled('it tells that it is master', async () => {
    text = await scrape({ socketPath });
    return isMaster.test(text);
  });
  const { configuration } = await statusOf(lb1);
  t.ok(text.includes(`lvs_director_configuration_info{sha256="${configuration.sha256}"} 1`));
  t.match(text, /^lvs_director_vrrp_transitions_total\{.*transition="became_master"\} 1$/m);
  t.match(text, /^lvs_director_event_loop_delay_max_seconds\{process="vrrp"\} /m);
  t.match(text, /^lvs_director_build_info\{version="\d+\.\d+\.\d+",node_version="\d+/m);
  t.equal(complaintsOfPromtool(['check', 'metrics'], text), '');
  t.match(await stop(lb1), { status: 0 });
  t.notOk(existsSync(socketPath), 'the socket goes with the director');
});

test('a reload moves the metrics, a place that is taken ends nothing, and a killed process is replaced', async (t) => {
  const bench = await Bench.open(t);
  const yaml = (name: string) =>
    directorYaml({ more: name === '' ? '' : `metrics: { listen: 'unix:${join(bench.folder, name)}' }` });
  const lb1 = await bench.start('lb1', yaml(''));
  const reload = (name: string): void => {
    writeFileSync(lb1.configFile, yaml(name));
    lb1.child.kill('SIGHUP');
  };
  const answers = (name: string) =>
    scrape({ socketPath: join(bench.folder, name) }).then(
      () => true,
      () => false,
    );
  reload('a.sock');
  await settled('a.sock is served', () => answers('a.sock'));
  reload('b.sock');
  await settled('b.sock is served', () => answers('b.sock'));
  t.notOk(existsSync(join(bench.folder, 'a.sock')));
  const release = await occupied(join(bench.folder, 'c.sock'));
  reload('c.sock');
  await settled('it is told', () => complaints(lb1).length > 0);
  t.match(complaints(lb1), [
    /^metrics cannot be served at unix:.*c\.sock: somebody listens at .*; it is tried again$/,
  ]);
  t.match((await statusOf(lb1)).services, { state: 'running', restarts: 0 });
  await release();
  await settled('c.sock is served', async () => (await answers('c.sock')) && complaints(lb1).length === 1);
  // It leaves its socket behind.
  process.kill((await statusOf(lb1)).services.pid ?? 0, 'SIGKILL');
  await settled('another services process serves c.sock', async () => {
    return (await statusOf(lb1)).services.restarts === 1 && (await answers('c.sock'));
  });
  reload('');
  await settled('nobody listens', async () => !(await answers('c.sock')));
  t.match(await stop(lb1), { status: 0 });
});
