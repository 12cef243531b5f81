/** Chunks on their way to the slots of a simulated cluster, and how far effects were sent. */
import { ByteWriter } from '../../src/base/bytes.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import type { Entry } from '../../src/entry/entry.ts';
import { encodeEntryChunk, type KnownMark, writeChunk } from '../../src/log/chunk.ts';
import type { Slot } from '../../src/slot/slot.ts';
import { noMark, originOf } from '../support/effect-origin.ts';
import type { OutsideEntry } from './history.ts';

export type Stream = { readonly source: number; readonly target: number; sentMark: number; known: KnownMark };
/** A chunk in flight; one with a stream carries effects up to `lastMark`. */
export type Parcel = {
  readonly bytes: Uint8Array;
  readonly stream: Stream | null;
  readonly lastMark: number;
  /** Those of one from outside. */
  readonly outside?: readonly OutsideEntry[];
};

export function parcelOf(slot: number, entries: readonly OutsideEntry[]): Parcel {
  return { bytes: encodeEntryChunk(slot, entries), stream: null, lastMark: 0, outside: entries };
}

/** Divides entries by the slots that they are of, in their order. */
export function entriesBySlot(
  entries: readonly OutsideEntry[],
  slotOf: (key: string) => number,
): Map<number, OutsideEntry[]> {
  const bySlot = new Map<number, OutsideEntry[]>();
  for (const entry of entries) {
    const slot = slotOf(entry.did);
    const own = bySlot.get(slot) ?? [];
    bySlot.set(slot, own);
    own.push(entry);
  }
  return bySlot;
}

/** What waits for each slot, in the order in which it comes; the slot may be still to be made. */
export class Inboxes {
  readonly #bySlot = new Map<number, Parcel[]>();

  of(slot: number): Parcel[] {
    const inbox = this.#bySlot.get(slot) ?? [];
    this.#bySlot.set(slot, inbox);
    return inbox;
  }

  postEntry(slot: number, entry: Entry): void {
    this.of(slot).push({ bytes: encodeEntryChunk(slot, [entry]), stream: null, lastMark: 0 });
  }

  /** Inserts an entry of the slot's own node anywhere. */
  postAnywhere(slot: number, entry: Entry, random: SeededRandom): void {
    const inbox = this.of(slot);
    const parcel = { bytes: encodeEntryChunk(slot, [entry]), stream: null, lastMark: 0 };
    inbox.splice(random.below(inbox.length + 1), 0, parcel);
  }

  /** Inserts effects anywhere. */
  postEffects(parcel: Parcel, random: SeededRandom): void {
    const inbox = this.of(parcel.stream!.target);
    inbox.splice(random.below(inbox.length + 1), 0, parcel);
  }

  /** Cuts each slot's entries into chunks of random sizes. */
  cut(entries: readonly OutsideEntry[], slotOf: (key: string) => number, random: SeededRandom): void {
    const chunkItemsMax = 1 + random.below(20);
    for (const [slot, items] of entriesBySlot(entries, slotOf)) {
      while (items.length > 0) this.of(slot).push(parcelOf(slot, items.splice(0, 1 + random.below(chunkItemsMax))));
    }
  }

  /** Sends entries that a slot has refused where they are of now. Those for itself stay first. */
  cutAgain(refusing: number, entries: readonly OutsideEntry[], slotOf: (key: string) => number): void {
    for (const [slot, moved] of entriesBySlot(entries, slotOf)) {
      if (slot === refusing) this.of(slot).unshift(parcelOf(slot, moved));
      else this.of(slot).push(parcelOf(slot, moved));
    }
  }

  /**
   * Takes some parcels for a run. `oneFromOutside`: an appender has one chunk of a slot in flight,
   * so that entries of a DID stay in their order when it is refused.
   */
  take(slot: number, random: SeededRandom, oneFromOutside: boolean): Parcel[] {
    const inbox = this.of(slot);
    const count = random.below(3) === 0 ? inbox.length : Math.min(inbox.length, 1 + random.below(3));
    if (!oneFromOutside) return inbox.splice(0, count);
    const outside = [...inbox.keys()].filter((index) => inbox[index]!.outside !== undefined);
    return inbox.splice(0, Math.min(count, outside[1] ?? inbox.length));
  }

  /** Loses effects on their way to a slot. */
  dropEffects(slot: number): void {
    const kept = this.of(slot).filter((parcel) => parcel.stream === null);
    this.#bySlot.set(slot, kept);
  }
}

/** How far effects were sent from each slot to each other. */
export class Streams {
  readonly #byName = new Map<string, Stream>();
  /** Streams whose source may owe effects above the mark that was sent. */
  readonly ready = new Set<Stream>();

  of(source: number, target: number): Stream {
    const name = `${source}/${target}`;
    const stream = this.#byName.get(name) ?? { source, target, sentMark: 0, known: noMark };
    this.#byName.set(name, stream);
    return stream;
  }

  rewind(stream: Stream, mark = 0): void {
    stream.sentMark = mark;
    this.ready.add(stream);
  }

  rewindAll(): void {
    for (const stream of this.#byName.values()) this.rewind(stream);
  }

  /** A new session of a source has sent nothing. */
  restart(source: number): void {
    for (const stream of this.#byName.values())
      if (stream.source === source) this.rewind(Object.assign(stream, { known: noMark }));
  }

  /** Returns the next effects of a stream, which may be lost or repeated; null for none. */
  next(stream: Stream, source: Slot, batchesMax: number): Parcel | null {
    const batches = [...source.outbox.batches(stream.target, stream.sentMark)].slice(0, batchesMax);
    if (batches.length === 0) {
      this.ready.delete(stream);
      return null;
    }
    const targetSlots = source.routing.slotsOfTarget(stream.target);
    const origin = originOf(source, batches[0]!.previousMark, stream.known, targetSlots);
    const writer = new ByteWriter(1024);
    const items = batches.flatMap((batch) => batch.items);
    writeChunk(writer, { slot: stream.target, origin, items, marks: batches.flatMap((batch) => batch.marks) });
    const parcel = { bytes: writer.finish(), stream, lastMark: batches.at(-1)!.lastMark };
    stream.sentMark = parcel.lastMark;
    return parcel;
  }
}
