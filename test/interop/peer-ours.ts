/** Another director of ours. */
import { instanceOf, isAlive, settled, stop } from '../net/daemons.js';
import { ourFile } from './our-file.js';
import type { StartPeer } from './peer.js';

export const startOurs: StartPeer = async (bench, which) => {
  const director = await bench.start('lb2', ourFile(which, 'peer'));
  await settled('the other director hears its master', async () => {
    const { state, master } = await instanceOf(director);
    return state !== 'backup' || master !== null;
  });
  const { log } = director;
  return {
    get output() {
      return log.filter(({ event }) => event !== undefined).map(({ msg }) => msg);
    },
    get state() {
      const to = log.findLast(({ event }) => event === 'role')?.['to'];
      return to === 'master' || to === 'backup' ? to : 'unknown';
    },
    complaints: () => log.filter(({ event }) => event === 'discarded').map(({ msg }) => msg),
    stop: async () => {
      await stop(director);
    },
    kill: async () => {
      director.child.kill('SIGKILL');
      await director.child.exited;
      await settled('its guardian is done', () => !isAlive(director.guardian));
    },
  };
};
