import { addressBytes, canonicalAddress } from '../util/ip-address.js';
import { UsageError } from './command.js';

/**
 * `10.0.0.2`, `10.0.0.2:80`, `fd00::2`, `[fd00::2]` or `[fd00::2]:80`; the port is null where none is said.
 * `what` it is to be, such as `real server`, is for the error.
 */
export function parseEndpoint(
  text: string,
  what: string,
): { readonly address: string; readonly port: number | null } {
  const match =
    /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ??
    /^([0-9.]+):(\d{1,5})$/.exec(text) ??
    /^([0-9A-Fa-f.:]+)$/.exec(text);
  const [, address = '', port] = match ?? [];
  if (addressBytes(address) === undefined || Number(port ?? 0) > 65_535)
    throw new UsageError(`'${text}' is no ${what} such as 10.10.10.2:80 or [2001:db8::2]:80`);
  return { address: canonicalAddress(address), port: port === undefined ? null : Number(port) };
}
