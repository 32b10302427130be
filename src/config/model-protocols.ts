/** What is said to a real server over a stream, as typed configuration: see model.ts. Bytes as hexadecimal text. */

/** `expect`: what is received from here on holds it, and the next step goes on behind it. */
export type ScriptStep =
  | { readonly type: 'expect'; readonly bytes: string }
  | { readonly type: 'send'; readonly bytes: string };

export type Conversation = {
  readonly protocol: 'script';
  /** In their order; none: that the connection is there is enough. */
  readonly steps: readonly ScriptStep[];
};
