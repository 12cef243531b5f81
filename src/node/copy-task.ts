/** A task for the thread that copies slots, and what it answers. */
import { Worker } from 'node:worker_threads';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import type { SnapshotManifest } from '../wire/slot-snapshot.ts';
import type { CopyFile } from './slot-copy.ts';

/** Makes a copy in `folder` of the slot in `from`, or where that is null reads the one there. */
export type CopyTask = CopyFile & { readonly from: string | null };

export type FromCopyThread =
  | { readonly type: 'done'; readonly manifest: SnapshotManifest }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

/**
 * Runs a task in a thread of its own, which holds up neither reads nor writes.
 *
 * Errors: DataPlaneError; `Aborted` when the signal aborts.
 */
export async function runCopyTask(task: CopyTask, signal: AbortSignal): Promise<SnapshotManifest> {
  const worker = new Worker(new URL('./copy-thread.ts', import.meta.url), { workerData: task, name: 'skyshard-copy' });
  const ended = Promise.withResolvers<FromCopyThread>();
  worker.on('message', (message: FromCopyThread) => ended.resolve(message));
  worker.on('error', (error) => ended.reject(new DataPlaneError('Internal', `copying a slot: ${error.message}`)));
  worker.on('exit', () => ended.reject(new DataPlaneError('Aborted', 'the copy of a slot was given up')));
  const end = (): void => void worker.terminate();
  signal.addEventListener('abort', end, { once: true });
  try {
    const message = await ended.promise;
    if (message.type === 'done') return message.manifest;
    throw new DataPlaneError(message.code, message.message);
  } finally {
    signal.removeEventListener('abort', end);
    await worker.terminate();
  }
}
