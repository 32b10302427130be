export type VmErrorCode =
  /** The guest kernel, busybox or QEMU is missing. */
  | 'ERR_NO_LAB_KERNEL'
  /** The VM gave no sign of life, or ended before it was ready. */
  | 'ERR_VM_BOOT'
  /** The VM ended while a program ran in it. */
  | 'ERR_VM_DIED'
  /** A program ran longer than it was allowed to. */
  | 'ERR_VM_TIMEOUT'
  /** The caller aborted, or stopped the VM under a running program. */
  | 'ERR_VM_ABORTED';

/** What can go wrong with the VM. The message carries the last words of the guest kernel where there are any. */
export class VmError extends Error {
  readonly code: VmErrorCode;
  constructor(code: VmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
