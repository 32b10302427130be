/** The kernel's IPVS for commands, by the package's socket: it may abort the process, which a command can afford. */
import { type KernelIpvs, openIpvs, thisHost } from '../io/netlink/ipvs.js';
import { openPackageSocket } from '../io/netlink/package-socket.js';

/** Opens it for `work` and closes it afterwards. Rejects with IpvsUnavailableError where there is none. */
export async function withKernelTable<T>(work: (ipvs: KernelIpvs) => Promise<T>): Promise<T> {
  const ipvs = await openIpvs(thisHost(openPackageSocket));
  try {
    return await work(ipvs);
  } finally {
    ipvs.close();
  }
}
