/** What a director's log line says, for the report. Pure. */
import type { DirectorEvent } from '../lab/observations.js';

export function textOf(event: DirectorEvent): string {
  const { instance, from, to, reason, action, virtualServer, realServer, state } = event.fields;
  const because = typeof reason === 'string' && reason !== '' ? ` (${reason})` : '';
  switch (event.event) {
    case 'role':
      return `${String(instance)}: ${String(from)} -> ${String(to)}${because}`;
    case 'addresses':
      return `${String(instance)}: addresses ${String(action)}`;
    case 'real-server':
      return `${String(virtualServer)}: real server ${String(realServer)} ${String(state)}${because}`;
    default:
      return event.message === '' ? event.event : event.message;
  }
}
