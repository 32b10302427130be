/** What the drill is doing now, for the person who waits for it. */

/** Without a terminal: a line at least so often. */
const PLAIN_HEARTBEAT_MS = 3000;
const LIVE_REFRESH_MS = 200;

export interface Progress {
  /** Says what happens from now on. */
  step(text: string): void;
  /** Says what has been found, to stay on the screen. */
  note(text: string): void;
  /** Ends the live line. */
  end(): void;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Writes to `stream`: one live line on a terminal, plain lines elsewhere. */
export function openProgress(
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number },
): Progress {
  const live = stream.isTTY === true;
  const begin = performance.now();
  let current = '';
  let since = begin;
  const paint = (): void => {
    if (current === '') {
      return;
    }
    const text = `${seconds(performance.now() - begin).padStart(8)}  ${current} (${seconds(performance.now() - since)})`;
    stream.write(live ? `\r\u001b[2K${text.slice(0, (stream.columns ?? 80) - 1)}` : `${text}\n`);
  };
  const timer = setInterval(paint, live ? LIVE_REFRESH_MS : PLAIN_HEARTBEAT_MS);
  timer.unref();
  const keep = (text: string): void => {
    stream.write(`${live ? '\r\u001b[2K' : ''}${seconds(performance.now() - begin).padStart(8)}  ${text}\n`);
  };
  return {
    step(text) {
      current = text;
      since = performance.now();
      if (live) {
        paint();
      } else {
        keep(text);
      }
    },
    note(text) {
      current = '';
      keep(text);
    },
    end() {
      clearInterval(timer);
      if (live && current !== '') {
        stream.write('\r\u001b[2K');
      }
      current = '';
    },
  };
}

/** For `--json` and tests. */
export const SILENT: Progress = { step: () => {}, note: () => {}, end: () => {} };
