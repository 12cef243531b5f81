/** Entry point of the thread that makes copies of slots and reads them through; one at a time. */
import { parentPort } from 'node:worker_threads';
import { toDataPlaneError } from '../base/data-plane-error.ts';
import { slotTableNames } from '../slot/table/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import type { SnapshotManifest } from '../wire/slot-snapshot.ts';
import type { FromCopyThread, ToCopyThread } from './copy-task.ts';
import { describeCopy } from './slot-copy.ts';
import { doTasks } from './spare-task.ts';

async function run(task: ToCopyThread): Promise<SnapshotManifest> {
  const { from, folder, mapBytes, stop } = task;
  const goOn = (): boolean => Atomics.load(stop, 0) === 0;
  if (from !== null && goOn()) {
    const environment = Environment.open({ path: from, mapBytes, tables: slotTableNames });
    try {
      await environment.copyTo(folder);
    } finally {
      await environment.close();
    }
  }
  return describeCopy(task, goOn);
}

async function answer(task: ToCopyThread): Promise<FromCopyThread> {
  try {
    return { type: 'done', manifest: await run(task) };
  } catch (thrown) {
    const { code, message } = toDataPlaneError(thrown);
    return { type: 'failed', code, message };
  }
}

doTasks<ToCopyThread>(async (task) => parentPort!.postMessage(await answer(task)));
