/** Peer dead, peer isolated, this director isolated: told apart by what is heard. */
import t from 'tap';
import { conditionOf, differingSections, type Signs, WAITING_MS } from '../../../src/peer/condition.js';

function signs(overrides: Partial<Signs> = {}): Signs {
  return {
    isUp: false,
    forMs: 60_000,
    hello: { roles: ['backup'], gateway: 'unprobed' },
    isSameVrrp: true,
    roles: ['master'],
    hearsMaster: false,
    gateway: 'unprobed',
    ...overrides,
  };
}

void t.test('by what is heard', async (t) => {
  const up = { isUp: true } as const;
  const both = { roles: ['master'], gateway: 'answers' } as const;
  t.equal(conditionOf(signs(up)), 'up');
  t.equal(conditionOf(signs({ ...up, hello: both })), 'two-masters');
  t.equal(conditionOf(signs({ ...up, hello: both, isSameVrrp: false })), 'up', 'other instances, perhaps');
  t.equal(conditionOf(signs({ ...up, hello: { roles: [], gateway: 'silent' } })), 'peer-isolated');
  t.equal(conditionOf(signs({ hearsMaster: true, gateway: 'silent' })), 'channel-silent');
  t.equal(conditionOf(signs({ gateway: 'answers' })), 'peer-dead');
  t.equal(conditionOf(signs({ gateway: 'silent' })), 'self-isolated');
  t.equal(conditionOf(signs()), 'peer-silent');
  t.equal(conditionOf(signs({ hello: undefined, forMs: WAITING_MS - 1 })), 'waiting');
  t.equal(conditionOf(signs({ hello: undefined, forMs: WAITING_MS })), 'peer-silent');
});

void t.test('what of two files differs', async (t) => {
  t.same(differingSections({ vrrp: '1', ipvs: '2' }, { vrrp: '1', ipvs: '2' }), []);
  t.same(differingSections({ vrrp: '1', ipvs: '2' }, { vrrp: '3', metrics: '4' }), [
    'ipvs',
    'metrics',
    'vrrp',
  ]);
});
