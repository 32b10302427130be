/** A script says the same of a stream however it is cut into pieces, and nothing makes it throw. */
import fc from 'fast-check';
import t from 'tap';
import { dialogueOf } from '../../src/protocols/conversations.js';
import type { Turn } from '../../src/protocols/dialogue.js';
import { hexText } from '../../src/util/hex.js';
import { cuts, pieces } from './stream-arbitraries.js';

/** Few kinds of bytes, so that what is expected comes, and begins in vain. */
const letters = (least: number, most: number) =>
  fc.array(fc.nat(2), { minLength: least, maxLength: most }).map((list) => Uint8Array.from(list));

void t.test('script: as a search from place to place', async () => {
  fc.assert(
    fc.property(fc.array(letters(1, 4), { maxLength: 4 }), letters(0, 40), cuts, (wanted, stream, at) => {
      const dialogue = dialogueOf({
        protocol: 'script',
        steps: wanted.map((bytes) => ({ type: 'expect', bytes: hexText(bytes) })),
      });
      let turn: Turn = dialogue.begin();
      for (const piece of pieces(stream, at)) if (turn.type === 'waiting') turn = dialogue.hear(piece);
      let text = hexText(stream);
      const isGood = wanted.every((bytes) => {
        const found = text.match(`^(..)*?${hexText(bytes)}`);
        if (found !== null) text = text.slice(found[0].length);
        return found !== null;
      });
      return turn.type === (isGood ? 'good' : 'waiting');
    }),
    { numRuns: 3000 },
  );
});
