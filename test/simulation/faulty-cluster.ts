/**
 * Slots in one process whose effects are reordered, delayed, repeated, lost and resent, and which
 * restart; if asked, also with an older copy of their folder, or with none; and which split in the
 * middle of all that.
 *
 * Owns: every choice of order, drawn from one seed. The slots are real, on real files; this plays
 * the senders. Entries of one slot keep their order, as appenders keep it; all else is free.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { invariant } from '../../src/base/invariant.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import type { SlotCondition } from '../../src/entry/lifecycle-entry.ts';
import type { KnownPosition } from '../../src/log/chunk.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import type { EffectVerdict } from '../../src/slot/effect-position.ts';
import { knownPositionOf, positionOf } from '../../src/slot/effect-sources.ts';
import { Slot } from '../../src/slot/slot.ts';
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import { noMark } from '../support/effect-origin.ts';
import { makeChildAtLast, ownerOf, type SplitCounts, strayKeys } from './doubling.ts';
import { FollowingSlots, sharedLog } from './following-slots.ts';
import type { OutsideEntry } from './history.ts';
import { entriesBySlot, Inboxes, type Parcel, parcelOf, type Stream, Streams } from './parcels.ts';

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
  /** How often the slots are doubled, each time in the middle of a part of a history. */
  readonly doublings?: number;
  /** Each slot has a replica that reads the same log. Not with `losesFolders`. */
  readonly hasReplicas?: boolean;
};

const mapBytesDefault = 2 ** 28;

export class FaultyCluster implements AsyncDisposable {
  readonly faults: FaultCounts = { lost: 0, repeated: 0, unacknowledged: 0, gaps: 0, rewinds: 0, restarts: 0 };
  readonly #options: FaultyClusterOptions;
  readonly splits: SplitCounts = { splits: 0, moved: 0, refused: 0, early: 0, crashes: 0 };
  /** By index; a child that is still to be made is missing. */
  readonly #slots = new Map<number, Slot>();
  readonly #inboxes = new Inboxes();
  /** How many slots there are to be, and in how many turns one of them is told to split. */
  #count: number;
  #splitTurns = 1;
  readonly losses: LossCounts = { putBack: 0, begunAgain: 0, sourceLost: 0, targetLost: 0 };
  /** By slot: all chunks from outside that it took, and an older copy of it. */
  readonly #taken = new Map<number, Parcel[]>();
  readonly #copies = new Map<number, FolderCopy>();
  #openings = 0;
  readonly #streams = new Streams();
  readonly #replicas: FollowingSlots | null;
  /** Whether a slot goes on without a chunk: so until it runs, and kept, as asking takes long. */
  readonly #goesOn = new WeakMap<Slot, boolean>();

  constructor(options: FaultyClusterOptions) {
    this.#options = options;
    const { path, appendMs, mapBytes = mapBytesDefault, hasReplicas = false } = options;
    mkdirSync(path, { recursive: true });
    this.#count = options.slots;
    const pathOf = (index: number): string => join(path, `replica-${index}`);
    this.#replicas = hasReplicas ? new FollowingSlots({ pathOf, mapBytes, appendMs }) : null;
    for (let index = 0; index < options.slots; index++) {
      this.#open(index, options.slots, 'complete');
      this.#replicas?.follow(index, options.slots);
    }
  }

