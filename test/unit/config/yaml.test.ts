import t from 'tap';
import { MAX_TEXT_LENGTH, plainValue, readYaml } from '../../../src/config/yaml.js';

function valueOf(text: string): unknown {
  const { root, faults } = readYaml(text);
  if (root === undefined || faults.length > 0) throw new Error(JSON.stringify(faults));
  return plainValue(root);
}

function messagesOf(text: string): string[] {
  return readYaml(text).faults.map(({ offset, message }) => `${offset} ${message}`);
}

void t.test('plain values by the YAML 1.2 core schema, quoted ones as text', async (t) => {
  t.same(valueOf('[1, 0x10, 1.5, true, null, ~, yes, on, "1", \'true\', 10.0.0.1, "a\\tb"]'), [
    1,
    16,
    1.5,
    true,
    null,
    null,
    'yes',
    'on',
    '1',
    'true',
    '10.0.0.1',
    'a\tb',
  ]);
  t.same(valueOf('a: |\n  x\n  y\nb: >-\n  x\n  y\n'), { a: 'x\ny\n', b: 'x y' });
});

void t.test('nodes keep the offset of their first character', async (t) => {
  const { root } = readYaml('a: "x"\nb: [1]\nc:\n');
  t.match(root, {
    kind: 'mapping',
    entries: [
      { key: 'a', keyOffset: 0, value: { offset: 3 } },
      { key: 'b', keyOffset: 7, value: { offset: 10, items: [{ offset: 11 }] } },
      { key: 'c', keyOffset: 14, value: { offset: -1, value: null } },
    ],
  });
});

void t.test('one document, not none and not two', async (t) => {
  for (const text of ['', '\n\n', '# only a comment\n', '---\n', '---\n...\n']) {
    t.same(messagesOf(text), ['0 the file is empty: expected a configuration'], JSON.stringify(text));
  }
  t.same(messagesOf('a: 1\n---\nb: 2\n'), ['9 the file holds 2 YAML documents: expected one']);
});

void t.test('keys stand once, are words, and never reach a prototype', async (t) => {
  t.same(messagesOf('a: 1\nb: 2\na: 3\n'), ["10 duplicate key 'a': it may stand only once here"]);
  t.same(messagesOf('? [a]\n: 1\n'), ['0 a key must be a plain word']);
  t.same(messagesOf('__proto__: { polluted: 1 }\n'), ["0 unknown key '__proto__'"]);
  t.same(messagesOf('a: !!str 1\n').length, 1, 'tags are refused');
});

void t.test('anchors and aliases', async (t) => {
  t.same(valueOf('a: &x { k: 1 }\nb: *x\n'), { a: { k: 1 }, b: { k: 1 } });
  t.match(messagesOf('a: *x\n')[0], /^\d+ .*x/);
  t.match(messagesOf('a: &x [*x]\n')[0], /names no anchor that is complete before it/);
});

void t.test('what would grow without bound is refused at once', async (t) => {
  const bomb = ['a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]'];
  for (let level = 1; level < 12; level += 1) {
    const before = `*a${level - 1}`;
    bomb.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => before).join(', ')}]`);
  }
  t.match(messagesOf(bomb.join('\n')), [/the file holds more than 1000000 values$/]);

  const chain = ['a0: &a0 [1]'];
  for (let level = 1; level < 20_000; level += 1) chain.push(`a${level}: &a${level} [*a${level - 1}]`);
  t.match(messagesOf(chain.join('\n')), [/nested more than 32 levels deep$/]);

  t.match(messagesOf('['.repeat(100_000)), [/not valid YAML: nesting/]);
  t.match(messagesOf('a: '.repeat(100_000)).length, 1);
  t.match(messagesOf(' '.repeat(MAX_TEXT_LENGTH + 1)), [/the file is too long/]);
});
