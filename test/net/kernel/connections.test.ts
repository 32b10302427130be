/** `director list --connections` over a file such as the kernel makes, where this host's kernel has none: in a mount namespace. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { MAIN } from '../../program.js';

const MANY = 20_000;
const HEAD = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData';
const skip = process.getuid?.() === 0 ? false : 'a mount namespace needs root';

const hex = (value: number) => value.toString(16).toUpperCase().padStart(4, '0');

/** Every other one to 10.10.10.3:80, each from a port of its own; the last one to another virtual server. */
function table(): string {
  const lines = Array.from(
    { length: MANY },
    (_, i) => `TCP C0A80102 ${hex(i + 1)} C0A801FD 0050 0A0A0A0${2 + (i % 2)} 0050 ESTABLISHED     899`,
  );
  const other = 'UDP C0A80102 1234 C0A801FD 13C4 0A0A0A02 13C4 UDP             299 sip call@one';
  return [HEAD, ...lines, other, ''].join('\n');
}

void t.test('director list --connections', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'list-connections-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'net'));
  writeFileSync(join(folder, 'net', 'ip_vs_conn'), table());
  /** `rest`: what the shell does with it. */
  const list = (options: string, rest = '') => {
    const script = `mount --bind "$0" /proc && "$1" "$2" list --connections ${options} ${rest}`;
    const argv = ['--mount', 'sh', '-c', script, folder, process.execPath, MAIN];
    return execFileSync('unshare', argv, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  };

  const all = list('').split('\n');
  t.equal(all.length, 2 + MANY + 2);
  t.equal(all[2], 'TCP 14:59  ESTABLISHED 192.168.1.2:1      192.168.1.253:80   10.10.10.2:80');
  t.equal(all.at(-2), 'UDP 04:59  UDP         192.168.1.2:4660   192.168.1.253:5060 10.10.10.2:5060');
  t.equal(list('--service 192.168.1.253:80 --server 10.10.10.3').split('\n').length, 2 + MANY / 2 + 1);
  t.match(
    list('--service 192.168.1.253:5060 --persistent-conn'),
    /10\.10\.10\.2:5060  sip                call@one\n$/,
  );
  const { connections } = JSON.parse(list('--json --server 10.10.10.2:5060'));
  t.match(connections, [{ state: 'UDP', expiresSeconds: 299, persistenceData: 'call@one' }]);
  t.same(JSON.parse(list('--json --service 10.9.9.9')), { connections: [] });
  t.equal(
    list('', '2> "$0/said" | head -n 1; cat "$0/said"'),
    'IPVS connection entries\n',
    'whoever reads may leave first, without a word',
  );
});
