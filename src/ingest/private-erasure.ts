/**
 * Erases an actor's private data for a privacy request, so that bsync does not bring it back.
 *
 * Owns: where the erasure comes in the order of bsync's stream. Nothing of the stream is on its
 * way to the log meanwhile, so that what is at or below the stored id is erased, and what follows
 * is not.
 */
import type { ErasedKind } from '../atproto/private-namespace.ts';
import type { PrivateWrite } from '../entry/entry.ts';
import { erasureWrites } from '../entry/erasure-writes.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { Bsync } from './bsync.ts';
import type { BsyncStream } from './bsync-client.ts';
import type { Erasures } from './state/erasures.ts';
import type { SourceCursors } from './state/source-cursors.ts';

export type PrivateErasureOptions = {
  /** Null where none is followed. */
  readonly bsync: Pick<Bsync, 'runBetweenPages'> | null;
  readonly erasures: Pick<Erasures, 'put'>;
  readonly cursors: Pick<SourceCursors, 'ofBsyncs'>;
  /** The log itself: what a purged account left is erased too. */
  readonly appender: Pick<LogAppender, 'append'>;
};

export class PrivateErasure {
  readonly #options: PrivateErasureOptions;

  constructor(options: PrivateErasureOptions) {
    this.#options = options;
  }

  /**
   * Returns: once the log has it, the last operation of bsync that it erases; null without bsync.
   * The slot's work may take a while longer.
   */
  async erase(did: string, kind: ErasedKind): Promise<number | null> {
    const { bsync } = this.#options;
    const stream = kind === 'mutes' ? 'mute' : 'op';
    if (bsync === null) {
      await this.#put(did, kind, stream);
      await this.#append(did, kind);
      return null;
    }
    const { id, appended } = await bsync.runBetweenPages(stream, async (id) => {
      await this.#put(did, kind, stream);
      // The stream waits for the order of the log, not for the slot.
      return { id, appended: this.#append(did, kind) };
    });
    await appended;
    return id;
  }

  /** All that has come by any bsync is erased, followed now or not. */
  #put(did: string, kind: ErasedKind, stream: BsyncStream): Promise<void> {
    const { erasures, cursors } = this.#options;
    return erasures.put(did, kind, cursors.ofBsyncs(stream));
  }

  async #append(did: string, kind: ErasedKind): Promise<void> {
    const append = (write: PrivateWrite): Promise<void> =>
      this.#options.appender.append(did, { kind: 'private', did, write });
    await Promise.all(erasureWrites(kind).map(append));
  }
}
