/** The lists to which an actor subscribes: those whose members it blocks, or mutes. */
import { ByteWriter } from '../../base/bytes.ts';
import { getActorCount } from '../../slot/table/actor-counts.ts';
import { clearsOfListMute, listMutePrefix } from '../../slot/table/mute.ts';
import { clearCount } from '../../slot/table/mute-clears.ts';
import { edgeByTimePrefix } from '../../slot/table/outgoing-edge.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { RawLists } from '../../wire/edge-messages.ts';
import { scanSteps, walkFrom, walkSteps } from './page.ts';
import type { SlicedRead, Turn } from './turn.ts';

/** Of an actor with more, the newest blocks count, and the first mutes in the order of keys. */
export const listSubscriptionsMax = 1_000;
/** Rows of mutes that are looked at: those that were cleared go in long work. */
const scannedMax = 5_000;

/** About what a row takes. Units: µs. */
const rowMicros = 2;

const noLists: RawLists = { count: 0, bytes: Buffer.alloc(0) };

/** Lists as they are read. Their bytes are copied together, since an actor's stay cached. */
class ListRun {
  readonly #writer = new ByteWriter(4096);
  count = 0;

  get isFull(): boolean {
    return this.count === listSubscriptionsMax;
  }

  add(list: Buffer): void {
    this.#writer.lengthDelimited(list);
    this.count++;
  }

  finish(): RawLists {
    if (this.count === 0) return noLists;
    const { buffer, length } = this.#writer;
    const bytes = Buffer.allocUnsafeSlow(length);
    buffer.copy(bytes, 0, 0, length);
    return { count: this.count, bytes };
  }
}

/** Returns the lists whose members an actor blocks, newest first. */
export function* blockedListsOf(state: SlotState, owner: number, turn: Turn): SlicedRead<RawLists> {
  if (getActorCount(state, owner, 'listBlocks') === 0) return noLists;
  const lists = new ListRun();
  const walk = walkFrom(edgeByTimePrefix(owner, 'list-block'), '', '');
  for (const rows of walkSteps(state.rows, walk, listSubscriptionsMax)) {
    for (const { value } of rows) lists.add(value);
    if (turn.isOver(rows.length * rowMicros)) yield;
  }
  return lists.finish();
}

/** Returns the lists whose members an actor mutes. */
export function* mutedListsOf(state: SlotState, owner: number, turn: Turn): SlicedRead<RawLists> {
  const prefix = listMutePrefix(owner);
  const lists = new ListRun();
  let clears: number | undefined;
  for (const rows of scanSteps(state.rows, { start: prefix, end: prefixEnd(prefix), limit: scannedMax })) {
    clears ??= clearCount(state, owner, 'list');
    for (const { key, value } of rows) {
      if (clearsOfListMute(value) !== clears) continue;
      lists.add(key.subarray(prefix.length));
      if (lists.isFull) return lists.finish();
    }
    if (turn.isOver(rows.length * rowMicros)) yield;
  }
  return lists.finish();
}
