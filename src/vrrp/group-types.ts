/** State, inputs and effects of the VRRP state machine. One machine runs one sync group; a lone instance is a group of one. */
import type {
  HookEvent,
  TrackUse,
  VirtualAddress,
  VirtualRoute,
  VirtualRule,
  VrrpInstance,
} from '../config/model.js';
import type { Advertisement } from './packet.js';

/** RFC 9568 section 6.4, with `fault` for an instance that cannot serve (link down, address refused). */
export type VrrpState = 'initialize' | 'backup' | 'master' | 'fault';

export interface InstanceState {
  readonly config: VrrpInstance;
  /** This director's primary address on the interface, as last known: decides between equal priorities. */
  readonly source: string;
  /** Whether there is an address to speak from now. */
  readonly hasSource: boolean;
  readonly state: VrrpState;
  readonly sinceMs: number;
  readonly linkUp: boolean;
  /** Why the link counts as down and why there is no address, as a sentence's end, where the caller knows more. */
  readonly linkFault: string | undefined;
  readonly sourceFault: string | undefined;
  /** What is advertised and compared: the configured priority with tracking and maintenance applied, 1 to 255. */
  readonly priority: number;
  /** Active_Adver_Interval: the master's interval as last heard, in milliseconds. */
  readonly activeAdverIntervalMs: number;
  /** Adver_Timer of a master, Master_Down_Timer of a backup; Infinity when neither runs. */
  readonly timerMs: number;
  /** When a backup looks whether it was there to hear the next advertisement; Infinity: it has looked, or need not. */
  readonly overdueAtMs: number;
  /** Master_Down_Timer ran out; the group goes master when all its instances say so. */
  readonly wantsMaster: boolean;
  /** Master_Down_Timer fired late and runs once more; nothing was heard since. */
  readonly listensAgain: boolean;
  /** When a master last advertised. */
  readonly spokeAtMs: number;
  /** When an advertisement of somebody else was last received, whatever the state was. */
  readonly heardAtMs: number;
  /** End of that one's Master_Down_Interval, by its interval; -Infinity once a farewell was heard. */
  readonly heardUntilMs: number;
  /** Whose farewell was heard: until then one advertisement of it is taken for an older one that came late. */
  readonly departed: { readonly source: string; readonly untilMs: number } | undefined;
  /**
   * Whose BFD session expired while it was master, so that this director took its place. Heard again before `untilMs` it
   * lives, and is doubted no more until then.
   */
  readonly lost: { readonly source: string; readonly untilMs: number; readonly lives: boolean } | undefined;
  /** Since when a master of lower priority has been heard: start of the waits before preemption. */
  readonly lowerMasterSinceMs: number | undefined;
  /** It would preempt that master, but for the connection table. */
  readonly awaitsSync: boolean;
  readonly master: string | undefined;
  /** The highest priority that `master` advertised since it is heard; 0: none. */
  readonly masterPeak: number;
  /** Of a master: the living master that it preempted, which may speak until then without being a second one. */
  readonly predecessor: { readonly source: string; readonly untilMs: number } | undefined;
  /** Announcements still to be repeated, ascending. */
  readonly announceAtMs: readonly number[];
  /** When a master announces all over again; Infinity: never. */
  readonly refreshAtMs: number;
  /** While leaving or handing over: the successor's advertisement was heard. */
  readonly succeeded: boolean;
  /** A stronger master heard where another instance of the group decides: since when, and when last. */
  readonly contest: { readonly sinceMs: number; readonly heardMs: number } | undefined;
  /** Notices that are not to be repeated yet. */
  readonly noticed: readonly NoticedPeer[];
}

export interface NoticedPeer {
  readonly kind: Notice['kind'];
  readonly source: string;
  /** What was wrong, where it is a number; another number is news. */
  readonly detail: number;
  readonly untilMs: number;
}

/** Whether this host's connection table holds what the other director's holds. */
export interface SyncProgress {
  readonly complete: boolean;
  /** What is waited for, or what was found, as a clause for people: `812 of 1000 connections are here`. */
  readonly text: string;
}

/** What is known of a tracked object. */
export interface TrackedVerdict {
  readonly object: string;
  readonly state: TrackState;
  readonly value: number | undefined;
  /** Came with a reload of a running group: no fault while there is no verdict. */
  readonly lenient: boolean;
}

/**
 * `starting`: the start-up delay. `handing-over`: farewell said because of maintenance, addresses kept until the
 * successor spoke. `leaving`: the same before the end.
 */
export type GroupPhase = 'stopped' | 'starting' | 'running' | 'handing-over' | 'leaving';

