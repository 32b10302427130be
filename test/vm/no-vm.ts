import { findLabKernel } from '../../src/drill/vm/lab-kernel.js';
import { VmError } from '../../src/drill/vm/vm-error.js';

/** Why there can be no VM here, or false: the `skip` of a test that needs one. */
export function noVm(): string | false {
  try {
    findLabKernel();
    return false;
  } catch (error) {
    if (error instanceof VmError) return error.message;
    throw error;
  }
}
