/** The labs as data: one entry for each topology that people know, all built by the same builder. */

export const TOPOLOGY_NAMES = ['nat', 'nat-port-mapping', 'dr', 'tun', 'virtual-mac'] as const;
export type TopologyName = (typeof TOPOLOGY_NAMES)[number];

/** A cable from a host's interface to the switch of a network. */
export interface Cable {
  readonly interface: string;
  readonly network: string;
  /** Address with prefix length. */
  readonly address: string;
}

export interface Host {
  readonly name: string;
  readonly role: 'client' | 'director' | 'real-server';
  readonly cables: readonly Cable[];
  /** Next hop of the default route. */
  readonly gateway?: string;
  /** Set before any address, in this order. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Addresses besides those of the cables, such as the VIP of a real server under DR. */
  readonly extraAddresses?: readonly { readonly interface: string; readonly address: string }[];
  /** Ports with an HTTP answer, and with a plain TCP listener. */
  readonly httpPorts?: readonly number[];
  readonly tcpPorts?: readonly number[];
}

export interface Topology {
  readonly name: TopologyName;
  /** File below `config/`. */
  readonly configFile: string;
  readonly networks: readonly string[];
  readonly hosts: readonly Host[];
  /** What the client talks to. */
  readonly vip: string;
  readonly port: number;
}

/** A real server that holds the VIP must neither answer ARP for it nor announce it. */
const SILENT_ARP = {
  'net.ipv4.conf.all.arp_ignore': '1',
  'net.ipv4.conf.all.arp_announce': '2',
  'net.ipv4.conf.lo.arp_ignore': '1',
  'net.ipv4.conf.lo.arp_announce': '2',
};

/** The tunnel interface gets decapsulated packets from the client's network, which rp_filter would drop. */
const TUNNEL_SYSCTLS = {
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
function natServer(name: string, address: string, gateway: string, http: number[], tcp: number[]): Host {
  return {
    name,
    role: 'real-server',
    cables: [{ interface: 'eth0', network: 'inside', address }],
    gateway,
    httpPorts: http,
    tcpPorts: tcp,
  };
}

/** The whole of `nat` and `virtual-mac`. */
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
  'virtual-mac': {
    name: 'virtual-mac',
    configFile: 'virtual-mac.yaml',
    networks: ['outside', 'inside'],
    vip: '192.168.1.253',
    port: 80,
    hosts: NAT_HOSTS,
  },
};
