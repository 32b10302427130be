/** What processes cost, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}

/** A process and all that descend from it. */
export function tree(pid: number): number[] {
  const found = [pid];
  for (const parent of found) {
    let threads: string[] = [];
    try {
      threads = readdirSync(`/proc/${parent}/task`);
    } catch {
      continue;
    }
    for (const thread of threads) {
      const children = read(`/proc/${parent}/task/${thread}/children`).trim();
      if (children !== '') found.push(...children.split(' ').map(Number));
    }
  }
  return found;
}

/** Name of a process as proc(5) has it. */
export function nameOf(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

/** User and system time of all threads of a process, and of those of its children that ended, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number);
  return (utime + stime + cutime + cstime) / TICKS_PER_SECOND;
}

/** Time that a hypervisor took from this machine's processors so far (steal of proc_stat(5)), in milliseconds of one. */
export function stolenMs(): number {
  const [, , , , , , , , steal = '0'] = (read('/proc/stat').split('\n')[0] ?? '').split(/\s+/);
  return (1000 * Number(steal)) / TICKS_PER_SECOND;
}

/** How long a process's first thread was ready to run and waited for a processor so far, in milliseconds. */
export function waitedMs(pid: number): number {
  const [, waitedNs = 0] = read(`/proc/${pid}/schedstat`).split(' ').map(Number);
  return waitedNs / 1e6;
}

/** Numbers of the processors that this process may run on, ascending. */
export function processors(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(read('/proc/self/status'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split('-').map(Number);
    return Number.isNaN(from) ? [] : Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

/** VmRSS in KiB. */
export function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}
