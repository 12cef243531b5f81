/**
 * Copies of this node's slots for other nodes.
 *
 * Owns: one copy at a time, below `snapshots` in the data folder, and its end: when it is said to
 * be needed no more, when nobody has asked for it for a while, when the node stops. Refuses a
 * second one meanwhile, which would take as much room again, and a slot that is not served.
 */
import { rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { environmentFiles } from '../storage/environment.ts';
import { removeFolder } from '../storage/remove-folder.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  type SnapshotManifest,
  snapshotAnswer,
  snapshotEndRequest,
  snapshotPartRequest,
  snapshotRequest,
} from '../wire/slot-snapshot.ts';
import type { CopyThreads } from './copy-task.ts';
import { slotPath } from './data-folder.ts';

export type SnapshotSourceOptions = {
  readonly dataDir: string;
  readonly slotMapBytes: number;
  /** Whether this node answers reads of a slot: what it would copy is right and not old. */
  readonly isServed: (slot: number) => boolean;
  readonly copyThreads: CopyThreads;
  readonly clock: Clock;
};

type Copy = {
  readonly id: string;
  readonly slot: number;
  readonly folder: string;
  readonly stop: AbortController;
  readonly made: Promise<void>;
  manifest: SnapshotManifest | null;
  /** Why there is none. */
  failure: unknown;
  file: FileHandle | null;
  askedMs: number;
};

/** A copy that nobody has asked for is removed. */
const idleMsMax = 60_000;
const checkMs = 5_000;

export class SnapshotSource implements AsyncDisposable {
  readonly #options: SnapshotSourceOptions;
  readonly #folder: string;
  readonly #timer: NodeJS.Timeout;
  #copy: Copy | null = null;
  /** Resolves once nothing of the copies before is there, whose room the next one may need. */
  #removed: Promise<void> = Promise.resolve();
  #count = 0;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
    this.#folder = join(options.dataDir, 'snapshots');
    rmSync(this.#folder, { recursive: true, force: true });
    this.#timer = setInterval(() => void this.#endIdle(), checkMs);
    this.#timer.unref();
  }

  handlers(): [string, CallHandler][] {
    return [
      [nodeCalls.snapshot, (payload) => this.#begin(snapshotRequest.decode(payload).slot)],
      [nodeCalls.snapshotPart, (payload) => this.#part(payload)],
      [
        nodeCalls.snapshotEnd,
        async (payload) => {
          if (this.#copy?.id === snapshotEndRequest.decode(payload).id) await this.#end(this.#copy);
          return Buffer.alloc(0);
        },
      ],
    ];
  }

  /** Errors: DataPlaneError `Unavailable`; what kept the last copy of the slot from being made. */
  #begin(slot: number): Uint8Array {
    const { isServed, clock } = this.#options;
    if (this.#copy !== null && this.#copy.slot !== slot)
      throw new DataPlaneError('Unavailable', `this node copies slot ${this.#copy.slot}, and one at a time`);
    if (this.#copy === null && !isServed(slot))
      throw new DataPlaneError('Unavailable', `this node has no copy of slot ${slot} to give: it is not served here`);
    this.#copy ??= this.#make(slot);
    const copy = this.#copy;
    copy.askedMs = clock.monotonicMs();
    if (copy.failure === null) return snapshotAnswer.encode({ id: copy.id, manifest: copy.manifest });
    void this.#end(copy);
    throw copy.failure;
  }

  #make(slot: number): Copy {
    const { dataDir, slotMapBytes: mapBytes, copyThreads, clock } = this.#options;
    const id = `${process.pid}.${clock.nowMs()}.${++this.#count}`;
    const folder = join(this.#folder, id);
    const stop = new AbortController();
    const task = { from: slotPath(dataDir, slot), folder, slot, mapBytes, fileDigest: null };
    const made = this.#removed.then(() => copyThreads.run(task, stop.signal));
    const copy: Copy = {
      id,
      slot,
      folder,
      stop,
      made: made.then(
        (manifest) => void Object.assign(copy, { manifest }),
        (failure: unknown) => void Object.assign(copy, { failure }),
      ),
      manifest: null,
      failure: null,
      file: null,
      askedMs: clock.monotonicMs(),
    };
    return copy;
  }

  /** Errors: DataPlaneError `NotFound` for a copy that is no more. */
  async #part(payload: Uint8Array): Promise<Uint8Array> {
    const { id, offset, bytes } = snapshotPartRequest.decode(payload);
    const copy = this.#copy;
    if (copy === null || copy.id !== id || copy.manifest === null)
      throw new DataPlaneError('NotFound', `the copy ${id} of a slot is not there any more`);
    copy.askedMs = this.#options.clock.monotonicMs();
    copy.file ??= await open(join(copy.folder, environmentFiles.data), 'r');
    const part = Buffer.alloc(Math.min(bytes, Math.max(0, copy.manifest.bytes - offset)));
    const { bytesRead } = await copy.file.read(part, 0, part.length, offset);
    return part.subarray(0, bytesRead);
  }

  /** Ends the copy of a slot that this node gives up. */
  async leave(slots: readonly number[]): Promise<void> {
    if (this.#copy !== null && slots.includes(this.#copy.slot)) await this.#end(this.#copy);
  }

  async #endIdle(): Promise<void> {
    const copy = this.#copy;
    if (copy !== null && this.#options.clock.monotonicMs() - copy.askedMs > idleMsMax) await this.#end(copy);
  }

  #end(copy: Copy): Promise<void> {
    if (this.#copy === copy) this.#copy = null;
    copy.stop.abort();
    const remove = async (): Promise<void> => {
      await copy.made;
      await copy.file?.close();
      await removeFolder(copy.folder);
    };
    const removed = remove();
    this.#removed = Promise.allSettled([this.#removed, removed]).then(() => {});
    return removed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    if (this.#copy !== null) await this.#end(this.#copy);
    await this.#removed;
  }
}
