/** Entry point of the thread that makes copies of slots and reads them through; one at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { toDataPlaneError } from '../base/data-plane-error.ts';
import { slotTableNames } from '../slot/table/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import type { SnapshotManifest } from '../wire/slot-snapshot.ts';
import type { CopyTask, FromCopyThread } from './copy-task.ts';
import { describeCopy } from './slot-copy.ts';

async function run(task: CopyTask): Promise<SnapshotManifest> {
  const { from, folder, mapBytes } = task;
  if (from !== null) {
    const environment = Environment.open({ path: from, mapBytes, tables: slotTableNames });
    try {
      await environment.copyTo(folder);
    } finally {
      await environment.close();
    }
  }
  return describeCopy(task);
}

async function answer(task: CopyTask): Promise<FromCopyThread> {
  try {
    return { type: 'done', manifest: await run(task) };
  } catch (thrown) {
    const { code, message } = toDataPlaneError(thrown);
    return { type: 'failed', code, message };
  }
}

parentPort!.postMessage(await answer(workerData as CopyTask));
