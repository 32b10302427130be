/** State, inputs and effects of the VRRP state machine. One machine runs one sync group; a lone instance is a group of one. */
import type { HookEvent, TrackUse, VirtualAddress, VirtualRoute, VrrpInstance } from '../config/model.js';
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
  /** The kernel refused an address, or another host holds it (`dadfailed`). */
  | { readonly type: 'address-failed'; readonly instance: string }
  /** The address to speak from changed; undefined: there is none, or the interface is gone. */
  | { readonly type: 'source'; readonly instance: string; readonly source: string | undefined }
  /** A verdict on a tracked object. `value` is a file's number. */
  | {
      readonly type: 'tracked';
      readonly object: string;
      readonly state: TrackState;
      readonly value?: number | undefined;
    }
  /** The operator's switch: on, this director hands over and is the last choice until it is off. */
  | { readonly type: 'maintenance'; readonly on: boolean }
  /** The guardian withdrew the addresses while this process was frozen. */
  | { readonly type: 'withdrawn' }
  /** New settings for the same instances (same names, interfaces and VRIDs). */
  | {
      readonly type: 'configure';
      readonly instances: readonly VrrpInstance[];
      readonly track: readonly TrackUse[];
    };

/** `unknown` until the first verdict. */
export type TrackState = 'up' | 'down' | 'unknown';

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
      readonly type: 'add-addresses' | 'remove-addresses';
      readonly instance: string;
      readonly addresses: readonly VirtualAddress[];
      readonly routes: readonly VirtualRoute[];
    }
  | { readonly type: 'announce'; readonly instance: string; readonly addresses: readonly VirtualAddress[] }
  | {
      readonly type: 'role';
      readonly instance: string;
      readonly from: VrrpState;
      readonly to: VrrpState;
      readonly reason: string;
    }
  /** Something that operators and hooks should hear of and that changes no state. */
  | { readonly type: 'notice'; readonly instance: string; readonly notice: Notice }
  | { readonly type: 'count'; readonly instance: string; readonly counter: CounterName }
  /** The group has left: nothing of it is in the kernel once the effects before this one are done. */
  | { readonly type: 'stopped' };

export type Notice =
  /** A weaker master was heard and answered; the hook event of this name. */
  | {
      readonly kind: Extract<HookEvent, 'still-master'>;
      readonly source: string;
      readonly priority: number;
    }
  /** Same VRID, none of our addresses: another cluster. Its advertisements are discarded. */
  | { readonly kind: 'other-cluster'; readonly source: string; readonly addresses: readonly string[] }
  /** Some of our addresses, not all: the files of the two directors differ, or a reload is under way. */
  | { readonly kind: 'address-mismatch'; readonly source: string; readonly addresses: readonly string[] }
  /** VRRPv2 demands the same interval on all routers; v3 follows the master's. */
  | { readonly kind: 'interval-mismatch'; readonly source: string; readonly intervalMs: number }
  /** Another router claims to own the addresses that this director owns. */
  | { readonly kind: 'rogue-owner'; readonly source: string; readonly backOffMs: number }
  /** Nobody took over after a farewell: this director goes on as master. */
  | { readonly kind: 'no-successor' }
  /** This process stood still for longer than Master_Down_Interval and listens before it speaks. */
  | { readonly kind: 'paused'; readonly pausedMs: number };

export interface GroupStep {
  readonly state: GroupState;
  /** To be run in order. */
  readonly effects: readonly GroupEffect[];
  /** When to step with `deadline`; Infinity when nothing is due. */
  readonly deadlineMs: number;
}
