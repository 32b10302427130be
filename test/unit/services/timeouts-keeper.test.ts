import t from 'tap';
import type { IpvsTimeouts } from '../../../src/ipvs/model.js';
import { LOOK_MS } from '../../../src/runtime/looks.js';
import type { Log } from '../../../src/runtime/ports.js';
import { TimeoutsKeeper } from '../../../src/runtime/services/keepers/timeouts-keeper.js';
import { HandClock } from '../hand-clock.js';

const BEFORE: IpvsTimeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };

void t.test(
  'timeouts that somebody changes are put right, those that the file leaves out are his',
  async (t) => {
    const clock = new HandClock();
    const said: string[] = [];
    const say = (_fields: object, text: string) => void said.push(text);
    const log: Log = { debug: () => {}, info: () => {}, warn: say, error: say };
    let refusal: Error | undefined;
    const kernel = {
      now: BEFORE,
      timeouts: async () => kernel.now,
      setTimeouts: async (timeouts: IpvsTimeouts) => {
        if (refusal !== undefined) throw refusal;
        kernel.now = timeouts;
      },
    };
    const keeper = new TimeoutsKeeper(undefined, { clock, log, save: async () => {} });
    await keeper.apply({ tcpSeconds: 60, tcpFinSeconds: 0, udpSeconds: 0 }, kernel);
    t.same(kernel.now, { ...BEFORE, tcpSeconds: 60 });

    kernel.now = { tcpSeconds: 60, tcpFinSeconds: 7, udpSeconds: 8 };
    await clock.advance(LOOK_MS);
    t.same(kernel.now, { tcpSeconds: 60, tcpFinSeconds: 7, udpSeconds: 8 });
    t.same(said, []);

    kernel.now = { tcpSeconds: 5, tcpFinSeconds: 6, udpSeconds: 7 };
    await clock.advance(LOOK_MS);
    t.same(kernel.now, { tcpSeconds: 60, tcpFinSeconds: 6, udpSeconds: 7 });
    t.same(said.splice(0), ['somebody changed the connection timeouts of IPVS: repaired']);

    refusal = new Error('no');
    kernel.now = BEFORE;
    await clock.advance(3 * LOOK_MS);
    t.same(said.splice(0), ['the connection timeouts of IPVS could not be repaired'], 'once');
    refusal = undefined;
    await clock.advance(60_000);
    t.equal(kernel.now.tcpSeconds, 60);
    said.splice(0);

    await keeper.restore(kernel);
    t.same(kernel.now, BEFORE);
    kernel.now = { ...BEFORE, tcpSeconds: 5 };
    await clock.advance(10 * LOOK_MS);
    t.equal(kernel.now.tcpSeconds, 5, 'nobody looks any more');
    t.same(said, []);
  },
);
