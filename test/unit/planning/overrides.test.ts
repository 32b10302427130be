import t from 'tap';
import { parseEndpoint } from '../../../src/cli/endpoint.js';
import {
  type Override,
  type OverrideOrder,
  overridden,
  overrideText,
  withOrder,
  withoutStrangers,
} from '../../../src/planning/overrides.js';
import { onPort, realServer, virtualServer } from '../config/servers.js';

const WEB = virtualServer({ realServers: [realServer('10.0.0.2'), realServer('10.0.0.3', { weight: 5 })] });
const DNS = {
  ...onPort(virtualServer({ realServers: [realServer('10.0.0.2', { port: 53 })] }), 53),
  name: 'dns',
};
const SERVERS = [WEB, DNS];
const ALL: OverrideOrder = {
  action: 'drain',
  virtualServer: null,
  address: '10.0.0.2',
  port: null,
  weight: null,
};

function after(orders: readonly Partial<OverrideOrder>[]): readonly Override[] {
  return orders.reduce<readonly Override[]>((overrides, order) => {
    const result = withOrder(overrides, { ...ALL, ...order }, SERVERS);
    if (!result.ok) throw new Error(result.reason);
    return result.overrides;
  }, []);
}

function table(overrides: readonly Override[]): string[] {
  return overridden(SERVERS, overrides).flatMap(({ name, realServers }) =>
    realServers.map(({ address, port, weight }) => `${name} ${address}:${port} ${weight}`),
  );
}

void t.test('orders', async (t) => {
  const file = ['web 10.0.0.2:80 1', 'web 10.0.0.3:80 5', 'dns 10.0.0.2:53 1'];
  t.strictSame(table([]), file);
  t.strictSame(table(after([{}])), ['web 10.0.0.2:80 0', 'web 10.0.0.3:80 5', 'dns 10.0.0.2:53 0']);
  t.strictSame(table(after([{ port: 53 }])), ['web 10.0.0.2:80 1', 'web 10.0.0.3:80 5', 'dns 10.0.0.2:53 0']);
  const own = { virtualServer: 'web' };
  t.strictSame(table(after([{ ...own, action: 'weight', weight: 9 }]))[0], 'web 10.0.0.2:80 9');
  t.match(overridden(SERVERS, after([{ ...own, action: 'weight', weight: 9 }]))[0]?.realServers, [
    { isWeightFixed: true },
    { isWeightFixed: undefined },
  ]);
  t.strictSame(table(after([{ action: 'disable' }])), ['web 10.0.0.3:80 5']);
  t.strictSame(after([{ action: 'disable' }, {}, { action: 'enable' }, { action: 'undrain' }]), []);
  t.strictSame(
    after([
      { action: 'weight', weight: 3 },
      { action: 'weight', weight: null },
    ]),
    [],
  );
  t.match(
    after([{ ...own, action: 'disable' }, own]),
    [{ disabled: true, weight: 0 }],
    'one does not undo the other',
  );
  t.match(withOrder([], { ...ALL, address: '10.0.0.9' }, SERVERS), {
    ok: false,
    reason: 'no virtual server has a real server 10.0.0.9',
  });
  t.match(withOrder([], { ...ALL, virtualServer: 'dns', port: 80 }, SERVERS), {
    ok: false,
    reason: "the virtual server 'dns' has no real server 10.0.0.2:80",
  });
});

void t.test('who leaves the file, and what is said', async (t) => {
  const overrides = after([{}]);
  t.equal(withoutStrangers(overrides, SERVERS).length, 2);
  t.match(withoutStrangers(overrides, [DNS]), [{ virtualServer: 'dns' }]);
  const place = { virtualServer: 'web', address: '10.0.0.3', port: 80 };
  const words = 'web: real server 10.0.0.3:80 is';
  t.equal(
    overrideText({ ...place, weight: 0, disabled: true }, SERVERS),
    `${words} disabled, weight 0 (file: 5)`,
  );
  t.equal(overrideText(place, SERVERS), `${words} as the file says`);
});

void t.test('real servers on the command line', async (t) => {
  t.same(parseEndpoint('10.0.0.2', 'real server'), { address: '10.0.0.2', port: null });
  t.same(parseEndpoint('10.0.0.2:80', 'real server'), { address: '10.0.0.2', port: 80 });
  t.same(parseEndpoint('FD00:0::2', 'real server'), { address: 'fd00::2', port: null });
  t.same(parseEndpoint('[fd00::2]:80', 'real server'), { address: 'fd00::2', port: 80 });
  t.same(parseEndpoint('[fd00::2]', 'real server'), { address: 'fd00::2', port: null });
  for (const wrong of ['rs1', '10.0.0', '10.0.0.2:', '10.0.0.2:99999', '[10.0.0.2', '[fd00::2]:x', '']) {
    t.throws(() => parseEndpoint(wrong, 'real server'), { code: 'ERR_USAGE' }, wrong);
  }
});
