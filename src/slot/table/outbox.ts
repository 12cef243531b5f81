/**
 * Effects that this slot owes to others: outbox table, (target, first mark) → one batch for one
 * target.
 *
 * A batch holds the effects of one apply transaction, so its bounds depend on timing; the effects
 * and their marks do not. Rows are removed when the slot's own log says that the target has them.
 * The last mark that each target acknowledged survives as the `delivered` row. A chain of marks is
 * what a target needs one after the other; one that begins again follows mark 0. That of a child
 * follows the marks of its parent's split, which no target has acknowledged to it.
 */
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEffect, writeEffect } from '../../entry/effect-codec.ts';
import { isSlotEffect, routingKey, type SentEffect } from '../../entry/entry.ts';
import { readMark, writeMark } from '../../log/chunk.ts';
import { keyHash } from '../../shardmap/slot-of.ts';
import { prefixEnd, type Table } from '../../storage/environment.ts';
import { beginSlotKey, type SlotState, tableCode } from './slot-state.ts';

/** Effects for one target, in mark order: `marks` has one for each of `items`. */
export type OutboxBatch = {
  readonly target: number;
  readonly previousMark: number;
  readonly firstMark: number;
  readonly lastMark: number;
  readonly items: readonly Uint8Array[];
  readonly marks: readonly number[];
};

type OpenBatch = { previousMark: number; marks: number[]; items: Buffer[]; bytes: number };

/** A batch of this size is closed and the next one begins. Units: bytes. */
const batchFullBytes = 256 * 1024;

const writer = sharedWriter(4096);

function rowKey(target: number, mark: number): Buffer {
  writeMark(writer.u16(target), mark);
  return writer.finish();
}

function targetPrefix(target: number): Buffer {
  return writer.u16(target).finish();
}

function deliveredKey(target: number): Buffer {
  return beginSlotKey(tableCode.delivered).u16(target).finish();
}

/** The mark that a chain follows, and whether it is of the split by which the source came. */
function readDelivered(source: SlotState, target: number): { mark: number; isInherited: boolean } {
  const value = source.rows.getVolatile(deliveredKey(target));
  if (value === undefined) return { mark: 0, isInherited: false };
  const reader = new ByteReader(value);
  return { mark: readMark(reader), isInherited: reader.remaining > 0 };
}

/** Returns up to which mark a target has acknowledged the present chain of a source, or 0. */
export function deliveredMark(source: SlotState, target: number): number {
  const { mark, isInherited } = readDelivered(source, target);
  return isInherited ? 0 : mark;
}

/** Returns the mark of its split that a child's chain to a target follows as yet; 0 for another. */
export function inheritedMark(source: SlotState, target: number): number {
  const { mark, isInherited } = readDelivered(source, target);
  return isInherited ? mark : 0;
}

/** Has the chain to a target follow the mark of a split. */
export function putInheritedMark(source: SlotState, target: number, mark: number): void {
  writeMark(writer, mark);
  source.rows.put(deliveredKey(target), writer.u8(1).finish());
}

/** Removes what the slot knows of targets, in the current transaction. */
export function clearOutbox(table: Table, state: SlotState): void {
  for (const key of [...table.scanKeys({ start: targetPrefix(0), end: Buffer.alloc(16, 255) })]) table.remove(key);
  const start = beginSlotKey(tableCode.delivered).finish();
  for (const key of [...state.rows.scanKeys({ start, end: prefixEnd(start) })]) state.rows.remove(key);
}

/** Bytes of a mark at the start of a row: that before the batch. */
const markBytes = 8;

function batchOfRow(key: Buffer, value: Buffer): OutboxBatch {
  const keyReader = new ByteReader(key);
  const target = keyReader.u16();
  const firstMark = readMark(keyReader);
  const reader = new ByteReader(value);
  const previousMark = readMark(reader);
  const lastMark = readMark(reader);
  const marks: number[] = [];
  const items: Uint8Array[] = [];
  while (reader.remaining > 0) {
    marks.push(readMark(reader));
    items.push(reader.lengthDelimited());
  }
  return { target, previousMark, firstMark, lastMark, items, marks };
}

export class Outbox {
  readonly #table: Table;
  readonly #state: SlotState;
  readonly #open = new Map<number, OpenBatch[]>();
  /** The last mark ever made for each target. */
  readonly #lastMarkByTarget = new Map<number, number>();
  /** Last marks of the rows in the table, oldest first, by target. */
  readonly #owedByTarget = new Map<number, number[]>();
  /** Targets whose chains began again in this transaction. */
  readonly #restarted = new Set<number>();
  /** Effects in the table that no `delivered` entry has covered. */
  owedCount = 0;

