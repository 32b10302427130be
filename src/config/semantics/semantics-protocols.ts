/** Checks across the values of health checks that speak a protocol. */
import { familyOf } from '../../util/ip-address.js';
import { familyName } from '../address.js';
import { TLS_VERSIONS } from '../model-servers.js';
import type { FileHealthCheck } from '../schema/schema-checks.js';
import type { FileTls } from '../schema/schema-protocols.js';
import type { FileVirtualServer } from '../schema/schema-servers.js';
import type { Section } from '../section.js';
import { quote } from '../yaml.js';
import type { Report } from './report.js';
import { checkEach, type Directors } from './semantics-directors.js';

/** Those that have TLS as a key of their own. */
const WITH_TLS = ['tcp', 'smtp', 'imap', 'pop3', 'ftp', 'redis', 'grpc'] as const;
const OF_BODY = ['body', 'body_matches', 'digest'] as const;

export function checkProtocols(check: Section<FileHealthCheck>, report: Report): void {
  for (const http of [check.part('http'), check.part('https')])
    if (http !== undefined) checkHttp(http, report);
  for (const tls of [check.part('https'), ...WITH_TLS.map((kind) => check.part(kind)?.part('tls'))]) {
    if (tls !== undefined) checkVersions(tls, report);
  }
  for (const { keys, path } of check.part('tcp')?.each('script') ?? []) {
    // An unknown key is told as such, and most likely is one of the two, mistyped.
    if (keys.length === 1 || keys.some((key) => key !== 'expect' && key !== 'send')) continue;
    report(path, () => "expected either 'expect' or 'send'");
  }
}

function checkHttp(http: Section<NonNullable<FileHealthCheck['http']>>, report: Report): void {
  const { digest } = http.value;
  if (digest !== undefined && (digest.sha256 === undefined) === (digest.md5 === undefined)) {
    // One that is no digest is told as such.
    const { keys = [] } = http.part('digest') ?? {};
    if (keys.length !== 1) report([...http.path, 'digest'], () => "expected either 'sha256' or 'md5'");
  }
  if (http.value.method !== 'HEAD') return;
  for (const key of OF_BODY) {
    if (!http.has(key)) continue;
    report([...http.path, key], () => "an answer to 'HEAD' has no body: expected method: GET");
  }
}

function checkVersions({ value, path }: Section<FileTls>, report: Report): void {
  const { min_version: least, max_version: most } = value;
  if (least === undefined || most === undefined) return;
  if (TLS_VERSIONS.indexOf(least) <= TLS_VERSIONS.indexOf(most)) return;
  report([...path, 'max_version'], () => `is below min_version ${least}`);
}

/** Where a check goes from and to. */
export function checkWay(
  server: Section<FileVirtualServer>,
  check: Section<FileHealthCheck>,
  directors: Directors,
  report: Report,
): void {
  const source = check.part('source_address');
  checkEach(source, 'source address', directors, report);
  for (const key of ['address', 'source_address'] as const) {
    if (!check.has(key) || !check.has('command')) continue;
    report([...check.path, key], () => "goes not with 'command', which asks as it likes", { at: 'key' });
  }
  if (source === undefined) return;
  const to = check.value.address;
  const targets = to === undefined ? server.each('real_servers').map(({ value }) => value.address) : [to];
  const families = new Set(targets.flatMap((address) => (address === undefined ? [] : familyOf(address))));
  const addresses: [string | undefined, string | undefined][] =
    typeof source.value === 'string' ? [[undefined, source.value]] : Object.entries(source.value);
  for (const [director, address] of addresses) {
    if (address === undefined || families.size === 0) continue;
    const family = familyOf(address);
    if (families.size === 1 && families.has(family)) continue;
    const [other] = [...families].filter((one) => one !== family);
    if (other === undefined) continue;
    report(
      director === undefined ? source.path : [...source.path, director],
      () => `${quote(address)} is ${familyName(family)}, and what is asked is ${familyName(other)}`,
    );
  }
}
