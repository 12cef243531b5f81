/**
 * Slots in one process whose effects are reordered, delayed, repeated, lost and resent, and which
 * restart.
 *
 * Owns: every choice of order, drawn from one seed. The slots are real, on real files; this plays
 * the senders. Entries of one slot keep their order, as appenders keep it; all else is free.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter } from '../../src/base/bytes.ts';
import { invariant } from '../../src/base/invariant.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { writeChunk } from '../../src/log/chunk.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { Slot } from '../../src/slot/slot.ts';
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import type { OutsideEntry } from './history.ts';

type Stream = { readonly source: number; readonly target: number; sentMark: number };
/** A chunk in flight; one with a stream carries effects up to `lastMark`. */
type Parcel = { readonly bytes: Uint8Array; readonly stream: Stream | null; readonly lastMark: number };

/** How often each fault occurred, so that a test can require it. */
export type FaultCounts = {
  lost: number;
  repeated: number;
  unacknowledged: number;
  gaps: number;
  rewinds: number;
  restarts: number;
};

export type FaultyClusterOptions = {
  readonly slots: number;
  readonly path: string;
  /** The append time of all entries. Units: ms. */
  readonly appendMs: number;
  readonly mapBytes?: number;
};

const mapBytesDefault = 2 ** 28;

function chunkBytes(slot: number, items: readonly Uint8Array[]): Buffer {
  const writer = new ByteWriter(1024);
  writeChunk(writer, { slot, origin: null, items, marks: [] });
  return writer.finish();
}

export class FaultyCluster implements AsyncDisposable {
  readonly faults: FaultCounts = { lost: 0, repeated: 0, unacknowledged: 0, gaps: 0, rewinds: 0, restarts: 0 };
  readonly #options: FaultyClusterOptions;
  readonly #slots: Slot[];
  readonly #inboxes: Parcel[][];
  readonly #streams = new Map<string, Stream>();
  /** Streams whose source may owe effects above the mark that was sent. */
  readonly #ready = new Set<Stream>();

  constructor(options: FaultyClusterOptions) {
    this.#options = options;
    mkdirSync(options.path, { recursive: true });
    this.#slots = Array.from({ length: options.slots }, (_unused, index) => this.#open(index));
    this.#inboxes = this.#slots.map(() => []);
  }

  #open(index: number): Slot {
    const { slots, path, mapBytes = mapBytesDefault } = this.#options;
    return Slot.open({ index, slots, path: join(path, `slot-${index}`), mapBytes });
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  readonly stateOf = (key: string): SlotState => this.#slots[slotOf(key, this.#slots.length)]!.state;

  /** Applies a history and delivers effects, with faults, until no slot owes another any. */
  async settle(entries: readonly OutsideEntry[], random: SeededRandom): Promise<void> {
    this.#cut(entries, random);
    let idleTurns = 0;
    for (let turn = 0; ; turn++) {
      invariant(turn < 200_000, 'a history settles');
      if (random.below(400) === 0) await this.#restart(random.below(this.#slots.length));
      const isBusy = this.#turn(random);
      idleTurns = isBusy ? 0 : idleTurns + 1;
      if (idleTurns === 0) continue;
      if (this.#slots.every((slot) => slot.outbox.owedCount === 0)) break;
      // What was lost without a trace is resent from the outbox.
      for (const stream of this.#streams.values()) this.#rewind(stream, 0);
      this.faults.rewinds++;
    }
    const sum = (count: (slot: Slot) => number): number => this.#slots.reduce((total, slot) => total + count(slot), 0);
    const [sent, received] = [sum((slot) => slot.sentCount), sum((slot) => slot.receivedCount)];
    invariant(sent === received, `${sent} effects were sent and ${received} received`);
  }

  /** Cuts each slot's entries into chunks of random sizes. */
  #cut(entries: readonly OutsideEntry[], random: SeededRandom): void {
    const itemsBySlot = new Map<number, Buffer[]>();
    for (const entry of entries) {
      const slot = slotOf(entry.did, this.#slots.length);
      const items = itemsBySlot.get(slot) ?? [];
      itemsBySlot.set(slot, items);
      items.push(encodeEntry(entry));
    }
    const chunkItemsMax = 1 + random.below(20);
    for (const [slot, items] of itemsBySlot) {
      while (items.length > 0) {
        const bytes = chunkBytes(slot, items.splice(0, 1 + random.below(chunkItemsMax)));
        this.#inboxes[slot]!.push({ bytes, stream: null, lastMark: 0 });
      }
    }
  }

  /** Takes one random step. Returns false when nothing is left to do. */
  #turn(random: SeededRandom): boolean {
    const streams = [...this.#ready];
    const busy = this.#slots.filter((slot) => slot.hasUnapplied || this.#inboxes[slot.index]!.length > 0);
    const choices = streams.length + busy.length;
    if (choices === 0) return false;
    const choice = random.below(choices);
    if (choice < streams.length) this.#send(streams[choice]!, random);
    else this.#run(busy[choice - streams.length]!, random);
    return true;
  }

  #stream(source: number, target: number): Stream {
    const key = `${source}/${target}`;
    const stream = this.#streams.get(key) ?? { source, target, sentMark: 0 };
    this.#streams.set(key, stream);
    return stream;
  }

  #rewind(stream: Stream, mark: number): void {
    stream.sentMark = mark;
    this.#ready.add(stream);
  }

