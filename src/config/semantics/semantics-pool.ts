/** Quorum, panic threshold and slow start of a virtual server: see semantics.ts. */
import { type AddressFamily, familyOf } from '../../util/ip-address.js';
import type { ServiceAddress } from '../model-servers.js';
import type { FileRealServer, FileVirtualServer } from '../schema/schema-servers.js';
import type { Key, Section } from '../section.js';
import { familyOfService, serves } from '../service-addresses.js';
import type { Report } from './report.js';

type Server = Section<FileVirtualServer>;
type Read = Section<FileRealServer>['value'];

/** `services`: those of the server; undefined when they cannot be told. */
export function checkPool(
  server: Server,
  services: readonly ServiceAddress[] | undefined,
  report: Report,
): void {
  checkQuorum(server, services, report);
  needsCheck(server, 'panic_threshold', report);
  if (server.value.slow_start !== 0) needsCheck(server, 'slow_start', report);
  if (!server.has('panic_threshold') || !server.has('sorry_server')) return;
  report(
    [...server.path, 'panic_threshold'],
    () =>
      "goes not with 'sorry_server': when few are healthy, either all get traffic or the sorry server does",
    { at: 'key' },
  );
}

function needsCheck(server: Server, key: Key<FileVirtualServer>, report: Report): void {
  if (!server.has(key) || server.has('health_check') || server.has('health_checks')) return;
  report(
    [...server.path, key],
    () => "needs 'health_check': without one every real server counts as healthy",
    {
      at: 'key',
    },
  );
}

function checkQuorum(server: Server, services: readonly ServiceAddress[] | undefined, report: Report): void {
  const quorum = server.part('quorum');
  if (quorum === undefined) return;
  if (!server.has('sorry_server')) {
    report(
      quorum.path,
      () => "says when the sorry server has the traffic: expected 'sorry_server' beside it",
      { at: 'key' },
    );
  }
  const { up, hysteresis = 0 } = quorum.value;
  if (up === undefined) return;
  if (hysteresis >= up) {
    report([...quorum.path, 'hysteresis'], () => `is to be less than 'up', which is ${up}`);
    return;
  }
  const reachable = services && weightOfWorst(server, services);
  if (reachable === undefined || up + hysteresis <= reachable) return;
  const sum = hysteresis === 0 ? `${up}` : `${up} + ${hysteresis}`;
  report(
    [...quorum.path, 'up'],
    () =>
      `${sum} is more than the weights of the real servers, ${reachable}: the sorry server would have the traffic for ever`,
  );
}

/** The sum of the weights behind the services of the family that has the least; undefined when it cannot be told. */
function weightOfWorst(server: Server, services: readonly ServiceAddress[]): number | undefined {
  const reals = server.each('real_servers').map(({ value }) => value);
  const families = {
    services: new Set(services.map(familyOfService)),
    realServers: new Set(reals.flatMap(({ address }) => (address === undefined ? [] : familyOf(address)))),
  };
  let least: number | undefined;
  for (const family of families.services) {
    const sum = weightOf(reals, family, server.value.forwarding, families);
    if (sum === undefined) return undefined;
    if (least === undefined || sum < least) least = sum;
  }
  return least;
}

function weightOf(
  reals: readonly Read[],
  service: AddressFamily,
  ofServer: string | undefined,
  families: Parameters<typeof serves>[2],
): number | undefined {
  let sum = 0;
  for (const { address, weight = 1, forwarding = ofServer } of reals) {
    if (address === undefined) return undefined;
    if (serves(service, { family: familyOf(address), forwarding }, families)) sum += weight;
  }
  return sum;
}
