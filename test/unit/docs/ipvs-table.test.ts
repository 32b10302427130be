/** Holds docs/IPVS.md to its word: every option of ipvsadm(8) 1.31 and every keyword of keepalived 2.3 has a row, and every row with keys is a good file. */
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

/** Of `virtual_server` blocks and what is in them. */
const KEYWORDS = [
  'virtual_server_group ip_family fwmark protocol lvs_sched lb_algo hashed ops lvs_method lb_kind',
  'sh-port sh-fallback mh-port mh-fallback flag-1 flag-2 flag-3 ipip gue gre nocsum csum remcsum',
  'persistence_timeout persistence_granularity persistence_engine sorry_server sorry_server_inhibit',
  'sorry_server_lvs_method inhibit_on_failure weight uthreshold lthreshold alpha omega ha_suspend',
  'quorum hysteresis quorum_up quorum_down notify_up notify_down smtp_alert virtualhost snmp_name',
  'delay_loop connect_timeout retry delay_before_retry warmup connect_ip connect_port bindto bind_port bind_if',
  'log_all_failures TCP_CHECK HTTP_GET SSL_GET url path status_code digest regex regex_no_match',
  'regex_options regex_stack regex_min_offset regex_max_offset enable_sni http_protocol tls_compliant',
  'fast_recovery UDP_CHECK payload require_reply min_reply_length max_reply_length DNS_CHECK type name',
  'MISC_CHECK misc_path misc_timeout misc_dynamic user SMTP_CHECK helo_name PING_CHECK FILE_CHECK track_file',
  'BFD_CHECK',
].flatMap((line) => line.split(' '));

void t.test('every keyword of keepalived has a row', async (t) => {
  const firstCells = TEXT.split('\n').flatMap((line) => line.split('|')[1] ?? []);
  const told = new Set(firstCells.flatMap((cell) => cell.match(/[A-Za-z][A-Za-z0-9_-]*/g) ?? []));
  t.strictSame(
    KEYWORDS.filter((keyword) => !told.has(keyword)),
    [],
  );
});

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
