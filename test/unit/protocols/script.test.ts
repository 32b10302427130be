import t from 'tap';
import type { ScriptStep } from '../../../src/config/model-protocols.js';
import { dialogueOf } from '../../../src/protocols/conversations.js';
import { type Dialogue, MAX_HEARD_BYTES, type Turn } from '../../../src/protocols/dialogue.js';
import { hexText } from '../../../src/util/hex.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const expect = (text: string): ScriptStep => ({ type: 'expect', bytes: hexText(bytes(text)) });
const send = (text: string): ScriptStep => ({ type: 'send', bytes: hexText(bytes(text)) });
const script = (...steps: ScriptStep[]): Dialogue => dialogueOf({ protocol: 'script', steps });
const said = (turn: Turn) =>
  turn.type === 'bad' ? turn.reason : [turn.type, ...turn.send.map((sent) => new TextDecoder().decode(sent))];

void t.test('steps in their order', async (t) => {
  const dialogue = script(expect('220'), send('HELO a\r\n'), expect('250'), send('QUIT\r\n'));
  t.strictSame(said(dialogue.begin()), ['waiting']);
  t.strictSame(said(dialogue.hear(bytes('22'))), ['waiting']);
  t.strictSame(said(dialogue.hear(bytes('0 mail\r\n'))), ['waiting', 'HELO a\r\n']);
  t.strictSame(said(dialogue.hear(bytes('250 ok'))), ['good', 'QUIT\r\n']);
});

void t.test('what one step did not take is for the next one', async (t) => {
  const dialogue = script(expect('a'), expect('a'), expect('b'));
  dialogue.begin();
  t.strictSame(said(dialogue.hear(bytes('xax'))), ['waiting']);
  t.strictSame(said(dialogue.hear(bytes('xaxb'))), ['good']);
});

void t.test('no steps, and none that waits', async (t) => {
  t.strictSame(said(script().begin()), ['good']);
  t.strictSame(said(script(send('a'), send('b')).begin()), ['good', 'a', 'b']);
});

void t.test('a text that began and did not go on', async (t) => {
  const dialogue = script(expect('aab'));
  dialogue.begin();
  t.strictSame(said(dialogue.hear(bytes('aa'))), ['waiting']);
  t.strictSame(said(dialogue.hear(bytes('ab'))), ['good']);
});

void t.test('reasons name the step', async (t) => {
  const dialogue = script(expect('220'), send('x'), expect('250'));
  dialogue.begin();
  t.equal(dialogue.silence('within 1000 ms'), "step 1: no '220' within 1000 ms");
  dialogue.hear(bytes('554 go\taway\r\n\0'));
  t.equal(
    dialogue.silence('before the end of the connection'),
    "step 1: expected '220', got '554 go away .' before the end of the connection",
  );
  dialogue.hear(bytes('220'));
  t.equal(dialogue.silence('within 1 ms'), "step 3: no '250' within 1 ms");
  dialogue.hear(bytes('x'.repeat(200)));
  t.equal(dialogue.silence('within 1 ms'), `step 3: expected '250', got '${'x'.repeat(60)}...' within 1 ms`);
  const binary = dialogueOf({
    protocol: 'script',
    steps: [{ type: 'expect', bytes: `00ff${'11'.repeat(40)}` }],
  });
  binary.begin();
  t.equal(binary.silence('within 1 ms'), `step 1: no hex 00ff${'11'.repeat(28)}... within 1 ms`);
});

void t.test('a server that only talks', async (t) => {
  const dialogue = script(expect('220'));
  dialogue.begin();
  t.equal(said(dialogue.hear(new Uint8Array(MAX_HEARD_BYTES)))[0], 'waiting');
  t.equal(said(dialogue.hear(bytes('1'))), "step 1: no '220' in the first 65536 bytes of the answer");
});
