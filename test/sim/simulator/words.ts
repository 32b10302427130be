/** Inputs and effects as short words, for the trace of a replay. */
import type { GroupEffect, GroupInput } from '../../../src/vrrp/group-types.js';

export function inputWords(input: GroupInput, nowMs: number): string {
  switch (input.type) {
    case 'advertisement': {
      const { advertisement, source, receivedAtMs } = input;
      const age = nowMs - receivedAtMs > 0.001 ? `, ${(nowMs - receivedAtMs).toFixed(1)} ms old` : '';
      return `${input.instance} hears ${advertisement.priority} every ${advertisement.advertisementIntervalMs} from ${source}${age}`;
    }
    case 'link':
      return `${input.instance} link ${input.up ? 'up' : 'down'}`;
    case 'address-failed':
      return `${input.instance} address failed`;
    case 'tracked':
      return `tracked ${input.object} ${input.state}`;
    case 'sync-progress':
      return `the connection table is ${input.progress.text}`;
    case 'maintenance':
      return `maintenance ${input.on ? 'on' : 'off'}`;
    default:
      return input.type;
  }
}

export function effectWords(effect: GroupEffect): string {
  switch (effect.type) {
    case 'send':
      return `${effect.instance} sends ${effect.priority}${effect.afterAddresses ? ' after addresses' : ''}`;
    case 'role':
      return `${effect.instance} ${effect.from}->${effect.to} (${effect.reason})`;
    case 'notice':
      return `${effect.instance} notice ${effect.notice.kind}`;
    case 'stopped':
      return 'stopped';
    default:
      return `${effect.instance} ${effect.type}`;
  }
}
