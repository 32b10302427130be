/** The labs as data: one entry for each topology that people know, all built by the same builder. */

export const TOPOLOGY_NAMES = [
  'nat',
  'nat-port-mapping',
  'dr',
  'tun',
  'fullnat',
  'virtual-mac',
  'services',
] as const;
export type TopologyName = (typeof TOPOLOGY_NAMES)[number];

/** A cable from a host's interface to the switch of a network. */
export interface Cable {
  readonly interface: string;
  readonly network: string;
  /** Address with prefix length. */
  readonly address: string;
  /** An IPv6 address with prefix length beside it. */
  readonly ipv6?: string;
}

export interface Host {
  readonly name: string;
  /** What its ports at the switches begin with, where the name is too long for that. */
  readonly label?: string;
  readonly role: 'client' | 'director' | 'real-server' | 'sorry-server';
  readonly cables: readonly Cable[];
  /** Next hop of the default route, of either family. */
  readonly gateway?: string;
  readonly ipv6Gateway?: string;
  /** Set before any address, in this order. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Addresses besides those of the cables, such as the VIP of a real server under DR. */
  readonly extraAddresses?: readonly { readonly interface: string; readonly address: string }[];
  /** Ports with an HTTP answer, with a plain TCP listener, and with an answer to every datagram. */
  readonly httpPorts?: readonly number[];
  readonly tcpPorts?: readonly number[];
  readonly udpPorts?: readonly number[];
  /** Ruleset for `nft -f`. */
  readonly nftables?: string;
}

/** Virtual servers beside the first one; what is there is asked and judged in every scenario. */
export interface Services {
  /** The first virtual server's address of the other family, at the same port. */
  readonly ipv6?: string;
  readonly udp?: { readonly address: string; readonly port: number };
  /** Several ports that are one service with persistence, asked from several addresses of the client's host. */
  readonly persistent?: {
    readonly address: string;
    readonly ports: readonly number[];
    readonly clients: readonly string[];
  };
  /** Its only real server is the topology's last one; `server` is the name of its sorry server. */
  readonly sorry?: { readonly address: string; readonly port: number; readonly server: string };
}

export interface Topology {
  /** `own`: somebody's own file. */
  readonly name: TopologyName | 'own';
  /** File below `config/`, or an absolute path. */
  readonly configFile: string;
  readonly networks: readonly string[];
  readonly hosts: readonly Host[];
  /** What the client talks to. */
  readonly vip: string;
  readonly port: number;
  readonly services?: Services;
}

/** A real server that holds the VIP must neither answer ARP for it nor announce it. */
export const SILENT_ARP = {
  'net.ipv4.conf.all.arp_ignore': '1',
  'net.ipv4.conf.all.arp_announce': '2',
  'net.ipv4.conf.lo.arp_ignore': '1',
  'net.ipv4.conf.lo.arp_announce': '2',
};

/** The tunnel interface gets decapsulated packets from the client's network, which rp_filter would drop. */
export const TUNNEL_SYSCTLS = {
  'net.ipv4.conf.all.arp_ignore': '1',
  'net.ipv4.conf.all.arp_announce': '2',
  'net.ipv4.conf.tunl0.arp_ignore': '1',
  'net.ipv4.conf.tunl0.arp_announce': '2',
  'net.ipv4.conf.all.rp_filter': '0',
  'net.ipv4.conf.tunl0.rp_filter': '0',
};

function outside(address: string): Cable {
  return { interface: 'eth0', network: 'outside', address };
}

function inside(address: string): Cable {
  return { interface: 'eth1', network: 'inside', address };
}

/** What `config/nat*.yaml` ask of a director's host. */
const ROUTER_SYSCTLS = {
  'net.ipv4.ip_forward': '1',
  'net.ipv4.conf.all.send_redirects': '0',
  'net.ipv4.conf.eth0.send_redirects': '0',
  'net.ipv4.conf.eth1.send_redirects': '0',
};

function natDirector(name: string, outsideAddress: string, insideAddress: string): Host {
  return {
    name,
    role: 'director',
    cables: [outside(outsideAddress), inside(insideAddress)],
    sysctls: ROUTER_SYSCTLS,
  };
}

/** A real server behind LVS-NAT: one cable, and the DIP is its way out. */
function natServer(
  name: string,
  address: string,
  gateway: string | undefined,
  http: number[],
  tcp: number[],
): Host {
  return {
    name,
    role: 'real-server',
    cables: [{ interface: 'eth0', network: 'inside', address }],
    ...(gateway !== undefined && { gateway }),
    httpPorts: http,
    tcpPorts: tcp,
  };
}

/** The whole of `nat` and `virtual-mac`, and what `fullnat` has beside its real servers. */
const NAT_HOSTS: readonly Host[] = [
  { name: 'client', role: 'client', cables: [outside('192.168.1.2/24')] },
  natDirector('lb1', '192.168.1.11/24', '10.10.10.11/24'),
  natDirector('lb2', '192.168.1.12/24', '10.10.10.12/24'),
  natServer('rs1', '10.10.10.2/24', '10.10.10.1', [80], []),
  natServer('rs2', '10.10.10.3/24', '10.10.10.1', [80], []),
];

/** Client and directors of the one-network topologies. */
const FLAT_HOSTS: readonly Host[] = [
  { name: 'client', role: 'client', cables: [outside('192.168.79.2/24')] },
  { name: 'lb1', role: 'director', cables: [outside('192.168.79.11/24')] },
  { name: 'lb2', role: 'director', cables: [outside('192.168.79.12/24')] },
];

