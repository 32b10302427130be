/** What is under test: the machine within the shell. Seeded bugs of the machine wrap its step; those of the shell are changed lines (bugs.ts). */
import { step } from '../../../src/vrrp/group.js';

export interface Machine {
  readonly step: typeof step;
}

export const PRODUCT: Machine = { step };
