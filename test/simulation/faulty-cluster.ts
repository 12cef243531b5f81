/**
 * Slots in one process whose effects are reordered, delayed, repeated, lost and resent, and which
 * restart; if asked, also with an older copy of their folder, or with none.
 *
 * Owns: every choice of order, drawn from one seed. The slots are real, on real files; this plays
 * the senders. Entries of one slot keep their order, as appenders keep it; all else is free.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter } from '../../src/base/bytes.ts';
import { invariant } from '../../src/base/invariant.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import type { Entry, SlotCondition } from '../../src/entry/entry.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { type EffectPosition, type KnownMark, writeChunk } from '../../src/log/chunk.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import type { EffectVerdict } from '../../src/slot/effect-position.ts';
import { positionOf } from '../../src/slot/effect-sources.ts';
import { Slot } from '../../src/slot/slot.ts';
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import { noMark, originOf } from '../support/effect-origin.ts';
import type { OutsideEntry } from './history.ts';

type Stream = { readonly source: number; readonly target: number; sentMark: number; known: KnownMark };
/** A chunk in flight; one with a stream carries effects up to `lastMark`. */
type Parcel = {
  readonly bytes: Uint8Array;
  readonly stream: Stream | null;
  readonly lastMark: number;
  readonly isOutside?: true;
};

/** How often each fault occurred, so that a test can require it. */
export type FaultCounts = {
  lost: number;
  repeated: number;
  unacknowledged: number;
  gaps: number;
  rewinds: number;
  restarts: number;
};

/** How often a slot lost what it had, and how often one of a pair was found to have done so. */
export type LossCounts = { putBack: number; begunAgain: number; sourceLost: number; targetLost: number };

/** A copy of a slot's folder, and how many chunks from outside it had then. */
type FolderCopy = { readonly path: string; readonly taken: number };

