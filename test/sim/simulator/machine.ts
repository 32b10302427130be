/** The state machine under test, and how the shell of the model may differ from the real one: for seeded bugs. */
import { step } from '../../../src/vrrp/group.js';
import { createGroup } from '../../../src/vrrp/group-create.js';

export interface Machine {
  readonly create: typeof createGroup;
  readonly step: typeof step;
  /** The receive queue is read before a deadline acts. */
  readonly drainsFirst: boolean;
  /** The guardian acts when its lease is over, and the process looks at the lease before it speaks. */
  readonly leases: boolean;
  /** Advertisements and announcements that wait for address work are dropped when the role is gone by then. */
  readonly dropsStaleWork: boolean;
}

export const PRODUCT: Machine = {
  create: createGroup,
  step,
  drainsFirst: true,
  leases: true,
  dropsStaleWork: true,
};
