/** State, inputs and effects of the VRRP state machine. One machine runs one sync group; a lone instance is a group of one. */
import type { VirtualAddress, VrrpInstance } from '../config/model.js';
import type { Advertisement } from './packet.js';

/** RFC 9568 section 6.4, with `fault` for an instance that cannot serve (link down, address refused). */
export type VrrpState = 'initialize' | 'backup' | 'master' | 'fault';

export interface InstanceState {
  readonly config: VrrpInstance;
  /** This director's primary address on the interface: decides between equal priorities. */
  readonly source: string;
  readonly state: VrrpState;
  readonly sinceMs: number;
  readonly linkUp: boolean;
  /** Active_Adver_Interval: the master's interval as last heard, in milliseconds. */
  readonly activeAdverIntervalMs: number;
  /** Adver_Timer of a master, Master_Down_Timer of a backup; Infinity when neither runs. */
  readonly timerMs: number;
  /** Master_Down_Timer ran out; the group goes master when all its instances say so. */
  readonly wantsMaster: boolean;
  /** Since when a master of lower priority has been heard: start of the preemption delay. */
  readonly lowerMasterSinceMs: number | undefined;
  readonly master: string | undefined;
  /** Announcements still to be repeated, ascending. */
  readonly announceAtMs: readonly number[];
  /** While leaving: the successor's advertisement was heard. */
  readonly succeeded: boolean;
}

export interface GroupState {
  readonly name: string;
  /** `leaving`: farewell said, addresses kept until the successor spoke. */
  readonly phase: 'stopped' | 'running' | 'leaving';
  readonly leaveAtMs: number;
  /** When a group in fault by a refused address tries again; Infinity otherwise. */
  readonly retryAtMs: number;
  readonly instances: readonly InstanceState[];
}

export type GroupInput =
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  | {
      readonly type: 'advertisement';
      readonly instance: string;
      readonly advertisement: Advertisement;
      readonly source: string;
      /** When the kernel received it; the step's `nowMs` is this or later. */
      readonly receivedAtMs: number;
    }
  | { readonly type: 'deadline' }
  | { readonly type: 'link'; readonly instance: string; readonly up: boolean }
  /** The kernel refused an address. */
  | { readonly type: 'address-failed'; readonly instance: string }
  /** The guardian withdrew the addresses while this process was frozen. */
  | { readonly type: 'withdrawn' }
  /** New settings for the same instances (same names, interfaces and VRIDs). */
  | { readonly type: 'configure'; readonly instances: readonly VrrpInstance[] };

export type CounterName =
  | 'advertisements_sent'
  | 'advertisements_received'
  | 'priority_zero_sent'
  | 'priority_zero_received'
  | 'became_master'
  | 'released_master';

export type GroupEffect =
  | {
      readonly type: 'send';
      readonly instance: string;
      readonly priority: number;
      /** Wait for the address changes before it: who hears it may let go of them. */
      readonly afterAddresses: boolean;
    }
  | {
      readonly type: 'add-addresses' | 'remove-addresses' | 'announce';
      readonly instance: string;
      readonly addresses: readonly VirtualAddress[];
    }
  | {
      readonly type: 'role';
      readonly instance: string;
      readonly from: VrrpState;
      readonly to: VrrpState;
      readonly reason: string;
    }
  | { readonly type: 'count'; readonly instance: string; readonly counter: CounterName }
  /** The group has left: nothing of it is in the kernel once the effects before this one are done. */
  | { readonly type: 'stopped' };

export interface GroupStep {
  readonly state: GroupState;
  /** To be run in order. */
  readonly effects: readonly GroupEffect[];
  /** When to step with `deadline`; Infinity when nothing is due. */
  readonly deadlineMs: number;
}
