/**
 * What a serving thread remembers of authors' newest feed items, for timelines.
 *
 * A timeline asks hundreds of authors for items newer than most of them have; a look at an array answers that where a range scan costs
 * a hundred times as much. Owns: bounds (two tables, of which the older is emptied when the younger is full), and forgetting what a
 * commit touched. Filled from the newest commit only: whoever calls `forget` has refreshed this thread's reads first, so that what is
 * read afterwards is not older than what was forgotten.
 */

import { readFeedRun } from '../lookup/feed-run.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { AuthorTable, itemsPerAuthor } from './author-table.ts';

/** Authors remembered by default. One takes one to three kilobytes. */
const authorsCachedDefault = 60_000;

export class FeedCache {
  readonly #lookup: SlotLookup;
  #young: AuthorTable;
  #old: AuthorTable;
  /** Rises whenever `table` is another one, whose places are others. */
  generation = 0;

  constructor(lookup: SlotLookup, authorsMax = authorsCachedDefault) {
    this.#lookup = lookup;
    const each = Math.max(1, Math.floor(authorsMax / 2));
    this.#young = new AuthorTable(each);
    this.#old = new AuthorTable(each);
  }

  /** The table that `placeOf` speaks of. */
  get table(): AuthorTable {
    return this.#young;
  }

  /**
   * Returns where the author at `source[start..end)` stands in `table`, with its newest items; -1 for one that its slot does not know.
   *
   * Shape: the next call may replace the table. Errors: DataPlaneError `WrongEpoch`.
   */
  placeOf(source: Buffer, start: number, end: number): number {
    const place = this.#young.places.placeOf(source, start, end);
    if (place >= 0 && this.#young.places.valueAt(place) !== undefined) return place;
    return this.#fill(source, start, end, place >= 0);
  }

  #fill(source: Buffer, start: number, end: number, hasPlace: boolean): number {
    const old = this.#old.places.placeOf(source, start, end);
    const remembered = old < 0 || hasPlace ? undefined : this.#old.places.valueAt(old);
    const author = remembered ?? this.#read(source.latin1Slice(start, end));
    if (author === undefined) return -1;
    if (!hasPlace && this.#young.places.isFull) {
      const emptied = this.#old;
      this.#old = this.#young;
      this.#young = emptied;
      emptied.places.clear();
      this.generation++;
    }
    return this.#young.set(author);
  }

  #read(did: string) {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    return { did, uriHead: `at://${did}/`, state, owner, run: readFeedRun(state, owner, null, null, itemsPerAuthor) };
  }

  /** True when an author's items are remembered. */
  has(source: Buffer, start: number, end: number): boolean {
    return [this.#young, this.#old].some(({ places }) => {
      const place = places.placeOf(source, start, end);
      return place >= 0 && places.valueAt(place) !== undefined;
    });
  }

  /** Forgets what a commit changed. */
  forget(slot: number, owners: readonly number[]): void {
    for (const owner of owners) {
      this.#young.forget(slot, owner);
      this.#old.forget(slot, owner);
    }
  }
}
