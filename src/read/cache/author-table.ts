/**
 * Authors with their newest feed items. Their times stand in one flat array, so that passing over an author costs a look or two at memory.
 */
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { FeedRun } from '../lookup/feed-run.ts';
import { PlaceTable } from './did-table.ts';

/** Newest items kept for each author. */
export const itemsPerAuthor = 24;

/** One author as the table knows it. */
export type KnownAuthor = {
  readonly did: string;
  /** What its URIs begin with: their order as text is the order of authors. */
  readonly uriHead: string;
  readonly state: SlotState;
  readonly owner: number;
  readonly run: FeedRun;
};

/** Authors up to a number that is set once. */
export class AuthorTable {
  readonly places: PlaceTable<KnownAuthor>;
  /** Times of each author's items, newest first, by place. Units: ms. */
  readonly times: Float64Array;
  /** How many of them there are, by place. */
  readonly counts: Uint8Array;
  /** No item of an author is newer, by place: +Infinity while that is not known. Units: ms. */
  readonly newestMs: Float64Array;

  constructor(max: number) {
    this.places = new PlaceTable(max);
    this.times = new Float64Array(max * itemsPerAuthor);
    this.counts = new Uint8Array(max);
    this.newestMs = new Float64Array(max);
  }

  /** Sets what is known of an author. Shape: the table is not full, or holds the author. */
  set(author: KnownAuthor): number {
    const { did, owner, state, run } = author;
    const place = this.places.set({ did, slot: state.index, owner }, author);
    this.counts[place] = run.sortMs.length;
    this.times.set(run.sortMs, place * itemsPerAuthor);
    this.newestMs[place] = run.sortMs[0] ?? (run.next === null ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY);
    return place;
  }

  /** Forgets what is known of an author; its place stays. */
  forget(slot: number, owner: number): void {
    const place = this.places.forget(slot, owner);
    if (place >= 0) this.newestMs[place] = Number.POSITIVE_INFINITY;
  }
}
