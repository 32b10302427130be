/** Linux capabilities of this process. */
import { readFileSync } from 'node:fs';

/** include/uapi/linux/capability.h. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_IPC_LOCK: 14, CAP_SYS_NICE: 23 } as const;
export type Capability = keyof typeof CAPABILITIES;

/** Those of `needed` that are not effective, from CapEff in /proc/self/status. */
export function missingCapabilities(needed: readonly Capability[]): readonly Capability[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const mask = BigInt(`0x${effective}`);
  return needed.filter((name) => (mask & (1n << BigInt(CAPABILITIES[name]))) === 0n);
}
