/** The calls that write to slots: chunks from ingest and nodes, private writes from routers. */
import { ByteWriter } from '../base/bytes.ts';
import { DataPlaneError, errorFromPeer, operatingFailure } from '../base/data-plane-error.ts';
import type { Entry, WrittenEntry } from '../entry/entry.ts';
import { decodeEntry, encodeEntry } from '../entry/entry-codec.ts';
import type { LifecycleEntry } from '../entry/lifecycle-entry.ts';
import {
  type ChunkOutcome,
  chunkFor,
  decodeAppend,
  decodeOutcomes,
  encodeAppend,
  encodeOutcomes,
  readChunkHead,
  writeChunk,
} from '../log/chunk.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { readSlotMeta } from '../slot/slot-meta.ts';
import type { SlotState } from '../slot/table/slot-state.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import { compactAnswer, compactRequest } from '../wire/slot-compaction.ts';
import { digestAnswer, digestRequest } from '../wire/slot-digest.ts';
import type { ApplyLink } from './apply-link.ts';
import { freshState, type SlotReader } from './slot-reader.ts';

/** Of a write whose slot splits meanwhile. */
const writeTriesMax = 4;

function isNew(state: SlotState): boolean {
  return readSlotMeta(state).condition === 'new';
}

function isWritten(entry: Entry): entry is WrittenEntry {
  return entry.kind === 'private' || entry.kind === 'label' || entry.kind === 'label-removal';
}

function newMessage(slot: number): string {
  return `slot ${slot} is new, and some node has not said yet that it is new to it too`;
}

/** Routes writes to the apply threads of their slots. */
export class SlotWrites {
  readonly #links: readonly ApplyLink[];
  readonly #readers: ReadonlyMap<number, SlotReader>;
  readonly #map: () => ShardMap;
  readonly #node: string;
  /** Slots that take nothing from outside until every node has said that they are new to it. */
  readonly #newSlots = new Set<number>();

  /** `node` is the name of this one in the map. */
  constructor(
    links: readonly ApplyLink[],
    readers: ReadonlyMap<number, SlotReader>,
    map: () => ShardMap,
    node: string,
  ) {
    this.#links = links;
    this.#readers = readers;
    this.#map = map;
    this.#node = node;
    this.take([...readers.keys()]);
  }

