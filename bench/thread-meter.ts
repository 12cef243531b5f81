/**
 * CPU time of a process by thread, and the part that the kernel spent; memory of its own.
 *
 * Read from /proc, so Linux only. Time on the processor is exact; the kernel's share comes in steps of a clock tick.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** CPU time since the process began, of all threads that still run. Units: microseconds. */
export type ThreadTimes = { readonly usByThread: ReadonlyMap<number, number>; readonly kernelUs: number };

/** What a process used: its first thread, the busiest of the others, the rest (garbage collection, thread pool). */
export type UsedTimes = {
  readonly mainUs: number;
  readonly busiestUs: number;
  readonly otherUs: number;
  readonly kernelUs: number;
};

/** One clock tick of /proc, which is 1/100 s on every Linux that Node supports. Units: microseconds. */
const tickUs = 10_000;

/** Reads the CPU time of all threads of a process. */
export function threadTimes(pid: number): ThreadTimes {
  const usByThread = new Map<number, number>();
  let kernelUs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    try {
      usByThread.set(Number(thread), Number(readFileSync(`${folder}/schedstat`, 'latin1').split(' ')[0]) / 1000);
      // The name may hold spaces, so fields are counted from behind it; system time is the 13th from there.
      kernelUs += Number(readFileSync(`${folder}/stat`, 'latin1').split(') ')[1]!.split(' ')[12]) * tickUs;
    } catch {
      // The thread ended between the listing and the reading.
    }
  }
  return { usByThread, kernelUs };
}

/** Returns what a process used since an earlier reading. */
export function usedSince(before: ThreadTimes, pid: number): UsedTimes {
  const now = threadTimes(pid);
  const used = [...now.usByThread].map(([thread, us]) => ({ thread, us: us - (before.usByThread.get(thread) ?? 0) }));
  const mainUs = used.find(({ thread }) => thread === pid)?.us ?? 0;
  const others = used.filter(({ thread }) => thread !== pid).map(({ us }) => us);
  const busiestUs = Math.max(0, ...others);
  const otherUs = others.reduce((total, us) => total + us, 0) - busiestUs;
  return { mainUs, busiestUs, otherUs, kernelUs: now.kernelUs - before.kernelUs };
}

/** Memory of a process that is neither of files nor shared: heaps, stacks, buffers. Units: bytes. */
export function ownBytes(pid: number): number {
  const match = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match?.[1] ?? 0) * 1024;
}
