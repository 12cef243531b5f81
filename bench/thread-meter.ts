/**
 * CPU time of a process by thread, the kernel's part of it, and private memory.
 *
 * Linux only, from /proc. CPU time is exact; the kernel's share has the resolution of a clock tick.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** CPU time since the process began, of all living threads. Units: microseconds. */
export type ThreadTimes = { readonly usByThread: ReadonlyMap<number, number>; readonly kernelUs: number };

/** CPU time of the first thread, the busiest other, and the rest (GC, thread pool). */
export type UsedTimes = {
  readonly mainUs: number;
  readonly busiestUs: number;
  readonly otherUs: number;
  readonly kernelUs: number;
};

/** One clock tick of /proc, 1/100 s on every Linux that Node supports. */
const tickUs = 10_000;

/** Reads the CPU time of all threads of a process. */
export function threadTimes(pid: number): ThreadTimes {
  const usByThread = new Map<number, number>();
  let kernelUs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    try {
      usByThread.set(Number(thread), Number(readFileSync(`${folder}/schedstat`, 'latin1').split(' ')[0]) / 1000);
      // The name may hold spaces, so count fields from after it: system time is the 13th.
      kernelUs += Number(readFileSync(`${folder}/stat`, 'latin1').split(') ')[1]!.split(' ')[12]) * tickUs;
    } catch {
      // The thread ended after the listing.
    }
  }
  return { usByThread, kernelUs };
}

/** Returns the CPU time since an earlier reading. */
export function usedSince(before: ThreadTimes, pid: number): UsedTimes {
  const now = threadTimes(pid);
  const used = [...now.usByThread].map(([thread, us]) => ({ thread, us: us - (before.usByThread.get(thread) ?? 0) }));
  const mainUs = used.find(({ thread }) => thread === pid)?.us ?? 0;
  const others = used.filter(({ thread }) => thread !== pid).map(({ us }) => us);
  const busiestUs = Math.max(0, ...others);
  const otherUs = others.reduce((total, us) => total + us, 0) - busiestUs;
  return { mainUs, busiestUs, otherUs, kernelUs: now.kernelUs - before.kernelUs };
}

/** Private memory of a process (heaps, stacks, buffers), without files. Units: bytes. */
export function ownBytes(pid: number): number {
  const match = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match?.[1] ?? 0) * 1024;
}