  /** Takes slots whose readers are open. */
  take(slots: readonly number[]): void {
    for (const slot of slots) {
      this.#newSlots.delete(slot);
      if (isNew(this.#readers.get(slot)!.state)) this.#newSlots.add(slot);
    }
  }

  #linkFor(slot: number): ApplyLink | undefined {
    return this.#links.find(({ slots }) => slots.has(slot));
  }

  /** Appends chunks to any of the node's slots; each has an outcome of its own. */
  async append(payload: Uint8Array): Promise<Uint8Array> {
    const chunks = decodeOfPeer(nodeCalls.append, () => decodeAppend(payload));
    const heads = decodeOfPeer(nodeCalls.append, () => chunks.map((bytes) => readChunkHead(bytes)));
    if (heads.some(({ slot, isFromSlot }) => !isFromSlot && this.#slotNow(slot) !== slot)) {
      const forNow = chunks.map((bytes, index) => {
        const { slot, isFromSlot } = heads[index]!;
        return isFromSlot ? bytes : chunkFor(this.#slotNow(slot), bytes);
      });
      return this.append(encodeAppend(forNow));
    }
    const slots = heads.map(({ slot }) => slot);
    const replica = slots.find((slot) => !this.#isPrimaryOf(slot) && this.#linkFor(slot) !== undefined);
    if (replica !== undefined) throw this.#replicaError(replica);
    if (heads.some(({ slot, isFromSlot }) => !isFromSlot && this.#isNew(slot))) {
      return encodeOutcomes(
        slots.map((slot) => ({ status: 'refused', code: 'Unavailable', message: newMessage(slot) })),
      );
    }
    const links = new Set(slots.map((slot) => this.#linkFor(slot)));
    const [link] = links;
    // Usually one thread takes all chunks, so request and answer pass through unchanged.
    const isForNew = slots.some((slot) => this.#isNew(slot));
    if (links.size === 1 && link !== undefined && !isForNew) return link.append(payload, false);
    return this.#appendByLink(chunks, slots);
  }

  async #appendByLink(chunks: readonly Uint8Array[], slots: readonly number[]): Promise<Uint8Array> {
    const outcomes: ChunkOutcome[] = new Array(chunks.length);
    const indexesByLink = new Map<ApplyLink, number[]>();
    slots.forEach((slot, index) => {
      const link = this.#linkFor(slot);
      // What it acknowledged would be missing in its folder, if that is put back.
      if (this.#isNew(slot)) {
        outcomes[index] = { status: 'refused', code: 'Unavailable', message: newMessage(slot) };
        return;
      }
      if (link === undefined) {
        outcomes[index] = { status: 'refused', code: 'WrongEpoch', message: `slot ${slot} is not served here` };
        return;
      }
      const indexes = indexesByLink.get(link);
      if (indexes === undefined) indexesByLink.set(link, [index]);
      else indexes.push(index);
    });
    await Promise.all(
      [...indexesByLink].map(async ([link, indexes]) => {
        const answer = await link.append(encodeAppend(indexes.map((index) => chunks[index]!)), false);
        const results = decodeOutcomes(answer, indexes.length);
        indexes.forEach((index, at) => {
          outcomes[index] = results[at]!;
        });
      }),
    );
    return encodeOutcomes(outcomes);
  }

  /** Appends what a router writes, and answers once this thread's reads see it applied. */
  async write(payload: Uint8Array): Promise<Uint8Array> {
    // Its memory is the caller's, who reuses it.
    const entry = Buffer.from(payload);
    const decoded = decodeOfPeer(nodeCalls.write, () => decodeEntry(entry));
    if (!isWritten(decoded))
      throw new DataPlaneError('InvalidArgument', `${nodeCalls.write} takes no entry of the kind ${decoded.kind}`);
    for (let tries = 1; ; tries++) {
      const slot = this.slotOf(decoded.did);
      if (this.#isNew(slot)) throw new DataPlaneError('Unavailable', newMessage(slot));
      const failure = await this.appendOwn(slot, entry).then(() => null, operatingFailure);
      if (failure === null) return Buffer.alloc(0);
      // A slot that has split takes none of its child, which is read once the slot goes on.
      const hasSplit = this.#map().isDoubling && failure.code === 'WrongEpoch';
      if (!hasSplit || tries === writeTriesMax) throw failure;
    }
  }

  /** Appends an entry of the lifecycle of one of this node's slots. Returns once it is applied. */
  async appendLifecycle(slot: number, entry: LifecycleEntry): Promise<void> {
    await this.appendOwn(slot, encodeEntry(entry));
    if (entry.kind === 'completed' || entry.kind === 'tail-lost') this.#newSlots.delete(slot);
  }

  /** Returns the slot that has a DID or a handle now, of this node or not. */
  slotOf(key: string): number {
    return this.#slotNow(slotOf(key, this.#map().slots));
  }

  /** Returns a slot; of a child that is not there yet its parent. */
  #slotNow(slot: number): number {
    const { isDoubling, slots } = this.#map();
    const isAhead = isDoubling && slot >= slots / 2 && this.#linkFor(slot) === undefined;
    return isAhead && this.#linkFor(slot - slots / 2) !== undefined ? slot - slots / 2 : slot;
  }

  #isNew(slot: number): boolean {
    if (!this.#newSlots.has(slot)) return false;
    // While this node was a replica, its primary may have said that it is complete.
    if (isNew(freshState(this.#readers, slot))) return true;
    this.#newSlots.delete(slot);
    return false;
  }

  #isPrimaryOf(slot: number): boolean {
    return this.#map().primaryBySlot[slot] === this.#node;
  }

  #replicaError(slot: number): DataPlaneError {
    const primary = this.#map().primaryBySlot[slot];
    return new DataPlaneError('WrongEpoch', `this node is a replica of slot ${slot}, whose primary is ${primary}`);
  }

  /** Appends an entry to a slot, and returns once it is applied and this thread's reads see it. */
  async appendOwn(slot: number, entry: Uint8Array): Promise<void> {
    const link = this.#linkOf(slot);
    if (!this.#isPrimaryOf(slot)) throw this.#replicaError(slot);
    const writer = new ByteWriter(entry.length + 32);
    writeChunk(writer, { slot, origin: null, items: [entry], marks: [] });
    const [outcome] = decodeOutcomes(await link.append(encodeAppend([writer.finish()]), true), 1);
    if (outcome?.status === 'refused') throw errorFromPeer('the apply thread', outcome.code, outcome.message);
    this.#readers.get(slot)?.environment.refreshReads();
  }

  /** Answers with the digest of a slot. */
  async digest(payload: Uint8Array): Promise<Uint8Array> {
    const { slot } = digestRequest.decode(payload);
    return digestAnswer.encode({ slot, ...(await this.#linkOf(slot).digest(slot)) });
  }

  /** Begins the compaction of a slot, or looks at it. */
  async compact(payload: Uint8Array): Promise<Uint8Array> {
    const { slot, action } = compactRequest.decode(payload);
    return compactAnswer.encode(await this.#linkOf(slot).compact(slot, action));
  }

  #linkOf(slot: number): ApplyLink {
    const link = this.#linkFor(slot);
    if (link === undefined) throw new DataPlaneError('WrongEpoch', `slot ${slot} is not served here`);
    return link;
  }
}
