/** What is said to a real server over a stream, as typed configuration: see model.ts. Bytes as hexadecimal text. */

/** `expect`: what is received from here on holds it, and the next step goes on behind it. */
export type ScriptStep =
  | { readonly type: 'expect'; readonly bytes: string }
  | { readonly type: 'send'; readonly bytes: string };

/** What is said is in protocols/, one file or function a protocol. */
export type Conversation =
  | {
      readonly protocol: 'script';
      /** In their order; none: that the connection is there is enough. */
      readonly steps: readonly ScriptStep[];
    }
  | {
      readonly protocol: 'smtp';
      /** The name by which it greets. */
      readonly helo: string;
    }
  | { readonly protocol: 'imap' | 'pop3' | 'ftp' | 'redis' }
  | { readonly protocol: 'mysql'; readonly user: string }
  | {
      readonly protocol: 'postgresql';
      readonly user: string;
      /** Undefined: the server's choice, the one named like the user. */
      readonly database: string | undefined;
    };
