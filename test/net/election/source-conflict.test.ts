/** Two directors with one primary address, as cloned machines have: both are master, and both say why. */
import {
  Bench,
  directorYaml,
  inState,
  instanceOf,
  type RunningDirector,
  settled,
  test,
} from '../daemon-helpers.js';

const ADDRESS = '192.168.7.11';

const conflicts = ({ log }: RunningDirector) => log.filter(({ event }) => event === 'source-conflict');

test('two directors with one primary address say so loudly', async (t) => {
  const bench = await Bench.open(t);
  await bench.lab.run('lb2', ['ip', 'address', 'flush', 'dev', 'eth0', 'scope', 'global']);
  await bench.lab.run('lb2', ['ip', 'address', 'add', `${ADDRESS}/24`, 'dev', 'eth0']);
  const yaml = directorYaml();
  const pair = [await bench.start('lb1', yaml), await bench.start('lb2', yaml)] as const;
  for (const one of pair) {
    await inState(one, 'master');
    await settled(`${one.host} tells of the other`, () => conflicts(one).length > 0);
    const [line] = conflicts(one);
    t.equal(line?.level, 50, 'as an error');
    t.match(line?.msg, /another host \(([0-9a-f]{2}:){5}[0-9a-f]{2}\) has 192\.168\.7\.11, .* cloned\?/);
    t.match((await instanceOf(one)).source_conflict, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    const { output } = await bench.command(one.host, ['status', '--runtime-dir', one.runtimeDirectory]);
    t.match(output.join('\n'), /outside: another host \(.*\) has this director's own address on eth0/);
  }
  t.equal(conflicts(pair[0]).length, 1, 'once');
});

test('a pair in good order says nothing of the kind, nor does one whose switch reflects what it sends', async (t) => {
  const bench = await Bench.open(t);
  for (const port of ['lb1-outside', 'lb2-outside'])
    await bench.switches('bridge', 'link', 'set', 'dev', port, 'hairpin', 'on');
  const yaml = directorYaml().replace('preempt: false', 'preempt: false\n      virtual_mac: true');
  const pair = await bench.pair(yaml);
  // What was asked at the start is answered by now, and what is sent comes back.
  await bench.lab.run('client', ['ping', '-c', '3', '-i', '0.3', '192.168.7.253']);
  for (const [i, one] of pair.entries()) {
    t.same(conflicts(one), []);
    t.notOk(one.log.some(({ event }) => event === 'own-source'));
    const { state, source_conflict } = await instanceOf(one);
    t.equal(state, i === 0 ? 'master' : 'backup');
    t.equal(source_conflict, null);
  }
});