function flatServer(name: string, address: string, vipOn: 'lo' | 'tunl0'): Host {
  return {
    name,
    role: 'real-server',
    cables: [outside(address)],
    sysctls: vipOn === 'lo' ? SILENT_ARP : TUNNEL_SYSCTLS,
    extraAddresses: [{ interface: vipOn, address: '192.168.79.180/32' }],
    httpPorts: [80],
    tcpPorts: [],
  };
}

/** What `config/services.yaml` asks of a director's firewall: two ports of one address are one service. */
const MARKING = `table ip lvs_marks {
  chain prerouting {
    type filter hook prerouting priority mangle
    ip daddr 192.168.1.254 tcp dport { 80, 443 } meta mark set 7
  }
}`;

/** Each is a client of its own to a service with persistence. */
const PERSISTENT_CLIENTS = [21, 22, 23, 24, 25, 26, 27, 28].map((last) => `192.168.1.${last}`);

/** `host` with an IPv6 address on each cable: on the outside and on the inside network it ends alike. */
function dualStack(host: Host, last: number): Host {
  const prefixes: Readonly<Record<string, string>> = { outside: '2001:db8:1::', inside: 'fd00::' };
  return {
    ...host,
    cables: host.cables.map((cable) => ({ ...cable, ipv6: `${prefixes[cable.network]}${last}/64` })),
  };
}

function servicesDirector(name: string, last: number): Host {
  const host = dualStack(natDirector(name, `192.168.1.${last}/24`, `10.10.10.${last}/24`), last);
  return {
    ...host,
    sysctls: { ...ROUTER_SYSCTLS, 'net.ipv6.conf.all.forwarding': '1' },
    nftables: MARKING,
  };
}

function servicesServer(name: string, last: number, http: number[]): Host {
  const host = dualStack(natServer(name, `10.10.10.${last}/24`, '10.10.10.1', http, []), last);
  return { ...host, ipv6Gateway: 'fd00::1', udpPorts: [5300] };
}

const SERVICES_CLIENT: Host = {
  ...dualStack({ name: 'client', role: 'client', cables: [outside('192.168.1.2/24')] }, 2),
  extraAddresses: PERSISTENT_CLIENTS.map((address) => ({ interface: 'eth0', address: `${address}/24` })),
};

export const TOPOLOGIES: Readonly<Record<TopologyName, Topology>> = {
  nat: {
    name: 'nat',
    configFile: 'nat.yaml',
    networks: ['outside', 'inside'],
    vip: '192.168.1.253',
    port: 80,
    hosts: NAT_HOSTS,
  },
  'nat-port-mapping': {
    name: 'nat-port-mapping',
    configFile: 'nat-port-mapping.yaml',
    networks: ['outside', 'inside'],
    vip: '202.103.106.5',
    port: 80,
    hosts: [
      { name: 'client', role: 'client', cables: [outside('202.103.106.2/24')] },
      natDirector('lb1', '202.103.106.11/24', '172.16.0.11/24'),
      natDirector('lb2', '202.103.106.12/24', '172.16.0.12/24'),
      natServer('rs1', '172.16.0.2/24', '172.16.0.1', [80], []),
      natServer('rs2', '172.16.0.3/24', '172.16.0.1', [8000], [21]),
    ],
  },
  dr: {
    name: 'dr',
    configFile: 'dr.yaml',
    networks: ['outside'],
    vip: '192.168.79.180',
    port: 80,
    hosts: [
      ...FLAT_HOSTS,
      flatServer('rs1', '192.168.79.129/24', 'lo'),
      flatServer('rs2', '192.168.79.131/24', 'lo'),
    ],
  },
  tun: {
    name: 'tun',
    configFile: 'tun.yaml',
    networks: ['outside'],
    vip: '192.168.79.180',
    port: 80,
    hosts: [
      ...FLAT_HOSTS,
      flatServer('rs1', '192.168.79.129/24', 'tunl0'),
      flatServer('rs2', '192.168.79.131/24', 'tunl0'),
    ],
  },
  fullnat: {
    name: 'fullnat',
    configFile: 'fullnat.yaml',
    networks: ['outside', 'inside'],
    vip: '192.168.1.253',
    port: 80,
    hosts: [
      ...NAT_HOSTS.filter(({ role }) => role !== 'real-server'),
      // Without a way back but to who speaks to them.
      natServer('rs1', '10.10.10.2/24', undefined, [80], []),
      natServer('rs2', '10.10.10.3/24', undefined, [80], []),
    ],
  },
  'virtual-mac': {
    name: 'virtual-mac',
    configFile: 'virtual-mac.yaml',
    networks: ['outside', 'inside'],
    vip: '192.168.1.253',
    port: 80,
    hosts: NAT_HOSTS,
  },
  services: {
    name: 'services',
    configFile: 'services.yaml',
    networks: ['outside', 'inside'],
    vip: '192.168.1.253',
    port: 80,
    hosts: [
      SERVICES_CLIENT,
      servicesDirector('lb1', 11),
      servicesDirector('lb2', 12),
      servicesServer('rs1', 2, [80, 443]),
      servicesServer('rs2', 3, [80, 443, 8080]),
      { ...natServer('sorry', '10.10.10.9/24', '10.10.10.1', [80], []), role: 'sorry-server' },
    ],
    services: {
      ipv6: '2001:db8:1::253',
      udp: { address: '192.168.1.253', port: 5300 },
      persistent: { address: '192.168.1.254', ports: [80, 443], clients: PERSISTENT_CLIENTS },
      sorry: { address: '192.168.1.253', port: 8080, server: 'sorry' },
    },
  },
};
