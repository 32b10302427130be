/** For `node --import`: a services process gets fake-table.ts instead of the kernel's IPVS; others are left alone. */
import { register } from 'node:module';

const HOOKS = `
const fake = ${JSON.stringify(new URL('fake-table.js', import.meta.url).href)};
export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  return found.url.endsWith('/io/netlink/ipvs.js') ? { ...found, url: fake } : found;
}`;

// Hooks run in a thread of their own, which the VRRP process must not pay for.
if (process.argv[2] === 'services') register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
