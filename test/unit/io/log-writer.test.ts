import t from 'tap';
import { type LogGap, LogWriter, MAX_WAITING_BYTES } from '../../../src/io/operator/log-writer.js';

const LINE = `${'x'.repeat(1023)}\n`;

/** A descriptor whose writes end when they are told. */
function descriptor() {
  const written: string[] = [];
  let end: ((error: Error | null, bytes?: number) => void) | undefined;
  let chunk = Buffer.alloc(0);
  const gaps: LogGap[] = [];
  const writer = new LogWriter({
    descriptor: 1,
    retryMs: 1,
    onRoom: (gap) => {
      gaps.push(gap);
      writer.write('gap\n');
    },
    write: (_descriptor, bytes, done) => {
      chunk = Buffer.from(bytes);
      end = (error, count = bytes.length) => {
        end = undefined;
        if (error === null) written.push(chunk.toString('utf8', 0, count));
        done(error, error === null ? count : 0);
      };
    },
  });
  return {
    writer,
    written,
    gaps,
    underWay: () => end !== undefined,
    end: (error: Error | null, bytes?: number) => end?.(error, bytes),
  };
}

void t.test(
  'a write that hangs: lines wait up to a limit, the rest is counted, and told in its place',
  (t) => {
    const { writer, written, gaps, end } = descriptor();
    writer.write('first\n');
    const fit = MAX_WAITING_BYTES / LINE.length;
    for (let n = 0; n < fit + 10; n += 1) writer.write(LINE);
    // One that would fit again: a gap is in one place.
    writer.write('short\n');
    t.match(writer.status(), { lines_lost: 11, failed_writes: 0, error: null });
    end(null);
    t.same(gaps, []);
    end(null);
    t.same(gaps, [{ linesLost: 11, reason: undefined }]);
    end(null);
    t.same(written.join(''), `first\n${LINE.repeat(fit)}gap\n`);
    t.end();
  },
);

void t.test('a write that fails is tried again, a short one goes on where it ended', async (t) => {
  const { writer, written, gaps, end, underWay } = descriptor();
  const until = async (what: () => boolean) => {
    while (!what()) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  writer.write('one\n');
  end(new Error('ENOSPC: no space left on device, write'));
  t.match(writer.status(), { failed_writes: 1, error: /no space/ });
  await until(underWay);
  end(null, 2);
  end(null);
  t.equal(writer.status().error, null);
  t.match(gaps, [{ linesLost: 0, reason: /no space/ }]);
  end(null);
  t.same(written, ['on', 'e\n', 'gap\n']);
});

void t.test('at the end a failure is the last word', async (t) => {
  const { writer, end } = descriptor();
  await writer.settled();
  writer.write('one\n');
  const settled = writer.settled();
  end(new Error('EIO'));
  await settled;
  t.equal(writer.busy, false);
});
