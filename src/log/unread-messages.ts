/**
 * Messages of a slot that were received and that the slot has not read yet.
 *
 * Owns: how much of a log is in memory: who receives waits for room between messages.
 */
import type { ReadChunk } from './slot-log.ts';

export type UnreadMessage = ReadChunk & { readonly timeMs: number; readonly entryCount: number };

/** Above this, no more is received before the slot has read. */
const bytesMaxDefault = 8 * 2 ** 20;
/** The same for a slot that has stopped, whose operator's decision comes after what waits. */
const bytesOfStoppedMax = 256 * 2 ** 20;

export class UnreadMessages {
  #messages: UnreadMessage[] = [];
  #bytesMax = bytesMaxDefault;
  #onRoom: () => void = () => {};
  bytes = 0;
  entries = 0;

  /** When the server took the oldest; null without one. Units: ms. */
  get oldestMs(): number | null {
    return this.#messages[0]?.timeMs ?? null;
  }

  push(message: UnreadMessage): void {
    this.#messages.push(message);
    this.bytes += message.bytes.length;
    this.entries += message.entryCount;
  }

  /** Removes and returns what comes next: one, and others up to `bytesMax`; all when stopped. */
  take(bytesMax: number): UnreadMessage[] {
    const isStopped = this.#bytesMax > bytesMaxDefault;
    let bytes = 0;
    let count = 0;
    while (count < this.#messages.length && (count === 0 || bytes < bytesMax || isStopped)) {
      const message = this.#messages[count++]!;
      bytes += message.bytes.length;
      this.entries -= message.entryCount;
    }
    this.bytes -= bytes;
    if (this.bytes <= this.#bytesMax) this.#onRoom();
    return this.#messages.splice(0, count);
  }

  takeBack(messages: readonly UnreadMessage[]): void {
    this.#messages.unshift(...messages);
    for (const { bytes, entryCount } of messages) {
      this.bytes += bytes.length;
      this.entries += entryCount;
    }
  }

  /** Has more room while the slot has stopped, which reads all of it at once. */
  setStopped(isStopped: boolean): void {
    this.#bytesMax = isStopped ? bytesOfStoppedMax : bytesMaxDefault;
    if (isStopped) this.#onRoom();
  }

  /** Resolves once there is room for another message, or all are dropped. */
  async untilRoom(): Promise<void> {
    if (this.bytes <= this.#bytesMax) return;
    await new Promise<void>((resolve) => {
      this.#onRoom = resolve;
    });
  }

  /** Drops and returns all, which is received again in the next session. */
  clear(): UnreadMessage[] {
    this.bytes = 0;
    this.entries = 0;
    this.#onRoom();
    return this.#messages.splice(0);
  }
}
