/** What a thread of `SpareThreads` does: one task after the other, and behind all other threads. */
import { readlinkSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { basename } from 'node:path';
import { parentPort } from 'node:worker_threads';

/** The last message of a task. */
export const taskDone = 'task-done';

export type FromSpareThread<FromTask> = FromTask | typeof taskDone;

/** Who serves has the cores before it. */
const priority = constants.priority.PRIORITY_BELOW_NORMAL;

/** Lowers the priority of this thread alone, where the system has one for each thread. */
function goBehind(): void {
  let thread: number;
  try {
    thread = Number(basename(readlinkSync('/proc/thread-self')));
  } catch {
    // Not Linux: then the number of a thread is no process to the calls below.
    return;
  }
  if (getPriority(thread) < priority) setPriority(thread, priority);
}

/**
 * Does the tasks that this thread is sent. One that throws ends the thread.
 *
 * What else arrives meanwhile is for the task to receive, and left over afterwards.
 */
export function doTasks<Task>(run: (task: Task) => Promise<void>): void {
  goBehind();
  parentPort!.on('message', (message: { readonly task?: Task }) => {
    if (message.task === undefined) return;
    void run(message.task).then(() => parentPort!.postMessage(taskDone));
  });
}
