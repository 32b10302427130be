/** The status text that the service manager shows. */
import t from 'tap';
import { rolesText } from '../../../src/planning/roles-text.js';
import type { VrrpState } from '../../../src/vrrp/group-types.js';

void t.test('each role with its instances, faults first', async (t) => {
  const states = new Map<string, VrrpState>([
    ['outside', 'master'],
    ['db', 'backup'],
    ['inside', 'master'],
    ['mail', 'fault'],
    ['late', 'initialize'],
  ]);
  t.equal(rolesText(states), 'fault of mail; master of outside, inside; backup of db; not taking part: late');
  t.equal(rolesText(new Map()), '');
});

void t.test('many instances still are one short line', async (t) => {
  const states = new Map<string, VrrpState>();
  for (let n = 0; n < 250; n += 1) {
    states.set(`${'long'.repeat(60)}\n${n}`, n % 2 === 0 ? 'master' : 'backup');
  }
  const text = rolesText(states);
  t.ok(text.length < 1024, `${text.length} characters`);
  t.match(text, / and 115 more; backup of /);
  t.notMatch(text, '\n');
});
