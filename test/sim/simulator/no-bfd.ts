/** The port of BFD where no configuration asks for a session. */
import type { BfdPorts } from '../../../src/runtime/ports.js';

export const NO_BFD: BfdPorts = {
  random: () => 0.5,
  discriminator: () => 1,
  sourceOf: () => {
    throw new Error('there is no BFD here');
  },
  open: () => {
    throw new Error('there is no BFD here');
  },
};
