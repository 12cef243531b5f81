/**
 * Writes items of a page that differ only in their ids, all of which are DIDs of did:plc and TIDs:
 * such items are equally long, so that each is a copy of the first with other ids in it.
 */
import { didTag, rkeyTag } from '../../atproto/compact-key.ts';
import { formatPlc, plcIdBytes } from '../../atproto/did-plc.ts';
import { formatTid } from '../../atproto/tid.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';

/** True when a did:plc is at `at`, as in keys. */
export function isPlcIn(source: Buffer, at: number): boolean {
  return source[at] === didTag.plc;
}

/** True when a TID is at `at`, as in keys. */
export function isTidIn(source: Buffer, at: number): boolean {
  return source[at]! < rkeyTag.self;
}

/** True when a did:plc and after it a TID are at `at`, as in keys. */
export function isPlcWithTid(source: Buffer, at: number): boolean {
  return isPlcIn(source, at) && isTidIn(source, tidAfterPlc(at));
}

/** Returns where a TID begins after a did:plc at `at`. */
export function tidAfterPlc(at: number): number {
  return at + 1 + plcIdBytes;
}

export class RepeatedItem {
  readonly #into: MessageWriter;
  #start = -1;
  #end = 0;

  constructor(into: MessageWriter) {
    this.#into = into;
  }

  /** Makes what was written from `start` to `end` the item that `repeat` copies. */
  keep(start: number, end = this.#into.length): void {
    this.#start = start;
    this.#end = end;
  }

  /** Writes a copy of the item. Returns false when there is none yet. */
  repeat(): boolean {
    if (this.#start < 0) return false;
    this.#into.raw(this.#into.buffer, this.#start, this.#end);
    return true;
  }

  /** Writes the did:plc at `source[at]` over the one that begins `back` bytes before the end. */
  plc(back: number, source: Buffer, at: number): void {
    formatPlc(source, at + 1, this.#into.buffer, this.#into.length - back);
  }

  /** The same for the TID at `source[at]`. */
  tid(back: number, source: Buffer, at: number): void {
    formatTid(source, at, this.#into.buffer, this.#into.length - back);
  }
}
