/** What one episode is: directors, virtual routers, the segment, and the faults with their times. All from one seed. */
import type { TrackUse, VrrpInstance } from '../../../src/config/model.js';
import type { ComparisonPlan } from './comparisons.js';

export const FAULT_KINDS = [
  'loss',
  'delay',
  'duplicate',
  'partition',
  'pause',
  'crash',
  'power',
  'stop',
  'link',
  'refuse',
  'steal',
  'track',
  'maintenance',
  'reload',
  'freeze',
  'regroup',
  'source',
  'device',
  'macvlan',
  'forge',
  'sync',
  'expire',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

interface Span {
  readonly atMs: number;
  /** Infinity: to the end of the episode. */
  readonly untilMs: number;
}
export type Fault = Span &
  (
    | { readonly kind: 'loss' | 'duplicate'; readonly segment: number; readonly probability: number }
    /** Each packet is late by up to so much, each by its own: they overtake one another. */
    | { readonly kind: 'delay'; readonly segment: number; readonly extraMs: number }
    /** Nothing of `from` reaches `to`: one way, unless there is a second fault the other way. */
    | {
        readonly kind: 'partition';
        readonly segment: number;
        readonly from: readonly number[];
        readonly to: readonly number[];
      }
    /** SIGSTOP, and SIGCONT at the end. */
    | { readonly kind: 'pause'; readonly director: number }
    /** Whole hosts stand still, guardian and kernel too: all of them, or those that are master of nothing. */
    | {
        readonly kind: 'freeze';
        readonly who: 'all' | 'backups';
        /** What comes for them meanwhile is there when they go on, as a hypervisor keeps it; else it is lost. */
        readonly keeps: boolean;
      }
    /** SIGKILL; power loss. The director starts again at the end. */
    | { readonly kind: 'crash' | 'power'; readonly director: number }
    /** SIGTERM. `afterSpeech`: in the moment after the director's next advertisement, if it is master. */
    | { readonly kind: 'stop'; readonly director: number; readonly afterSpeech: boolean }
    | { readonly kind: 'link'; readonly director: number; readonly segment: number }
    /** The kernel refuses virtual addresses. */
    | { readonly kind: 'refuse'; readonly director: number }
    /** Somebody deletes the virtual addresses by hand. */
    | { readonly kind: 'steal'; readonly director: number }
    | { readonly kind: 'track'; readonly director: number; readonly object: string }
    | { readonly kind: 'maintenance'; readonly director: number; readonly afterSpeech: boolean }
    /** All directors go to another variant of the file, one after the other until the end of the fault. */
    | { readonly kind: 'reload'; readonly variant: number }
    /** The same, to another layout. */
    | { readonly kind: 'regroup'; readonly layout: number }
    /** The address that a director speaks from goes, with `flush` all that the interface has; at the end it is back. */
    | {
        readonly kind: 'source';
        readonly director: number;
        readonly segment: number;
        readonly flush: boolean;
      }
    /** The interface is deleted with all that it has, and made again at the end; its address comes a moment later. */
    | { readonly kind: 'device'; readonly director: number; readonly segment: number }
    /** From further away than peers may be, somebody sends advertisements and farewells in the name of a director. */
    | { readonly kind: 'forge'; readonly segment: number }
    /** The sync of the connection tables is broken; `silent`: the services process is gone, and says nothing of them. */
    | { readonly kind: 'sync'; readonly director: number; readonly silent: boolean }
    /** The BFD sessions of a director with another one on a segment expire, whether that one lives or not. */
    | { readonly kind: 'expire'; readonly director: number; readonly peer: number; readonly segment: number }
    /** Somebody deletes the device of a router's virtual MAC address. */
    | { readonly kind: 'macvlan'; readonly director: number; readonly router: number }
  );

/** From the first fault to the last: then nothing changes any more until the next round. */
export interface Round extends Span {
  readonly faults: readonly Fault[];
  /** Quiet until then. */
  readonly quietUntilMs: number;
  /** One operator's wish in a healthy cluster, and nothing else. */
  readonly planned: boolean;
  /** Hosts stand still for less than their leases, and nothing else happens: nobody may take over. */
  readonly calm: boolean;
}

export interface Router {
  readonly name: string;
  readonly segment: number;
  /** Those of all variants; a director holds bits of this list. */
  readonly addresses: readonly string[];
}

export interface DirectorPlan {
  /** Seconds of its clock in a second of the world, such as 1.0002. */
  readonly clockRate: number;
  readonly clockOffsetMs: number;
  readonly startAtMs: number;
  /** Packets that the receive buffer holds while nobody reads. */
  readonly socketQueue: number;
  /** By variant of the file, then by router. */
  readonly variants: readonly (readonly VrrpInstance[])[];
}

/** Which virtual routers a file has and what it calls them. */
export interface Layout {
  /** Numbers of routers: each of these is a sync group, or a lone instance. */
  readonly groups: readonly (readonly number[])[];
  /** By router; `routerOf` knows the number in each. */
  readonly names: readonly string[];
}

/** The one object that groups track. */
export const TRACKED_OBJECT = 'object';

export interface Scenario {
  readonly episode: number;
  /** Of every group on every director. */
  readonly track: readonly TrackUse[];
  readonly segments: number;
  readonly routers: readonly Router[];
  /** What a reload goes to and fro between; the first is that of the start. */
  readonly layouts: readonly [Layout, ...Layout[]];
  readonly directors: readonly DirectorPlan[];
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Between directors that send to named peers: so many routers lower the TTL. */
  readonly hops: number;
  /** What the services processes say of the connection tables; undefined: nothing. */
  readonly comparisons: ComparisonPlan | undefined;
  /** Greatest time one change of addresses takes in the kernel. */
  readonly addressWorkMs: number;
  /** Greatest lateness of a timer. */
  readonly latenessMs: number;
  readonly rounds: readonly Round[];
  readonly durationMs: number;
}

/** The number in an instance's name: `r3`, or `r3-renamed` where a reload calls it otherwise. */
export function routerOf(name: string): number {
  return Number.parseInt(name.slice(1), 10);
}

/** Of a director on a segment. */
export function interfaceOf(segment: number): string {
  return `eth${segment}`;
}

/** What a director speaks from: the higher its number, the higher its address. */
export function sourceOf(director: number, segment: number): string {
  return `192.0.${segment}.${10 + director}`;
}

/** Of the device of a virtual MAC address, too, whose name ends with that of its parent. */
export function segmentOf(interfaceName: string): number {
  return Number(interfaceName.slice(interfaceName.lastIndexOf('eth') + 'eth'.length));
}
