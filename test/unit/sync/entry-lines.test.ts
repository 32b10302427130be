import t from 'tap';
import { isYoung, mayLast } from '../../../src/sync/entry-lines.js';

const TIMEOUTS = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };
const lineOf = (protocol: string, state: string, seconds: number): string =>
  `${protocol} C0A80102 8A3C C0A801FD 0050 0A0A0A02 0050 ${state.padEnd(11)} ${String(seconds).padStart(7)}`;
const of = (protocol: string, state: string, seconds: number): boolean =>
  isYoung(lineOf(protocol, state, seconds), TIMEOUTS);

void t.test('what stays lost where it is missing', (t) => {
  t.ok(mayLast(lineOf('TCP', 'ESTABLISHED', 3)));
  t.ok(mayLast(lineOf('UDP', 'UDP', 200)));
  for (const state of ['NONE', 'ASSURED']) t.ok(mayLast(lineOf('IP ', state, 299)), `a template: ${state}`);
  for (const state of ['SYN_RECV', 'FIN_WAIT', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK'])
    t.notOk(mayLast(lineOf('TCP', state, 50)), state);
  t.end();
});

void t.test('what the kernel may not have told of yet', (t) => {
  t.ok(of('TCP', 'ESTABLISHED', 899));
  t.ok(of('TCP', 'ESTABLISHED', 896));
  t.notOk(of('TCP', 'ESTABLISHED', 895), 'it has told of that');
  t.notOk(of('TCP', 'ESTABLISHED', 3));
  for (const state of ['SYN_RECV', 'FIN_WAIT', 'CLOSE_WAIT', 'LAST_ACK']) t.ok(of('TCP', state, 20), state);
  for (const state of ['TIME_WAIT', 'CLOSE', 'NONE']) t.notOk(of('TCP', state, 119), state);
  t.ok(of('UDP', 'UDP', 298));
  t.notOk(of('UDP', 'UDP', 200));
  t.notOk(of('IP ', 'ASSURED', 299), 'a template');
  t.notOk(
    isYoung('Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData', TIMEOUTS),
  );
  t.ok(
    isYoung(
      'TCP 2001:0db8:0001:0000:0000:0000:0000:0002 8A3C 2001:0db8:0001:0000:0000:0000:0000:0253 0050 fd00:0000:0000:0000:0000:0000:0000:0002 0050 ESTABLISHED     898',
      TIMEOUTS,
    ),
  );
  t.end();
});
