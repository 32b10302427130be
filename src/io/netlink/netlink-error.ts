/** What the kernel says to a request, as an error. */
import { getSystemErrorMap } from 'node:util';
import { decodeVerdict, type NetlinkFrame } from '../../netlink/message.js';

/** EOPNOTSUPP, which libuv calls ENOTSUP. */
const EOPNOTSUPP = 95;

function describe(errno: number): [code: string, words: string] {
  if (errno === EOPNOTSUPP) {
    return ['EOPNOTSUPP', 'operation not supported'];
  }
  return getSystemErrorMap().get(-errno) ?? [`E${errno}`, `errno ${errno}`];
}

/** A negative acknowledgement of the kernel, or a request whose acknowledgement did not come. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /** Symbol of the errno, such as `EEXIST`. */
  readonly code: string;
  /** Positive errno. */
  readonly errno: number;
  /** NLMSGERR_ATTR_MSG, the kernel's own sentence, where it sends one. */
  readonly extendedAck: string | undefined;

  constructor(errno: number, detail?: string, extendedAck?: string) {
    const [code, words] = describe(errno);
    super([`${code}: ${words}`, extendedAck, detail].filter((part) => part !== undefined).join(': '));
    this.code = code;
    this.errno = errno;
    this.extendedAck = extendedAck;
  }
}

/** What NLMSG_ERROR or NLMSG_DONE says; undefined for success. */
export function verdictOf(frame: NetlinkFrame): NetlinkError | undefined {
  const verdict = decodeVerdict(frame);
  return verdict && new NetlinkError(verdict.errno, verdict.detail, verdict.extendedAck);
}
