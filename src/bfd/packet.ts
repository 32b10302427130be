/** BFD control packets (RFC 5880 section 4.1), without authentication. */

/** RFC 5881 section 4: single hop, to this port, from one of those, with this TTL and from no other. */
export const BFD_PORT = 3784;
export const BFD_SOURCE_PORTS = { first: 49_152, last: 65_535 } as const;
export const BFD_TTL = 255;
/** Without an authentication section. */
export const BFD_LENGTH = 24;

/** In the order of their numbers (`Sta`). */
export const BFD_STATES = ['admin-down', 'down', 'init', 'up'] as const;
export type BfdState = (typeof BFD_STATES)[number];

/** `Diag`, RFC 5880 section 4.1, by their numbers. */
export const BFD_DIAGNOSTICS = [
  'no diagnostic',
  'control detection time expired',
  'echo function failed',
  'neighbor signaled session down',
  'forwarding plane reset',
  'path down',
  'concatenated path down',
  'administratively down',
  'reverse concatenated path down',
] as const;
export const NO_DIAGNOSTIC = 0;
export const DETECTION_TIME_EXPIRED = 1;
export const NEIGHBOR_SIGNALED_DOWN = 3;
export const ADMINISTRATIVELY_DOWN = 7;

export function diagnosticText(diagnostic: number): string {
  return BFD_DIAGNOSTICS[diagnostic] ?? `diagnostic ${diagnostic}`;
}

export interface BfdPacket {
  readonly state: BfdState;
  /** 0 to 31. */
  readonly diagnostic: number;
  readonly poll: boolean;
  readonly final: boolean;
  readonly demand: boolean;
  /** `Detect Mult`, 1 to 255. */
  readonly multiplier: number;
  /** `My Discriminator`, not 0. */
  readonly discriminator: number;
  /** `Your Discriminator`; 0: not known yet. */
  readonly yourDiscriminator: number;
  /** `Desired Min TX Interval` and `Required Min RX Interval` in microseconds, 32 bits. */
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
}

/** Why a packet is not taken, of its bytes alone (RFC 5880 section 6.8.6, in its order). */
export type BfdRefusal =
  | 'bad-version'
  | 'bad-length'
  | 'bad-multiplier'
  | 'multipoint'
  | 'bad-discriminator'
  /** None of ours is named, by a session that is no longer down. */
  | 'bad-your-discriminator'
  /** Nothing here is authenticated. */
  | 'authenticated';

export type DecodedBfd =
  | { readonly ok: true; readonly packet: BfdPacket }
  | { readonly ok: false; readonly reason: BfdRefusal };

const VERSION = 1;
const AUTHENTICATED_LENGTH = 26;
const FLAG = {
  poll: 0x20,
  final: 0x10,
  independent: 0x08,
  authenticated: 0x04,
  demand: 0x02,
  multipoint: 0x01,
};

const refused = (reason: BfdRefusal): DecodedBfd => ({ ok: false, reason });

/** Any bytes in, never throws. */
export function decodeBfd(bytes: Uint8Array): DecodedBfd {
  if (bytes.length < BFD_LENGTH) return refused('bad-length');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const first = view.getUint8(0);
  const flags = view.getUint8(1);
  const multiplier = view.getUint8(2);
  const length = view.getUint8(3);
  if (first >> 5 !== VERSION) return refused('bad-version');
  const isAuthenticated = (flags & FLAG.authenticated) !== 0;
  if (length < (isAuthenticated ? AUTHENTICATED_LENGTH : BFD_LENGTH)) return refused('bad-length');
  if (length > bytes.length) return refused('bad-length');
  if (multiplier === 0) return refused('bad-multiplier');
  if ((flags & FLAG.multipoint) !== 0) return refused('multipoint');
  const discriminator = view.getUint32(4);
  if (discriminator === 0) return refused('bad-discriminator');
  const state = BFD_STATES[flags >> 6] ?? 'down';
  const yourDiscriminator = view.getUint32(8);
  if (yourDiscriminator === 0 && state !== 'down' && state !== 'admin-down')
    return refused('bad-your-discriminator');
  if (isAuthenticated) return refused('authenticated');
  return {
    ok: true,
    packet: {
      state,
      diagnostic: first & 0x1f,
      poll: (flags & FLAG.poll) !== 0,
      final: (flags & FLAG.final) !== 0,
      demand: (flags & FLAG.demand) !== 0,
      multiplier,
      discriminator,
      yourDiscriminator,
      desiredMinTxUs: view.getUint32(12),
      requiredMinRxUs: view.getUint32(16),
    },
  };
}

/** There is no echo function: `Required Min Echo RX Interval` is 0. */
export function encodeBfd(packet: BfdPacket): Uint8Array {
  const bytes = new Uint8Array(BFD_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, (VERSION << 5) | packet.diagnostic);
  view.setUint8(
    1,
    (BFD_STATES.indexOf(packet.state) << 6) |
      (packet.poll ? FLAG.poll : 0) |
      (packet.final ? FLAG.final : 0) |
      (packet.demand ? FLAG.demand : 0),
  );
  view.setUint8(2, packet.multiplier);
  view.setUint8(3, BFD_LENGTH);
  view.setUint32(4, packet.discriminator);
  view.setUint32(8, packet.yourDiscriminator);
  view.setUint32(12, packet.desiredMinTxUs);
  view.setUint32(16, packet.requiredMinRxUs);
  return bytes;
}