export interface GroupState {
  readonly name: string;
  readonly phase: GroupPhase;
  /** The operator's switch is on: this director is the last choice. */
  readonly maintenance: boolean;
  readonly track: readonly TrackUse[];
  /** One for each of `track`, in its order. */
  readonly verdicts: readonly TrackedVerdict[];
  /** As last told. Whoever is master has all there is; who could not hear for a while has to be told again. */
  readonly sync: SyncProgress;
  /** When this director last found that it had not heard for a while; -Infinity: never. What is said without knowing of that is void. */
  readonly syncVoidMs: number;
  /** Why the group cannot serve, each as a sentence's end; empty when it can. */
  readonly faults: readonly string[];
  /** End of the start-up delay; Infinity when there is none. */
  readonly startAtMs: number;
  /** End of the wait for a successor; Infinity when there is none. */
  readonly leaveAtMs: number;
  /** The instance whose address the kernel refused. */
  readonly refused: string | undefined;
  /** When a group in fault by a refused address tries again; Infinity otherwise. */
  readonly retryAtMs: number;
  /** When an address owner that yielded to a rogue claims its addresses again; Infinity otherwise. */
  readonly claimAtMs: number;
  /** How long it waited last; 0: no rogue in sight. */
  readonly backOffMs: number;
  /** When a rogue was last heard; -Infinity: never. */
  readonly rogueHeardMs: number;
  readonly instances: readonly InstanceState[];
}

export type GroupInput =
  | { readonly type: 'start' }
  /** `silently`: without a farewell and at once, where others of its sync group go on and a farewell would take them along. */
  | { readonly type: 'stop'; readonly silently?: boolean }
  /** A reload formed the group of instances that come from others (`formGroup`): they are brought to one state. */
  | { readonly type: 'formed' }
  /** This director holds the addresses already, by instances that it gave up for this group, and nobody took over. */
  | { readonly type: 'inherit' }
  | {
      readonly type: 'advertisement';
      readonly instance: string;
      readonly advertisement: Advertisement;
      readonly source: string;
      /** When the kernel received it; the step's `nowMs` is this or later. */
      readonly receivedAtMs: number;
    }
  | { readonly type: 'deadline' }
  /**
   * The BFD session with a router expired that was up (docs/decisions/0040): its last packet came at `heardAtMs`, and they come
   * once in `intervalMs`.
   */
  | {
      readonly type: 'peer-lost';
      readonly instance: string;
      readonly source: string;
      readonly heardAtMs: number;
      readonly intervalMs: number;
    }
  /** `fault`: why the link counts as down, as a sentence's end. */
  | {
      readonly type: 'link';
      readonly instance: string;
      readonly up: boolean;
      readonly fault?: string | undefined;
    }
  /** The device of the addresses has another MAC address: neighbours know the old one. */
  | { readonly type: 'hardware-address'; readonly instance: string }
  /** The kernel refused an address, or another host holds it (`dadfailed`). */
  | { readonly type: 'address-failed'; readonly instance: string }
  /** The address to speak from changed; undefined: there is none, or the interface is gone. */
  | {
      readonly type: 'source';
      readonly instance: string;
      readonly source: string | undefined;
      /** Why there is none, as a sentence's end. */
      readonly fault?: string | undefined;
    }
  /** A verdict on a tracked object. `value` is a file's number. */
  | {
      readonly type: 'tracked';
      readonly object: string;
      readonly state: TrackState;
      readonly value?: number | undefined;
    }
  /** What a comparison of the connection tables found, or why there is none, by who knew of this `syncVoidMs`. */
  | { readonly type: 'sync-progress'; readonly progress: SyncProgress; readonly asOfMs: number }
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
  /** Received after its sender's farewell, and sent before it. */
  | 'discarded_overtaken'
  /** The master's BFD session expired, and its place was taken at once; or it had been heard since, and nothing was done. */
  | 'bfd_expired'
  | 'bfd_doubted'
  | 'became_master'
  | 'released_master'
  | 'became_fault'
  | 'hand_overs'
  | 'no_successor'
  /** A weaker master was heard and answered. */
  | 'still_master'
  | 'rogue_owner'
  /** A weaker master was not preempted at once, because the connection table was not complete. */
  | 'awaited_sync'
  | 'paused'
  | 'address_mismatch'
  | 'discarded_other_cluster'
  /** VRRPv3: another interval than the configured one, and followed. */
  | 'interval_mismatch'
  /** VRRPv2: another interval. */
  | 'discarded_interval_mismatch'
  /** From this director's own address: reflected, or another host has it too. */
  | 'discarded_own';

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
      readonly rules: readonly VirtualRule[];
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
  /** Another router claims to own the addresses that this director owns; `backOffMs` 0: this one stays master. */
  | { readonly kind: 'rogue-owner'; readonly source: string; readonly backOffMs: number }
  /** Heard from this director's own address, and not what it said itself: another host has the address. */
  | { readonly kind: 'own-source'; readonly source: string }
  /** Nobody took over after a farewell: this director goes on as master. */
  | { readonly kind: 'no-successor' }
  /** A weaker master is heard, and not preempted before the connection table is complete, or `atMostMs` are over. */
  | {
      readonly kind: 'awaits-sync';
      readonly source: string;
      readonly atMostMs: number;
      readonly text: string;
    }
  /** The end of that wait. */
  | {
      readonly kind: 'awaited-sync';
      readonly source: string;
      readonly complete: boolean;
      readonly text: string;
    }
  /** This process stood still for longer than Master_Down_Interval and listens before it speaks. */
  | { readonly kind: 'paused'; readonly pausedMs: number };

export interface GroupStep {
  readonly state: GroupState;
  /** To be run in order. */
  readonly effects: readonly GroupEffect[];
  /** When to step with `deadline`; Infinity when nothing is due. */
  readonly deadlineMs: number;
  /** From when on `deadline` may be given already, where others are at work: an advertisement that is nearly due. */
  readonly fromMs: number;
}
