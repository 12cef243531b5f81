import type { DataPlaneClient } from '@atproto/bsky';
import type { Facts } from './facts.ts';

/** A method of `bsky.Service` by the name that the generated client gives it. */
export type MethodName = Extract<keyof DataPlaneClient, string>;

/** The message of a request, as plain fields. */
export type Request = Readonly<Record<string, unknown>>;

/** An answer in protobuf's JSON form, its JSON-in-bytes fields decoded. */
export type Answer = Readonly<Record<string, unknown>>;

/** How a paged method is walked and compared. */
export interface Paging {
  /** The repeated field that holds the items. */
  readonly field: string;
  /** The record whose time decides an item's place; items of equal times may come in any order. */
  readonly sortUri: (item: unknown) => string;
  /**
   * `whole`: every walk must give the items that the official plane gives in one page.
   * `same limit`: the composition of a page is part of the semantics, so walks are compared limit by limit.
   */
  readonly compare: 'whole' | 'same limit';
  /** Set where only reading on tells whether another item matches, so that a full last page may be followed by an empty one. */
  readonly mayEndEmpty?: boolean;
}

/** One row of the oracle's table: a method, what to ask it, and what of the answers to compare. */
export interface MethodRow {
  readonly method: MethodName;
  /** Tells rows of one method apart. */
  readonly variant?: string;
  readonly requests: (facts: Facts) => readonly Request[];
  readonly paging?: Paging;
  /** Brings an answer into the form that must be equal on both planes. */
  readonly normalise?: (answer: Answer, facts: Facts, request: Request) => unknown;
  /** Says whether an answer holds data; at least one answer of the row must. */
  readonly isFilled: (answer: Answer) => boolean;
  /** For methods that answer nothing before the private writes are made, or never. */
  readonly mayBeEmpty?: 'before private writes' | 'always';
}

const batchSize = 25;

/** Asks for nothing, one, all in pages of 25, all at once with repeats, and unknown ones among known ones. */
export function batches(known: readonly string[], unknown: readonly string[]): (readonly string[])[] {
  const chunks: (readonly string[])[] = [];
  for (let start = 0; start < known.length; start += batchSize) chunks.push(known.slice(start, start + batchSize));
  const some = known.slice(0, 5);
  const mixed = [...unknown, ...some, ...unknown, ...some.toReversed()];
  return [[], known.slice(0, 1), unknown, ...chunks, [...known, ...some], mixed];
}

/** Says whether some entry of a repeated field is neither empty, zero nor absent. */
export function someOf(field: string): (answer: Answer) => boolean {
  return (answer) => {
    const values = answer[field];
    return Array.isArray(values) && values.some((value) => value !== '' && value !== 0 && value !== undefined);
  };
}

/** Gives a repeated field of an answer, empty when absent. */
export function listOf(answer: Answer, field: string): readonly unknown[] {
  const values = answer[field];
  return Array.isArray(values) ? values : [];
}
