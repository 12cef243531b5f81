/**
 * What a serving thread remembers of whom viewers follow, for their timelines: split into those whom this node serves and the others.
 *
 * Viewers ask for timelines again and again, and reading and hashing hundreds of follows costs more than the rest of the answer. Owns: bounds by
 * bytes (two tables, of which the older is emptied when the younger is full), and forgetting what a commit changed, after this thread's
 * reads were refreshed.
 */

import { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotFollows } from '../../wire/feed-messages.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { writeFollowedDids } from '../lookup/followed-dids.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { PlaceTable } from './did-table.ts';

/** Viewers remembered by default. */
const viewersCachedDefault = 40_000;
/** Follows beyond this are left to later calls. Units: DIDs. */
const followsPageMax = 20_000;
/** Bytes in one of the two tables by default: about four thousand viewers with 500 follows each. */
const tableBytesDefault = 64 * 2 ** 20;

/** Followed authors whom this node serves: DIDs at `texts[starts[i]..ends[i])`, and where a feed cache has put them. */
export type LocalFollows = {
  readonly texts: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Places in the table of a FeedCache while it is of this generation; -1 for unknown ones. */
  readonly places: Int32Array;
  generation: number;
};

/** Whom a viewer follows, the viewer left out. */
export type ViewerFollows = {
  readonly local: LocalFollows;
  readonly elsewhere: readonly SlotFollows[];
  /** Counts both. */
  readonly followCount: number;
  readonly isFollowingSelf: boolean;
  /** Token of the follows that come after these, '' when there are none. */
  readonly next: string;
};

/** Collects length-delimited texts of one slot. */
type Group = { count: number; parts: Buffer[] };

function addTo(groups: Map<number, Group>, slot: number, part: Buffer): void {
  const group = groups.get(slot);
  if (group === undefined) groups.set(slot, { count: 1, parts: [part] });
  else {
    group.count++;
    group.parts.push(part);
  }
}

/** Returns follows of this node, given as length-delimited texts. */
export function localFollows(parts: readonly Buffer[]): LocalFollows {
  const texts = Buffer.concat(parts);
  const starts = new Int32Array(parts.length);
  const ends = new Int32Array(parts.length);
  const reader = peerReader(texts, 'follows');
  for (let index = 0; index < parts.length; index++) {
    starts[index] = reader.lengthDelimitedRange();
    ends[index] = reader.position;
  }
  return { texts, starts, ends, places: new Int32Array(parts.length).fill(-1), generation: -1 };
}

/** Units: bytes that what is remembered of a viewer takes. */
function bytesOf({ local, elsewhere }: ViewerFollows): number {
  const own = local.texts.length + 12 * local.starts.length + 512;
  return elsewhere.reduce((total, { texts }) => total + texts.length + 128, own);
}

/** Finds whom viewers follow. */
export class TimelineFollows {
  readonly #lookup: SlotLookup;
  readonly #tableBytes: number;
  readonly #texts = new MessageWriter();
  #young: PlaceTable<ViewerFollows>;
  #old: PlaceTable<ViewerFollows>;
  #youngBytes = 0;

  constructor(lookup: SlotLookup, viewersMax = viewersCachedDefault, tableBytes = tableBytesDefault) {
    this.#lookup = lookup;
    this.#tableBytes = tableBytes;
    const each = Math.max(1, Math.floor(viewersMax / 2));
    this.#young = new PlaceTable(each);
    this.#old = new PlaceTable(each);
  }

  /** Returns whom a viewer of this node follows; undefined for one that its slot does not know. Errors: DataPlaneError `WrongEpoch`. */
  of(did: string): ViewerFollows | undefined {
    const viewer = Buffer.from(did);
    const place = this.#young.placeOf(viewer, 0, viewer.length);
    const known = place < 0 ? undefined : this.#young.valueAt(place);
    return known ?? this.#learn(did, viewer, place >= 0);
  }

  #learn(did: string, viewer: Buffer, hasPlace: boolean): ViewerFollows | undefined {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const old = hasPlace ? -1 : this.#old.placeOf(viewer, 0, viewer.length);
    const follows = (old < 0 ? undefined : this.#old.valueAt(old)) ?? this.#read(did, viewer);
    if ((!hasPlace && this.#young.isFull) || this.#youngBytes > this.#tableBytes) {
      const emptied = this.#old;
      this.#old = this.#young;
      this.#young = emptied;
      this.#youngBytes = 0;
      emptied.clear();
    }
    this.#youngBytes += bytesOf(follows);
    this.#young.set({ did, slot: state.index, owner }, follows);
    return follows;
  }

  #read(did: string, viewer: Buffer): ViewerFollows {
    const texts = this.#texts.clear();
    const { count, next } = writeFollowedDids(texts, this.#lookup.stateOf(did), did, '', followsPageMax);
    const bytes = Buffer.from(texts.buffer.subarray(0, texts.length));
    const reader = peerReader(bytes, 'follows');
    const local: Buffer[] = [];
    const groups = new Map<number, Group>();
    let followCount = 0;
    let isFollowingSelf = false;
    for (let index = 0; index < count; index++) {
      const from = reader.position;
      const start = reader.lengthDelimitedRange();
      const end = reader.position;
      if (viewer.equals(bytes.subarray(start, end))) {
        isFollowingSelf = true;
        continue;
      }
      followCount++;
      const slot = this.#lookup.slotOfBytes(bytes, start, end);
      const part = bytes.subarray(from, end);
      if (this.#lookup.serves(slot)) local.push(part);
      else addTo(groups, slot, part);
    }
    const elsewhere = [...groups].map(([slot, { count: each, parts }]) => ({
      slot,
      count: each,
      texts: Buffer.concat(parts),
    }));
    return { local: localFollows(local), elsewhere, followCount, isFollowingSelf, next };
  }

  /** Forgets what a commit changed. */
  forget(slot: number, owners: readonly number[]): void {
    for (const owner of owners) {
      this.#young.forget(slot, owner);
      this.#old.forget(slot, owner);
    }
  }
}