export type FaultyClusterOptions = {
  readonly slots: number;
  readonly path: string;
  /** The append time of all entries. Units: ms. */
  readonly appendMs: number;
  readonly mapBytes?: number;
  /** Slots lose their folders too; what they had from outside comes again, as after a repair. */
  readonly losesFolders?: boolean;
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
  readonly losses: LossCounts = { putBack: 0, begunAgain: 0, sourceLost: 0, targetLost: 0 };
  /** By slot: all chunks from outside that it took, and an older copy of it. */
  readonly #taken: Parcel[][];
  readonly #copies = new Map<number, FolderCopy>();
  #openings = 0;
  readonly #streams = new Map<string, Stream>();
  /** Streams whose source may owe effects above the mark that was sent. */
  readonly #ready = new Set<Stream>();

  constructor(options: FaultyClusterOptions) {
    this.#options = options;
    mkdirSync(options.path, { recursive: true });
    this.#slots = Array.from({ length: options.slots }, (_unused, index) => this.#open(index, 'complete'));
    this.#inboxes = this.#slots.map(() => []);
    this.#taken = this.#slots.map(() => []);
  }

  /** `condition` is that of a slot whose folder is not there. */
  #open(index: number, condition: SlotCondition): Slot {
    const { slots, mapBytes = mapBytesDefault } = this.#options;
    const opening = { session: ++this.#openings, generation: this.#openings, condition, cluster: '' };
    return Slot.open({ index, slots, path: this.#pathOf(index), mapBytes, opening });
  }

  #pathOf(index: number): string {
    return join(this.#options.path, `slot-${index}`);
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
      if (this.#options.losesFolders === true && random.below(120) === 0) await this.#lose(random);
      const isBusy = this.#turn(random);
      idleTurns = isBusy ? 0 : idleTurns + 1;
      if (idleTurns === 0) continue;
      if (this.#exchangePositions() || this.#completeSlots()) continue;
      if (this.#slots.every((slot) => slot.outbox.owedCount === 0)) break;
      // What was lost without a trace is resent from the outbox.
      for (const stream of this.#streams.values()) this.#rewind(stream, 0);
      this.faults.rewinds++;
    }
    const sum = (count: (slot: Slot) => number): number => this.#slots.reduce((total, slot) => total + count(slot), 0);
    const [sent, received] = [sum((slot) => slot.sentCount), sum((slot) => slot.receivedCount)];
    const hasLost = this.losses.putBack + this.losses.begunAgain > 0;
    invariant(hasLost || sent === received, `${sent} effects were sent and ${received} received`);
  }

  /** As nodes do after a start. True if one slot of a pair has lost its tail. */
  #exchangePositions(): boolean {
    let hasLost = false;
    for (const source of this.#slots) {
      for (const { index: target, state } of this.#slots) {
        if (target === source.index) continue;
        hasLost = this.#judge(source, target, positionOf(state, source.index)) !== 'follows' || hasLost;
      }
    }
    return hasLost;
  }

  /** As an operator does once all that a slot lacked has come again. */
  #completeSlots(): boolean {
    const incomplete = this.#slots.filter(({ condition }) => condition === 'incomplete');
    for (const { index } of incomplete) this.#postEntry(index, { kind: 'completed' });
    return incomplete.length > 0;
  }

  #postEntry(slot: number, entry: Entry): void {
    this.#inboxes[slot]!.push({ bytes: chunkBytes(slot, [encodeEntry(entry)]), stream: null, lastMark: 0 });
  }

  /** Compares positions as a sender does; the log of the source says the result. */
  #judge(source: Slot, target: number, at: EffectPosition): EffectVerdict {
    const verdict = source.judge(target, at);
    if (verdict === 'target-lost') {
      this.losses.targetLost++;
      this.#postEntry(source.index, { kind: 'resend', target });
    } else if (verdict === 'source-lost') {
      this.losses.sourceLost++;
      const generation = Math.max(at.generation + 1, ++this.#openings);
      this.#postEntry(source.index, { kind: 'tail-lost', lostIn: source.generation, generation });
    }
    return verdict;
  }

  /** Copies a slot's folder; or puts an older copy back; or removes the folder. */
  async #lose(random: SeededRandom): Promise<void> {
    const index = random.below(this.#slots.length);
    const copy = this.#copies.get(index);
    const path = this.#pathOf(index);
    await this.#slots[index]![Symbol.asyncDispose]();
    let condition: SlotCondition = 'complete';
    if (copy === undefined) {
      const made = { path: `${path}-copy`, taken: this.#taken[index]!.length };
      cpSync(path, made.path, { recursive: true });
      this.#copies.set(index, made);
    } else {
      this.#copies.delete(index);
      rmSync(path, { recursive: true });
      const begins = random.below(2) === 0;
      if (begins) condition = 'incomplete';
      else cpSync(copy.path, path, { recursive: true });
      this.losses[begins ? 'begunAgain' : 'putBack']++;
      rmSync(copy.path, { recursive: true });
      this.#inboxes[index] = [...this.#taken[index]!.splice(begins ? 0 : copy.taken), ...this.#inboxes[index]!];
    }
    this.#slots[index] = this.#open(index, condition);
    this.#dropInFlight(index);
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
        this.#inboxes[slot]!.push({ bytes, stream: null, lastMark: 0, isOutside: true });
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
    const stream = this.#streams.get(key) ?? { source, target, sentMark: 0, known: noMark };
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
    const origin = originOf(source, batches[0]!.previousMark, stream.known);
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
    const outside = parcels.filter(({ isOutside }) => isOutside === true);
    if (this.#options.losesFolders === true) this.#taken[slot.index]!.push(...outside);
    const result = slot.run(
      parcels.map((parcel) => parcel.bytes),
      this.#options.appendMs,
    );
    for (const { target } of result.batches) this.#ready.add(this.#stream(slot.index, target));
    for (const target of result.restarted) this.#rewind(this.#stream(slot.index, target), 0);
    parcels.forEach(({ stream, lastMark }, index) => {
      const outcome = result.outcomes[index]!;
      invariant(outcome.status !== 'refused', 'a slot with room refuses nothing');
      if (stream === null) return;
      if (outcome.status === 'gap') {
        this.faults.gaps++;
        this.#onGap(stream, outcome);
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
    this.#slots[index] = this.#open(index, 'complete');
    this.#dropInFlight(index);
  }

  #onGap(stream: Stream, at: EffectPosition): void {
    const source = this.#slots[stream.source]!;
    if (this.#judge(source, stream.target, at) !== 'follows') return;
    const isSameLife = at.generation === source.generation;
    stream.known = isSameLife ? { session: at.session, mark: at.lastMark } : noMark;
    this.#rewind(stream, isSameLife ? at.lastMark : 0);
  }

  #dropInFlight(index: number): void {
    this.#inboxes[index] = this.#inboxes[index]!.filter((parcel) => parcel.stream === null);
    for (const stream of this.#streams.values()) {
      if (stream.source === index) this.#rewind(Object.assign(stream, { known: noMark }), 0);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const slot of this.#slots) await slot[Symbol.asyncDispose]();
    rmSync(this.#options.path, { recursive: true, force: true });
  }
}

export const slotCounts: readonly number[] = [1, 2, 16, 64];