  constructor(table: Table, state: SlotState) {
    this.#table = table;
    this.#state = state;
    this.reload();
  }

  /** Reads marks and counts from disk, after opening and after an aborted transaction. */
  reload(): void {
    this.#open.clear();
    this.#lastMarkByTarget.clear();
    this.#owedByTarget.clear();
    this.#restarted.clear();
    this.owedCount = 0;
    for (const batch of this.batches()) {
      this.#lastMarkByTarget.set(batch.target, batch.lastMark);
      this.#owe(batch);
    }
  }

  #owe(batch: OutboxBatch): void {
    this.owedCount += batch.items.length;
    const owed = this.#owedByTarget.get(batch.target);
    if (owed === undefined) this.#owedByTarget.set(batch.target, [batch.lastMark]);
    else owed.push(batch.lastMark);
  }

  /** Every effect up to this mark (inclusive) is at its target; null when nothing is owed. */
  get deliveredMark(): number | null {
    let oldest = Number.POSITIVE_INFINITY;
    for (const owed of this.#owedByTarget.values()) oldest = Math.min(oldest, owed[0]!);
    return oldest === Number.POSITIVE_INFINITY ? null : oldest - 1;
  }

  /** Returns the last mark that was ever made for a target in its present chain. */
  lastMark(target: number): number {
    return this.#lastMarkByTarget.get(target) ?? readDelivered(this.#state, target).mark;
  }

  /** Adds an effect to what the current transaction will write. Marks ascend. */
  add(target: number, mark: number, effect: SentEffect): void {
    const batches = this.#open.get(target) ?? [];
    if (batches.length === 0) this.#open.set(target, batches);
    let batch = batches.at(-1);
    if (batch === undefined || batch.bytes >= batchFullBytes) {
      batch = { previousMark: this.lastMark(target), marks: [], items: [], bytes: 0 };
      batches.push(batch);
    }
    writeEffect(writer, effect);
    const item = writer.finish();
    batch.items.push(item);
    batch.marks.push(mark);
    batch.bytes += item.length;
    this.#lastMarkByTarget.set(target, mark);
  }

  /** Writes the open batches in the current transaction; they may be sent once it is on disk. */
  flush(): OutboxBatch[] {
    const written: OutboxBatch[] = [];
    for (const target of [...this.#open.keys()]) written.push(...this.#writeOpen(target));
    return written;
  }

  #writeOpen(target: number): OutboxBatch[] {
    const batches = this.#open.get(target) ?? [];
    this.#open.delete(target);
    return batches.map((batch) => this.#write(target, batch));
  }

  /** Returns the targets whose chains began again since the last call. */
  takeRestarted(): number[] {
    const targets = [...this.#restarted];
    this.#restarted.clear();
    return targets;
  }

  /** Begins a target's chain again with what is owed to it: no scan restates answers. */
  restart(target: number): void {
    this.#writeOpen(target);
    const first = { start: targetPrefix(target), end: prefixEnd(targetPrefix(target)), limit: 1 };
    for (const { key, value } of [...this.#table.scan(first)]) {
      writeMark(writer, 0);
      this.#table.put(key, writer.bytes(value.subarray(markBytes)).finish());
    }
    this.#state.rows.remove(deliveredKey(target));
    this.#lastMarkByTarget.set(target, this.#owedByTarget.get(target)?.at(-1) ?? 0);
    this.#restarted.add(target);
  }

  /** Has what is owed to a target say of the source's split no more than that it has split. */
  forgetChild(target: number): void {
    this.#writeOpen(target);
    const start = targetPrefix(target);
    for (const { key, value } of [...this.#table.scan({ start, end: prefixEnd(targetPrefix(target)) })]) {
      const batch = batchOfRow(key, value);
      const items = batch.items.map((item) => {
        const effect = readEffect(new ByteReader(item, 0, 'an effect'));
        if (effect.type !== 'split' || effect.generation === 0) return item;
        writeEffect(writer, { ...effect, generation: 0, session: 0 });
        return writer.finish();
      });
      if (items.some((item, index) => item !== batch.items[index])) this.#put(target, { ...batch, items });
    }
  }

  /**
   * Divides what is owed to a target that has split between it and its child, `slots / 2` above it.
   *
   * Both have what it had before, so both chains follow the same mark. The work is that of writing
   * again all that is owed to one target.
   */
  divide(target: number, slots: number): void {
    const child = target + slots / 2;
    this.#writeOpen(target);
    const delivered = this.#state.rows.get(deliveredKey(target));
    if (delivered !== undefined) this.#state.rows.put(deliveredKey(child), delivered);
    const owed = [...this.batches(target)];
    const first = owed[0]?.previousMark ?? 0;
    for (const { firstMark, items } of owed) {
      this.#table.remove(rowKey(target, firstMark));
      this.owedCount -= items.length;
    }
    for (const each of [target, child]) {
      this.#lastMarkByTarget.delete(each);
      this.#owedByTarget.delete(each);
      this.#restarted.add(each);
    }
    const lastMarks = new Map([target, child].map((each) => [each, first]));
    for (const { items, marks } of owed) {
      const slotsOfItems = items.map((item) => {
        const effect = readEffect(new ByteReader(item, 0, 'an effect'));
        return isSlotEffect(effect) ? null : keyHash(routingKey(effect)) & (slots - 1);
      });
      for (const each of [target, child]) {
        const indexes = slotsOfItems.flatMap((slot, index) => (slot === null || slot === each ? [index] : []));
        if (indexes.length === 0) continue;
        const batch = {
          previousMark: lastMarks.get(each)!,
          marks: indexes.map((index) => marks[index]!),
          items: indexes.map((index) => items[index]!),
        };
        lastMarks.set(each, batch.marks.at(-1)!);
        this.#lastMarkByTarget.set(each, batch.marks.at(-1)!);
        this.#write(each, batch);
      }
    }
  }

  #write(target: number, open: Pick<OutboxBatch, 'previousMark' | 'marks' | 'items'>): OutboxBatch {
    const batch = this.#put(target, open);
    this.#owe(batch);
    return batch;
  }

  #put(
    target: number,
    { previousMark, marks, items }: Pick<OutboxBatch, 'previousMark' | 'marks' | 'items'>,
  ): OutboxBatch {
    const firstMark = marks[0]!;
    const lastMark = marks.at(-1)!;
    writeMark(writer, previousMark);
    writeMark(writer, lastMark);
    items.forEach((item, index) => {
      writeMark(writer, marks[index]!);
      writer.lengthDelimited(item);
    });
    const value = writer.finish();
    this.#table.put(rowKey(target, firstMark), value);
    return { target, previousMark, firstMark, lastMark, items, marks };
  }

  /**
   * Removes what the target holds up to `mark` (inclusive), in the current transaction.
   *
   * What is owed afterwards depends on the log alone: a replica that catches up has effects and
   * their delivery in one transaction, and batches with other bounds than those that were sent.
   */
  trim(target: number, mark: number): void {
    const open = this.#open.get(target)?.[0];
    if (open !== undefined && open.marks[0]! <= mark) this.#writeOpen(target);
    const delivered = { start: targetPrefix(target), end: rowKey(target, mark + 1) };
    let isTrimmed = false;
    for (const row of [...this.#table.scan(delivered)]) {
      const batch = batchOfRow(row.key, row.value);
      isTrimmed = true;
      this.#table.remove(row.key);
      const above = batch.marks.findIndex((each) => each > mark);
      this.owedCount -= above < 0 ? batch.items.length : above;
      if (above < 0) this.#owedByTarget.get(target)?.shift();
      else {
        const [marks, items] = [batch.marks.slice(above), batch.items.slice(above)];
        this.#put(target, { previousMark: batch.marks[above - 1]!, marks, items });
      }
    }
    if (this.#owedByTarget.get(target)?.length === 0) this.#owedByTarget.delete(target);
    // One that is late may be of a chain that has begun again since.
    if (!isTrimmed) return;
    writeMark(writer, mark);
    this.#state.rows.put(deliveredKey(target), writer.finish());
  }

  /** Returns what is owed: to all targets, or to one above a mark (exclusive). */
  *batches(target?: number, aboveMark = 0): Generator<OutboxBatch> {
    const start = target === undefined ? targetPrefix(0) : this.#startAbove(target, aboveMark);
    const end = target === undefined ? Buffer.alloc(16, 255) : prefixEnd(targetPrefix(target));
    for (const row of this.#table.scan({ start, end })) {
      const batch = batchOfRow(row.key, row.value);
      if (batch.lastMark > aboveMark) yield batch;
    }
  }

  /** Returns the key of the batch that contains a mark, or where the next one would begin. */
  #startAbove(target: number, mark: number): Buffer {
    const key = rowKey(target, mark);
    const before = this.#table.scanKeys({ start: key, end: targetPrefix(target), isReverse: true, limit: 1 });
    for (const found of before) return found;
    return key;
  }
}
