/** What directors of tests say on the peer channel. */
import { createHmac } from 'node:crypto';
import type { Hello } from '../../../src/peer/hello.js';
import type { Mac, PeerMessage } from '../../../src/peer/wire.js';

export function hello(overrides: Partial<Hello> = {}): Hello {
  return {
    director: 'lb2',
    version: '0.1.0',
    wallClockMs: 1_790_000_000_000,
    stampUs: 5_000_000,
    echo: undefined,
    sections: { directors: '0123456789abcdef', vrrp: 'fedcba9876543210' },
    roles: ['backup', 'master'],
    table: { connections: 12, lasting: 10, established: 9, fresh: 2, ageMs: 7 },
    gateway: 'unprobed',
    replays: true,
    isComplete: true,
    asks: 0,
    answer: undefined,
    replayed: { replay: 4_000_000_000, messages: 31 },
    ...overrides,
  };
}

export function message(overrides: Partial<PeerMessage> = {}): PeerMessage {
  return { session: 7n, sequence: 1, challenge: 70n, answer: 0n, hello: hello(), ...overrides };
}

export function macOf(key: string): Mac {
  return (bytes) => createHmac('sha256', key).update(bytes).digest();
}
