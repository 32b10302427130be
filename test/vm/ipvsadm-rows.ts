/** The rows of docs/IPVS.md: what is written in the file, and what `ipvsadm` prints then. */
import * as yaml from 'js-yaml';

export interface IpvsadmRow {
  /** First cell, such as `-t, --tcp-service`. */
  readonly option: string;
  /** Text of a configuration with one virtual server. */
  readonly config: string;
  readonly printed: string;
}

/** `table`: the text of docs/IPVS.md. */
export function ipvsadmRows(table: string): readonly IpvsadmRow[] {
  return table.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    const [, option = '', keys = '', printed = ''] = cells;
    if (cells.length !== 5 || !keys.startsWith('`')) return [];
    return [{ option, config: configOf(plain(keys)), printed: plain(printed) }];
  });
}

function plain(cell: string): string {
  return cell.replaceAll('`', '');
}

function configOf(keys: string): string {
  const said = yaml.load(`{ ${keys} }`) as Record<string, unknown>;
  const has = (...names: string[]) => names.some((name) => name in said);
  const server = {
    name: 'row',
    ...(has('address', 'addresses', 'fwmark') ? {} : { address: '192.0.2.1' }),
    ...(has('port', 'ports', 'fwmark') ? {} : { port: 80 }),
    forwarding: 'nat',
    real_servers: [{ address: '10.0.0.2' }],
    ...said,
  };
  const file = { version: 1, directors: { lb1: { address: '10.0.0.1' } }, virtual_servers: [server] };
  return JSON.stringify(file);
}
