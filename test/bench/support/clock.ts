/** CLOCK_MONOTONIC in milliseconds, as the witnesses' times and the kernel's stamps. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
