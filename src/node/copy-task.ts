/** Tasks for threads that copy slots and read copies through, and what they answer. */
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import type { SnapshotManifest } from '../wire/slot-snapshot.ts';
import type { CopyFile } from './slot-copy.ts';
import { SpareThreads } from './spare-threads.ts';

/** Makes a copy in `folder` of the slot in `from`, or where that is null reads the one there. */
export type CopyTask = CopyFile & { readonly from: string | null };

/** `stop`: in shared memory; not 0 once the task is to be given up. */
export type ToCopyThread = CopyTask & { readonly stop: Int32Array };

export type FromCopyThread =
  | { readonly type: 'done'; readonly manifest: SnapshotManifest }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

/** Threads that hold up neither reads nor writes, one for each task that is under way. */
export class CopyThreads implements AsyncDisposable {
  readonly #threads = new SpareThreads<ToCopyThread, FromCopyThread>(
    new URL('./copy-thread.ts', import.meta.url),
    'skyshard-copy',
  );

  /**
   * Runs a task. Returns once nothing of it is open, also when the signal aborts: the thread gives
   * it up by itself, since one that is ended inside the storage library ends the process.
   *
   * Errors: DataPlaneError; `Aborted` when the signal aborts.
   */
  async run(task: CopyTask, signal: AbortSignal): Promise<SnapshotManifest> {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const ended = Promise.withResolvers<FromCopyThread>();
    let answer: FromCopyThread = { type: 'failed', code: 'Internal', message: 'copying a slot: no answer' };
    const end = (): void => void Atomics.store(stop, 0, 1);
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    this.#threads.begin(
      { ...task, stop },
      {
        onMessage: (message) => {
          answer = message;
        },
        onEnd: (failure) => {
          if (failure === null) ended.resolve(answer);
          else ended.reject(new DataPlaneError('Internal', `copying a slot: ${failure.message}`));
        },
      },
    );
    try {
      const message = await ended.promise;
      if (message.type === 'done') return message.manifest;
      throw new DataPlaneError(message.code, message.message);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]();
  }
}