  #send(stream: Stream, random: SeededRandom): void {
    const source = this.#slots[stream.source]!;
    const batches = [...source.outbox.batches(stream.target, stream.sentMark)].slice(0, 1 + random.below(4));
    if (batches.length === 0) {
      this.#ready.delete(stream);
      return;
    }
    const origin = { slot: stream.source, generation: source.generation, previousMark: batches[0]!.previousMark };
    const writer = new ByteWriter(1024);
    const items = batches.flatMap((batch) => batch.items);
    writeChunk(writer, { slot: stream.target, origin, items, marks: batches.flatMap((batch) => batch.marks) });
    const parcel = { bytes: writer.finish(), stream, lastMark: batches.at(-1)!.lastMark };
    stream.sentMark = parcel.lastMark;
    const draw = random.below(10);
    if (draw === 0) {
      this.faults.lost++;
      return;
    }
    this.#post(parcel, random);
    if (draw > 1) return;
    this.faults.repeated++;
    this.#post(parcel, random);
  }

  /** Inserts effects at a random index of the inbox. */
  #post(parcel: Parcel, random: SeededRandom): void {
    const inbox = this.#inboxes[parcel.stream!.target]!;
    inbox.splice(random.below(inbox.length + 1), 0, parcel);
  }

  #run(slot: Slot, random: SeededRandom): void {
    const inbox = this.#inboxes[slot.index]!;
    const parcels = inbox.splice(0, random.below(3) === 0 ? inbox.length : Math.min(inbox.length, 1 + random.below(3)));
    const result = slot.run(
      parcels.map((parcel) => parcel.bytes),
      this.#options.appendMs,
    );
    for (const { target } of result.batches) this.#ready.add(this.#stream(slot.index, target));
    parcels.forEach(({ stream, lastMark }, index) => {
      const outcome = result.outcomes[index]!;
      invariant(outcome.status !== 'refused', 'a slot with room refuses nothing');
      if (stream === null) return;
      if (outcome.status === 'gap') {
        this.faults.gaps++;
        this.#rewind(stream, outcome.lastMark);
      } else if (random.below(10) === 0) {
        this.faults.unacknowledged++;
      } else {
        const item = encodeEntry({ kind: 'delivered', target: stream.target, mark: lastMark });
        this.#inboxes[stream.source]!.push({ bytes: chunkBytes(stream.source, [item]), stream: null, lastMark: 0 });
      }
    });
  }

  /** Reopens a slot. What was in flight to it is lost; senders of entries send them again. */
  async #restart(index: number): Promise<void> {
    this.faults.restarts++;
    await this.#slots[index]![Symbol.asyncDispose]();
    this.#slots[index] = this.#open(index);
    this.#inboxes[index] = this.#inboxes[index]!.filter((parcel) => parcel.stream === null);
    for (const stream of this.#streams.values()) if (stream.source === index) this.#rewind(stream, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const slot of this.#slots) await slot[Symbol.asyncDispose]();
    rmSync(this.#options.path, { recursive: true, force: true });
  }
}

export const slotCounts: readonly number[] = [1, 2, 16, 64];
