/** Holds docs/IPVS.md to its word: every option of ipvsadm(8) 1.31 has a row, and every row is a good file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { ipvsadmRows } from '../../vm/ipvsadm-rows.js';

const TEXT = readFileSync(join(projectFolder(), 'docs', 'IPVS.md'), 'utf8');
const OPTIONS = [
  '-A -E -D -C -R -S -a -e -d -L -Z --set --start-daemon --stop-daemon',
  '-t -u --sctp-service -f -s -p -M --pe -b -r -g -i -m -w -x -y -6 -o',
  '--tun-type --tun-port --tun-nocsum --tun-csum --tun-remcsum --tun-info',
  '--connection --timeout --daemon --stats --rate --thresholds --persistent-conn --sort --nosort -n --exact',
  '--syncid --sync-maxlen --mcast-interface --mcast-group --mcast-port --mcast-ttl',
].flatMap((line) => line.split(' '));

/** Of the text's options in code spans. */
function optionsIn(text: string): ReadonlySet<string> {
  const firstCells = text.split('\n').flatMap((line) => line.split('|')[1] ?? []);
  return new Set(firstCells.flatMap((cell) => cell.match(/(?<=[`\s])--?[a-zA-Z0-9-]+/g) ?? []));
}

void t.test('every option has a row', async (t) => {
  const told = optionsIn(TEXT);
  t.strictSame(
    OPTIONS.filter((option) => !told.has(option)),
    [],
  );
});

void t.test('every row is a good file', async (t) => {
  const rows = ipvsadmRows(TEXT);
  t.ok(rows.length > 40, `${rows.length} rows`);
  for (const { option, config } of rows) {
    const result = parseConfig(config, { name: 'lb1' });
    t.same(result.ok ? [] : result.faults.map(({ message }) => message), [], option);
  }
});
