/** nft(8): a ruleset on its standard input, one transaction; and what it prints of a table. */
import { execFile } from 'node:child_process';
import type { Nft } from '../../runtime/ports.js';
import { workInTurn } from '../../util/in-turn.js';
import { searchPath } from './programs.js';

const TIMEOUT_MS = 10_000;
/** Bytes of nft's own words, or of a table. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** nft(8) is not installed. */
export class NoNftError extends Error {
  override readonly name = 'NoNftError';
  readonly code = 'ERR_NO_NFT';
  constructor(purpose: string, cause: unknown) {
    super(`${purpose} needs the nft program (package nftables)`, { cause });
  }
}

/** nft(8) refused the ruleset, or did not end in time. */
export class NftError extends Error {
  override readonly name = 'NftError';
  readonly code = 'ERR_NFT';
  constructor(purpose: string, words: string, cause: unknown) {
    super(`nft cannot set what ${purpose} needs: ${words}`, { cause });
  }
}

/** `purpose`: what in the file needs it, for errors. `program` is for tests. Calls run one after the other. */
export function openNft(purpose: string, program = 'nft'): Nft {
  const inTurn = workInTurn();
  return {
    set: async (ruleset) => void (await inTurn(() => run(purpose, program, ['-f', '-'], ruleset))),
    list: (table) =>
      inTurn(async () => {
        try {
          return await run(purpose, program, ['list', 'table', ...table.split(' ')], '');
        } catch (error) {
          if (error instanceof NftError && error.message.includes('No such file or directory'))
            return undefined;
          throw error;
        }
      }),
  };
}

function run(purpose: string, program: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      {
        timeout: TIMEOUT_MS,
        maxBuffer: MAX_OUTPUT_BYTES,
        env: { ...process.env, PATH: searchPath(), LC_ALL: 'C' },
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else if (error.code === 'ENOENT') reject(new NoNftError(purpose, error));
        else if (error.killed === true)
          reject(new NftError(purpose, `no end within ${TIMEOUT_MS} ms`, error));
        else reject(new NftError(purpose, stderr.trim().split('\n')[0] ?? error.message, error));
      },
    );
    // EPIPE when nft ends early: its status tells more.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
