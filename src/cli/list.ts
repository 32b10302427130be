import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { readConnections } from '../io/netlink/connection-table.js';
import type { KernelIpvs } from '../io/netlink/ipvs.js';
import { connectionLine, connectionsHead, type EndpointFilter, isMeant } from '../ipvs/connections.js';
import { formatDaemons, formatTable, inOrder } from '../ipvs/format.js';
import { formatCounted, formatSettings } from '../ipvs/format-columns.js';
import type { ServiceKey } from '../ipvs/model.js';
import { type Command, UsageError } from './command.js';
import { parseEndpoint } from './endpoint.js';
import { jsonText } from './json-text.js';
import { withKernelTable } from './kernel-table.js';

const USAGE = `Usage: director list [VIEW] [OPTIONS]

Prints the kernel's IPVS table as 'ipvsadm -Ln' does, or one of these instead:

  --stats             with connections, packets and bytes since the counters were zeroed
  --rate              with the same in a second
  --thresholds        with the upper and lower thresholds of connections
  --persistent-conn   with the persistent connections
  --tun-info          with type, port and checksum of tunnels
  --connections, -c   the connections: state, and time until they go if no packet comes; with --persistent-conn
                      what a persistence engine knows them by. Of a large table it is read as it comes
  --daemon            the sync daemons
  --timeout           the timeouts of connections (tcp, tcpfin, udp) in seconds

  --service ADDRESS[:PORT]   of this virtual server alone
  --server ADDRESS[:PORT]    with --connections: to this real server alone
  --exact             with --stats or --rate: numbers in full, not shortened to K, M, G or T
  --sort              services by protocol, address and port, real servers by address and port (the default)
  --nosort            both as the kernel has them
  --json              the same as JSON
`;

/** One of them at most, but for `persistent-conn` of `connections`. */
const VIEWS = [
  'connections',
  'stats',
  'rate',
  'thresholds',
  'persistent-conn',
  'tun-info',
  'daemon',
  'timeout',
] as const;
type View = (typeof VIEWS)[number];

interface Wanted {
  readonly view: View | undefined;
  /** `--persistent-conn`. */
  readonly persistent: boolean;
  readonly service: EndpointFilter | undefined;
  readonly server: EndpointFilter | undefined;
  readonly exact: boolean;
  readonly sort: boolean;
  readonly json: boolean;
}

export const command: Command = {
  name: 'list',
  summary: "the kernel's IPVS table or its connections, as 'ipvsadm -Ln' shows them",
  usage: USAGE,
  async run(argv) {
    const wanted = wantedBy(argv);
    if (wanted.view === 'connections') await printConnections(wanted);
    else process.stdout.write(await withKernelTable((ipvs) => shown(ipvs, wanted)));
    return 0;
  },
};

function wantedBy(argv: readonly string[]): Wanted {
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      connections: { ...flag, short: 'c' },
      // As ipvsadm has it.
      connection: flag,
      stats: flag,
      rate: flag,
      thresholds: flag,
      'persistent-conn': flag,
      'tun-info': flag,
      daemon: flag,
      timeout: flag,
      service: { type: 'string' },
      server: { type: 'string' },
      exact: flag,
      sort: flag,
      nosort: flag,
      json: flag,
    },
  });
  const connections = values.connections || values.connection;
  const persistent = values['persistent-conn'];
  const views = VIEWS.filter((name) => (name === 'connections' ? connections : values[name]));
  const [view, other] = connections ? views.filter((name) => name !== 'persistent-conn') : views;
  if (other !== undefined) throw new UsageError(`--${view} and --${other} exclude each other`);
  if (values.exact && view !== 'stats' && view !== 'rate')
    throw new UsageError('--exact goes with --stats or --rate');
  if (values.sort && values.nosort) throw new UsageError('--sort and --nosort exclude each other');
  if (values.server !== undefined && !connections) throw new UsageError('--server goes with --connections');
  if (values.service !== undefined && (view === 'daemon' || view === 'timeout'))
    throw new UsageError(`--${view} is not of a service`);
  const filter = (text: string | undefined, what: string) =>
    text === undefined ? undefined : parseEndpoint(text, what);
  return {
    view,
    persistent,
    service: filter(values.service, 'virtual server'),
    server: filter(values.server, 'real server'),
    exact: values.exact,
    sort: !values.nosort,
    json: values.json,
  };
}

async function shown(ipvs: KernelIpvs, { view, service, exact, sort, json }: Wanted): Promise<string> {
  if (view === 'timeout') {
    const timeouts = await ipvs.timeouts();
    const { tcpSeconds, tcpFinSeconds, udpSeconds } = timeouts;
    return json
      ? jsonText(timeouts)
      : `Timeout (tcp tcpfin udp): ${tcpSeconds} ${tcpFinSeconds} ${udpSeconds}\n`;
  }
  if (view === 'daemon') {
    const daemons = await ipvs.syncDaemons();
    return json ? jsonText({ daemons }) : formatDaemons(daemons);
  }
  const info = await ipvs.info();
  // Of one service ipvsadm tells without the line of the version.
  const head = service === undefined ? info : undefined;
  const keep = <Each extends Parameters<typeof inOrder>[0][number] & { readonly key: ServiceKey }>(
    all: readonly Each[],
  ) => {
    const some = all.filter(
      ({ key }) => service === undefined || ('address' in key && isMeant(key, service)),
    );
    return sort ? inOrder(some) : some;
  };
  if (view === 'stats' || view === 'rate') {
    const services = keep(await ipvs.read());
    return json ? jsonText({ ...info, services }) : formatCounted(services, head, view, exact);
  }
  const services = keep(await ipvs.dump());
  if (json) return jsonText({ ...info, services });
  if (view === 'thresholds' || view === 'persistent-conn') return formatSettings(services, head, view);
  return formatTable(services, head, view === 'tun-info');
}

async function printConnections(wanted: Wanted): Promise<void> {
  try {
    await pipeline(Readable.from(connectionTexts(wanted)), process.stdout, { end: false });
  } catch (error) {
    // Whoever reads may leave first, as `head` does.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
  }
}

/** The head comes with the first connections: where there are none to be read, the error is all that is said. */
async function* connectionTexts({ service, server, persistent, json }: Wanted): AsyncGenerator<string> {
  let head = json ? '{\n  "connections": [' : connectionsHead(persistent);
  let between = '\n    ';
  for await (const some of readConnections()) {
    const texts = some
      .filter((one) => isMeant(one.virtual, service) && isMeant(one.destination, server))
      .map((one) => {
        if (!json) return connectionLine(one, persistent);
        const text = between + JSON.stringify(one);
        between = ',\n    ';
        return text;
      });
    yield head + texts.join('');
    head = '';
  }
  if (json) yield '\n  ]\n}\n';
}