  /** `condition` is that of a slot whose folder is not there. */
  #open(index: number, slots: number, condition: SlotCondition): void {
    const { mapBytes = mapBytesDefault } = this.#options;
    const opening = { session: ++this.#openings, generation: this.#openings, condition, cluster: '' };
    const log = this.#replicas === null ? {} : { log: sharedLog };
    const options = { index, slots, path: this.#pathOf(index), mapBytes, opening, canSplit: true, ...log };
    this.#slots.set(index, Slot.open(options));
  }

  #pathOf(index: number): string {
    return join(this.#options.path, `slot-${index}`);
  }

  get slots(): readonly Slot[] {
    return [...this.#slots.values()];
  }

  readonly #slotOf = (key: string): number => ownerOf(key, this.#options.slots, this.#slots);

  readonly stateOf = (key: string): SlotState => this.#slots.get(this.#slotOf(key))!.state;

  #takenOf(slot: number): Parcel[] {
    const taken = this.#taken.get(slot) ?? [];
    this.#taken.set(slot, taken);
    return taken;
  }

  /** Slots that have yet to split in the doubling under way. */
  get #whole(): Slot[] {
    return this.slots.filter(({ slots }) => slots < this.#count);
  }

  get #isDoubling(): boolean {
    return this.#whole.length > 0 || this.slots.some(({ routing, slots }) => routing.base < slots);
  }

  #beginDoubling(random: SeededRandom): void {
    const { doublings = 0, slots } = this.#options;
    if (this.#isDoubling || this.#count >= slots * 2 ** doublings || random.below(2) === 0) return;
    this.#count *= 2;
    this.#splitTurns = 1 + random.below(60);
  }

