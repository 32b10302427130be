/** What the daemon tells the service manager (sd_notify(3)), and in which order. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { UnixDgramSocket } from '../../../src/io/sockets/unix-dgram-socket.js';
import { Bench, directorYaml, FILE_LIMIT_MS, settled, skip } from '../daemon-helpers.js';

t.setTimeout(FILE_LIMIT_MS);

void t.test('readiness, roles, reloads and the end', { skip }, async (t) => {
  const bench = await Bench.open(t);
  // A path, since an abstract name belongs to one network namespace.
  const path = join(bench.folder, 'notify');
  const manager = new UnixDgramSocket().bind(path);
  t.teardown(() => manager.close());
  const told: string[] = [];
  manager.on('message', (message) => told.push(message.toString()));
  const hears = (what: string, count = 1) =>
    settled(`${what}, ${count} times: ${told.join(' | ')}`, () => {
      manager.drain();
      return told.filter((message) => message === what).length >= count;
    });
  process.env['NOTIFY_SOCKET'] = path;
  t.teardown(() => delete process.env['NOTIFY_SOCKET']);
  const director = await bench.start('lb1', directorYaml());
  await hears('STATUS=master of outside');
  t.ok(told.indexOf('READY=1') >= 0 && told.indexOf('READY=1') < told.indexOf('STATUS=master of outside'));

  for (const [index, text] of [directorYaml({ interval: '300ms' }), 'directors:\n'].entries()) {
    await writeFile(director.configFile, text);
    process.kill(director.child.pid, 'SIGHUP');
    await hears('READY=1', index + 2);
  }
  const order = told.filter((message) => !message.startsWith('STATUS='));
  const reloading = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/;
  t.match(order, ['READY=1', reloading, 'READY=1', reloading, 'READY=1'], 'a bad file ends like a good one');
  const [first = 0, second = 0] = order.flatMap(
    (message) => reloading.exec(message)?.slice(1).map(Number) ?? [],
  );
  t.ok(first > 0 && first < second && second <= Number(process.hrtime.bigint() / 1000n), 'CLOCK_MONOTONIC');

  process.kill(director.child.pid, 'SIGTERM');
  await director.child.exited;
  await hears('STOPPING=1');
});
