/**
 * Caches whom viewers follow, split into those whom this node serves and the others.
 *
 * Viewers read their timelines often, and reading and hashing hundreds of follows costs more than
 * the rest of the answer.
 */
import { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotFollowList } from '../../wire/feed-messages.ts';
import { followsPageLimit } from '../../wire/follows-messages.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { writeFollowedDids } from '../lookup/followed-dids.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { GenerationalCache } from './generational-cache.ts';

/** A page without its DIDs. */
export const emptyPageBytes = 1536;
/** A list of one slot of another node, without its DIDs. */
const groupBytes = 192;

/** DIDs of this node at `texts[starts[i]..ends[i])`, and their indexes in a FeedCache. */
export type LocalDidList = {
  readonly texts: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Valid in `generation` of the FeedCache; -1 where unknown. */
  readonly indexes: Int32Array;
  generation: number;
  /** The limit of the latest first page of these DIDs' items, and when it ended. Units: ms. */
  pageLimit: number;
  pageEndMs: number;
};

/**
 * The first page of the DIDs that a viewer follows, without the viewer itself, or of a list's
 * members.
 */
export type CachedDidPage = {
  readonly local: LocalDidList;
  readonly elsewhere: readonly SlotFollowList[];
  /** Counts both. */
  readonly didCount: number;
  readonly isFollowingSelf: boolean;
  /** Token of the next page, '' on the last. */
  readonly next: string;
};

/** Length-delimited DIDs of one slot. */
type Group = { count: number; parts: Buffer[] };

function addTo(groups: Map<number, Group>, slot: number, part: Buffer): void {
  const group = groups.get(slot);
  if (group === undefined) groups.set(slot, { count: 1, parts: [part] });
  else {
    group.count++;
    group.parts.push(part);
  }
}

/** Returns the list of some length-delimited DIDs. */
export function localDidListOf(parts: readonly Buffer[]): LocalDidList {
  const texts = Buffer.concat(parts);
  const starts = new Int32Array(parts.length);
  const ends = new Int32Array(parts.length);
  const reader = peerReader(texts, 'follows');
  for (let index = 0; index < parts.length; index++) {
    starts[index] = reader.lengthDelimitedRange();
    ends[index] = reader.position;
  }
  const indexes = new Int32Array(parts.length).fill(-1);
  return { texts, starts, ends, indexes, generation: -1, pageLimit: 0, pageEndMs: Number.NEGATIVE_INFINITY };
}

/** Splits a page of length-delimited DIDs, without `except`, who may follow itself. */
export function didPageOf(
  lookup: SlotLookup,
  bytes: Buffer,
  { count, next }: { readonly count: number; readonly next: string },
  except: Buffer | null,
): CachedDidPage {
  const reader = peerReader(bytes, 'follows');
  const local: Buffer[] = [];
  const groups = new Map<number, Group>();
  let didCount = 0;
  let isFollowingSelf = false;
  for (let index = 0; index < count; index++) {
    const from = reader.position;
    const start = reader.lengthDelimitedRange();
    const end = reader.position;
    if (except?.equals(bytes.subarray(start, end))) {
      isFollowingSelf = true;
      continue;
    }
    didCount++;
    const slot = lookup.slotOfBytes(bytes, start, end);
    const part = bytes.subarray(from, end);
    if (lookup.serves(slot)) local.push(part);
    else addTo(groups, slot, part);
  }
  const elsewhere = [...groups].map(([slot, { count: each, parts }]) => ({
    slot,
    count: each,
    texts: Buffer.concat(parts),
  }));
  return { local: localDidListOf(local), elsewhere, didCount, isFollowingSelf, next };
}

/** Returns the memory that a page takes. */
export function didPageBytes({ local, elsewhere }: CachedDidPage): number {
  const own = emptyPageBytes + local.texts.length + 12 * local.starts.length;
  return elsewhere.reduce((total, { texts }) => total + groupBytes + texts.length, own);
}

export class FollowCache {
  /** Of all serving threads of a node: about eight thousand viewers with 500 follows each. */
  static readonly capacityBytes = 128 * 2 ** 20;
  readonly #lookup: SlotLookup;
  readonly #texts = new MessageWriter();
  readonly cache: GenerationalCache<CachedDidPage>;

  constructor(lookup: SlotLookup, capacityBytes: number) {
    this.#lookup = lookup;
    this.cache = new GenerationalCache({ capacityBytes, valueBytesMin: emptyPageBytes });
  }

  /** Returns undefined for an unknown viewer. Errors: DataPlaneError `WrongEpoch`. */
  get(did: string): CachedDidPage | undefined {
    const viewer = Buffer.from(did);
    return this.cache.get(viewer, 0, viewer.length) ?? this.#fill(did, viewer);
  }

  #fill(did: string, viewer: Buffer): CachedDidPage | undefined {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const follows = this.#read(did, viewer);
    this.cache.set({ did, slot: state.index, owner }, follows, didPageBytes(follows));
    return follows;
  }

  #read(did: string, viewer: Buffer): CachedDidPage {
    const texts = this.#texts.clear();
    const { count, next } = writeFollowedDids(texts, this.#lookup.stateOf(did), did, '', followsPageLimit);
    return didPageOf(this.#lookup, Buffer.from(texts.buffer.subarray(0, texts.length)), { count, next }, viewer);
  }
}