  #postSplit({ index }: Slot, random: SeededRandom): void {
    this.#inboxes.postAnywhere(index, { kind: 'split', slots: this.#count }, random);
  }

  /** Applies a history and delivers effects, with faults, until no slot owes another any. */
  async settle(entries: readonly OutsideEntry[], random: SeededRandom): Promise<void> {
    this.#beginDoubling(random);
    this.#inboxes.cut(entries, this.#slotOf, random);
    let idleTurns = 0;
    for (let turn = 0; ; turn++) {
      invariant(turn < 200_000, 'a history settles');
      if (random.below(400) === 0) await this.#restart(this.#any(random));
      const whole = this.#whole;
      if (whole.length > 0 && random.below(this.#splitTurns) === 0)
        this.#postSplit(whole[random.below(whole.length)]!, random);
      const awaiting = this.slots.find(({ awaitsChild }) => awaitsChild);
      if (awaiting !== undefined && random.below(4) === 0) await this.#makeChild(awaiting, random);
      if (this.#options.losesFolders === true && random.below(120) === 0) await this.#lose(random);
      if (this.#replicas !== null && random.below(3) === 0) await this.#replicas.turn(random);
      const isBusy = this.#turn(random);
      idleTurns = isBusy || awaiting !== undefined ? 0 : idleTurns + 1;
      if (idleTurns === 0) continue;
      if (this.#whole.length > 0) {
        for (const slot of this.#whole) this.#postSplit(slot, random);
        continue;
      }
      if (this.#exchangePositions() || this.#completeSlots()) continue;
      if (this.slots.every((slot) => slot.outbox.owedCount === 0)) break;
      // What was lost without a trace is resent from the outbox.
      this.#streams.rewindAll();
      this.faults.rewinds++;
    }
    const sum = (count: (slot: Slot) => number): number => this.slots.reduce((total, slot) => total + count(slot), 0);
    const [sent, received] = [sum((slot) => slot.sentCount), sum((slot) => slot.receivedCount)];
    const hasLost = this.losses.putBack + this.losses.begunAgain > 0;
    invariant(hasLost || sent === received, `${sent} effects were sent and ${received} received`);
    invariant(!this.#isDoubling, 'a doubling ends in every slot');
    const strays = this.slots.flatMap((slot) => strayKeys(slot).map((key) => `${slot.index} of ${slot.slots}: ${key}`));
    await this.#replicas?.expectSame(this.slots, random);
    invariant(strays.length === 0, `slots hold what is of others: ${strays.slice(0, 5).join(' ')}`);
  }

  #any(random: SeededRandom): Slot {
    const { slots } = this;
    return slots[random.below(slots.length)]!;
  }

  /** Makes the child of a slot, at times in a second process after a crash of the first. */
  async #makeChild(parent: Slot, random: SeededRandom): Promise<void> {
    const { index, slots } = parent;
    const child = index + slots / 2;
    this.#goesOn.delete(parent);
    const step = await makeChildAtLast(parent, this.#pathOf(child), random);
    if (step !== 'made') {
      this.splits.crashes++;
      return await this.#restart(parent);
    }
    this.splits.splits++;
    this.#open(child, slots, 'complete');
    const takenByParent = this.#takenOf(index).splice(0);
    for (const { outside } of takenByParent)
      for (const [slot, entries] of entriesBySlot(outside!, this.#slotOf))
        this.#takenOf(slot).push(parcelOf(slot, entries));
    const copy = this.#copies.get(index);
    if (copy !== undefined) rmSync(copy.path, { recursive: true });
    this.#copies.delete(index);
  }

  /** As nodes do after a start. True if one slot of a pair has lost its tail. */
  #exchangePositions(): boolean {
    let hasLost = false;
    for (const source of this.slots) {
      for (const { index: target, state } of this.slots) {
        if (target === source.index) continue;
        const at = knownPositionOf(source.index, (slot) => positionOf(state, slot));
        hasLost = this.#judge(source, target, at) !== 'follows' || hasLost;
      }
    }
    return hasLost;
  }

  /** As an operator does once all that a slot lacked has come again. */
  #completeSlots(): boolean {
    const incomplete = this.slots.filter(({ condition }) => condition === 'incomplete');
    for (const { index } of incomplete) this.#inboxes.postEntry(index, { kind: 'completed' });
    return incomplete.length > 0;
  }

  /** Compares positions as a sender does; the log of the source says the result. */
  #judge(source: Slot, target: number, at: KnownPosition): EffectVerdict {
    const verdict = source.judge(target, at);
    if (verdict === 'target-lost') {
      this.losses.targetLost++;
      this.#inboxes.postEntry(source.index, { kind: 'resend', target });
    } else if (verdict === 'source-lost') {
      this.losses.sourceLost++;
      const generation = Math.max(at.generation + 1, ++this.#openings);
      this.#inboxes.postEntry(source.index, { kind: 'tail-lost', lostIn: source.generation, generation });
    }
    return verdict;
  }

  /** Copies a slot's folder; or puts an older copy back; or removes the folder. */
  async #lose(random: SeededRandom): Promise<void> {
    const slot = this.#any(random);
    const { index, slots } = slot;
    // Its child would be lost with it.
    if (slot.awaitsChild) return;
    const copy = this.#copies.get(index);
    const path = this.#pathOf(index);
    await slot[Symbol.asyncDispose]();
    let condition: SlotCondition = 'complete';
    if (copy === undefined) {
      const made = { path: `${path}-copy`, taken: this.#takenOf(index).length };
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
      this.#inboxes.of(index).unshift(...this.#takenOf(index).splice(begins ? 0 : copy.taken));
    }
    this.#open(index, slots, condition);
    this.#dropInFlight(index);
  }

  /** Takes one random step. Returns false when nothing is left to do. */
  #turn(random: SeededRandom): boolean {
    const streams = [...this.#streams.ready];
    const goesOn = (slot: Slot): boolean => {
      const known = this.#goesOn.get(slot) ?? slot.hasUnapplied;
      this.#goesOn.set(slot, known);
      return known;
    };
    const busy = this.slots.filter(
      (slot) => !slot.awaitsChild && (this.#inboxes.of(slot.index).length > 0 || goesOn(slot)),
    );
    const choices = streams.length + busy.length;
    if (choices === 0) return false;
    const choice = random.below(choices);
    if (choice < streams.length) this.#send(streams[choice]!, random);
    else this.#run(busy[choice - streams.length]!, random);
    return true;
  }

  #send(stream: Stream, random: SeededRandom): void {
    // Until its child is made, nobody is there to answer.
    if (!this.#slots.has(stream.target)) return;
    const parcel = this.#streams.next(stream, this.#slots.get(stream.source)!, 1 + random.below(4));
    if (parcel === null) return;
    const draw = random.below(10);
    if (draw === 0) {
      this.faults.lost++;
      return;
    }
    this.#inboxes.postEffects(parcel, random);
    if (draw > 1) return;
    this.faults.repeated++;
    this.#inboxes.postEffects(parcel, random);
  }

  #run(slot: Slot, random: SeededRandom): void {
    this.#goesOn.delete(slot);
    const parcels = this.#inboxes.take(slot.index, random, this.#count > this.#options.slots);
    const own = this.#replicas === null ? [] : ownChunks(slot, parcels.length === 0);
    const chunks = [...own, ...parcels.map(({ bytes }) => bytes)];
    const result = slot.run(chunks, this.#options.appendMs);
    this.#replicas?.logOf(slot.index).push(...chunks.slice(0, result.outcomes.length));
    for (const { target } of result.batches) this.#streams.ready.add(this.#streams.of(slot.index, target));
    for (const target of result.restarted) this.#streams.rewind(this.#streams.of(slot.index, target));
    this.#inboxes.of(slot.index).unshift(...parcels.splice(result.outcomes.length - own.length));
    parcels.forEach((parcel, index) => {
      const { stream, lastMark, outside } = parcel;
      const outcome = result.outcomes[own.length + index]!;
      if (outcome.status === 'refused') {
        invariant(outside !== undefined && outcome.code === 'WrongEpoch', outcome.code);
        this.splits.moved++;
        this.#inboxes.cutAgain(slot.index, outside, (key) => slotOf(key, slot.slots));
        return;
      }
      if (outside !== undefined && this.#options.losesFolders === true) this.#takenOf(slot.index).push(parcel);
      if (stream === null) return;
      if (outcome.status === 'split') {
        this.#onSplit(stream, outcome.slots);
      } else if (outcome.status === 'gap') {
        this.faults.gaps++;
        this.#onGap(stream, outcome);
      } else if (random.below(10) === 0) {
        this.faults.unacknowledged++;
      } else {
        this.#inboxes.postEntry(stream.source, { kind: 'delivered', target: stream.target, mark: lastMark });
      }
    });
  }

  /** Reopens a slot. What was in flight to it is lost; senders of entries send them again. */
  async #restart(slot: Slot): Promise<void> {
    const { index, slots } = slot;
    this.faults.restarts++;
    await slot[Symbol.asyncDispose]();
    this.#open(index, slots, 'complete');
    this.#dropInFlight(index);
  }

  /** Says in the log of a source that a target has split; one that has yet to is asked again. */
  #onSplit(stream: Stream, slots: number): void {
    const { routing } = this.#slots.get(stream.source)!;
    const { target } = stream;
    if (slots > routing.slotsOfTarget(target)) {
      this.splits.refused++;
      this.#inboxes.postEntry(stream.source, { kind: 'target-split', target, slots });
    } else if (slots < routing.slotsOfTarget(target)) {
      this.splits.early++;
    }
    this.#streams.rewind(stream);
  }

  #onGap(stream: Stream, at: KnownPosition): void {
    const source = this.#slots.get(stream.source)!;
    if (this.#judge(source, stream.target, at) !== 'follows') return;
    const isSameLife = at.generation === source.generation && !at.isParents;
    stream.known = isSameLife ? { session: at.session, mark: at.lastMark } : noMark;
    this.#streams.rewind(stream, isSameLife ? at.lastMark : 0);
  }

  #dropInFlight(index: number): void {
    this.#inboxes.dropEffects(index);
    this.#streams.restart(index);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replicas?.[Symbol.asyncDispose]();
    for (const slot of this.slots) await slot[Symbol.asyncDispose]();
    this.#slots.clear();
    rmSync(this.#options.path, { recursive: true, force: true });
  }
}

/** What whoever runs a slot appends to a log that the slot does not append to itself. */
function ownChunks({ own }: Slot, isIdle: boolean): Uint8Array[] {
  const chunk = own.openedChunk() ?? (isIdle ? own.nextChunk() : null);
  return chunk === null ? [] : [chunk];
}

export const slotCounts: readonly number[] = [1, 2, 16, 64];
