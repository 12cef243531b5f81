/**
 * CPU time of the threads of a process by what they are for, and the part that the kernel spent; memory of its own.
 *
 * Read from /proc, so Linux only. Time on the processor is exact; the kernel's share comes in steps of a clock tick.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** What a thread is for: the first one runs the sockets, workers are named by who starts them, the rest serve V8 and libuv. */
export type ThreadUse = 'main' | 'apply' | 'other';

/** CPU time since the process began. Units: microseconds. */
export type ThreadTimes = Readonly<Record<ThreadUse, number>> & { readonly kernel: number };

/** Units: microseconds of one clock tick of /proc, which is 1/100 s on every Linux that Node supports. */
const tickUs = 10_000;

function useOf(pid: number, thread: string, name: string): ThreadUse {
  if (Number(thread) === pid) return 'main';
  return name.startsWith('skyshard-apply') || name.startsWith('WorkerThread') ? 'apply' : 'other';
}

/** Reads the CPU time of all threads of a process. Threads that have ended are not counted. */
export function threadTimes(pid: number): ThreadTimes {
  const times = { main: 0, apply: 0, other: 0, kernel: 0 };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    try {
      const use = useOf(pid, thread, readFileSync(`${folder}/comm`, 'latin1'));
      times[use] += Number(readFileSync(`${folder}/schedstat`, 'latin1').split(' ')[0]) / 1000;
      // The name may hold spaces, so fields are counted from behind it; system time is the 13th from there.
      const fields = readFileSync(`${folder}/stat`, 'latin1').split(') ')[1]!.split(' ');
      times.kernel += Number(fields[12]) * tickUs;
    } catch {
      // The thread ended between the listing and the reading.
    }
  }
  return times;
}

/** Returns what a process used between two readings. */
export function timesBetween(before: ThreadTimes, after: ThreadTimes): ThreadTimes {
  return {
    main: after.main - before.main,
    apply: after.apply - before.apply,
    other: after.other - before.other,
    kernel: after.kernel - before.kernel,
  };
}

/** Memory of a process that is neither of files nor shared: heaps, stacks, buffers. Units: bytes. */
export function ownBytes(pid: number): number {
  const match = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match?.[1] ?? 0) * 1024;
}
