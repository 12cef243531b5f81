/** A thread of `SpareThreads` that says who it is, or throws. */
import { readlinkSync } from 'node:fs';
import { getPriority } from 'node:os';
import { basename } from 'node:path';
import { parentPort, threadId } from 'node:worker_threads';
import { doTasks } from '../../src/node/spare-task.ts';

export type SpareTask = { readonly problem: string | null };
export type FromSpareTask = { readonly threadId: number; readonly priority: number };

doTasks<SpareTask>(async ({ problem }) => {
  if (problem !== null) throw new Error(problem);
  const priority = getPriority(Number(basename(readlinkSync('/proc/thread-self'))));
  parentPort!.postMessage({ threadId, priority } satisfies FromSpareTask);
});
