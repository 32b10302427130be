import t from 'tap';
import type { PeerReport } from '../../../src/runtime/peer-status.js';
import type { Log } from '../../../src/runtime/ports.js';
import { BOTH_MASTER_MS, PeerTeller, TROUBLE_MS } from '../../../src/runtime/services/peer/peer-teller.js';

const UP: PeerReport = {
  name: 'lb2',
  address: '10.0.0.2',
  condition: 'up',
  text: 'is up',
  since_s: 1,
  version: null,
  differing_sections: [],
  clock_offset_ms: 0,
  round_trip_ms: 1,
  connections: null,
  complete: null,
  coverage: null,
};
const BOTH: PeerReport = { ...UP, condition: 'two-masters', text: 'answers, and both are master' };

function open(): { readonly teller: PeerTeller; readonly lines: readonly string[] } {
  const lines: string[] = [];
  const say = (_: object, words: string): void => void lines.push(words);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  return { teller: new PeerTeller(log), lines };
}

void t.test('two masters are told of when it lasts, not in a hand-over', (t) => {
  const { teller, lines } = open();
  teller.tell(UP, '1', 0);
  teller.tell(BOTH, '1', 1000);
  teller.tell(BOTH, '1', 1400);
  teller.tell(UP, '1', 2000);
  t.same(lines, ['lb2 is up']);
  teller.tell(BOTH, '1', 10_000);
  teller.tell(BOTH, '1', 10_000 + BOTH_MASTER_MS - 1);
  t.equal(lines.length, 1);
  teller.tell(BOTH, '1', 10_000 + BOTH_MASTER_MS);
  t.same(lines, ['lb2 is up', 'lb2 answers, and both are master']);
  teller.tell(UP, '1', 20_000);
  t.equal(lines.at(-1), 'lb2 is up');
  t.end();
});

void t.test('what is the matter is told when it lasts, and as what it is then', (t) => {
  const { teller, lines } = open();
  teller.tell(UP, '1', 0);
  teller.tell({ ...UP, condition: 'channel-silent', text: 'does not answer on the channel' }, '1', 1000);
  const dead = { ...UP, condition: 'peer-dead', text: 'is dead' } as const;
  teller.tell(dead, '1', 1500);
  teller.tell(dead, '1', 1500 + TROUBLE_MS - 1);
  t.same(lines, ['lb2 is up']);
  teller.tell(dead, '1', 1500 + TROUBLE_MS);
  t.same(lines, ['lb2 is up', 'lb2 is dead']);
  t.end();
});
