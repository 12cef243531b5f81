/**
 * Authors with their newest feed items. Their times stand in one flat array, so that passing over an author costs a look or two at memory.
 */
import type { SlotState } from '../slot-state.ts';
import type { FeedRun } from './feed-run.ts';
import { PlaceTable } from './place-table.ts';

/** Newest items kept for each author. */
export const itemsPerAuthor = 24;

/** One author as the table knows it. */
export type KnownAuthor = {
  readonly did: string;
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

  constructor(max: number) {
    this.places = new PlaceTable(max);
    this.times = new Float64Array(max * itemsPerAuthor);
    this.counts = new Uint8Array(max);
  }

  /** Sets what is known of an author. Shape: the table is not full, or holds the author. */
  set(author: KnownAuthor): number {
    const { did, owner, state, run } = author;
    const place = this.places.set({ did, slot: state.index, owner }, author);
    this.counts[place] = run.sortMs.length;
    this.times.set(run.sortMs, place * itemsPerAuthor);
    return place;
  }
}
