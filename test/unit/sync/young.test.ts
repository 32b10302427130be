import t from 'tap';
import { isYoung } from '../../../src/sync/young.js';

const TIMEOUTS = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };
const of = (protocol: string, state: string, seconds: number): boolean =>
  isYoung(
    `${protocol} C0A80102 8A3C C0A801FD 0050 0A0A0A02 0050 ${state.padEnd(11)} ${String(seconds).padStart(7)}`,
    TIMEOUTS,
  );

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
