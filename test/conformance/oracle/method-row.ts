/** The rows of the oracle's table of methods, and the requests that many rows share. */
import type { DataPlaneClient } from '@atproto/bsky';
import type { Facts } from './facts.ts';

/** A method of `bsky.Service`, as named in the generated client. */
export type MethodName = Extract<keyof DataPlaneClient, string>;

/** The message of a request, as plain fields. */
export type Request = Readonly<Record<string, unknown>>;

/** An answer in protobuf's JSON form, its JSON-in-bytes fields decoded. */
export type Answer = Readonly<Record<string, unknown>>;

/** How a paged method is walked and compared. */
export interface Paging {
  /** The repeated field that holds the items. */
  readonly field: string;
  /** The record by whose time an item is sorted; items of equal times may be in any order. */
  readonly sortUri: (item: unknown) => string;
  /**
   * `whole`: every walk must return what the official plane returns in one page. `same limit`: the
   * limit changes what is returned, so walks are compared limit by limit.
   */
  readonly compare: 'whole' | 'same limit';
  /** Set where only the next page shows whether more items match, so that it may be empty. */
  readonly mayEndEmpty?: boolean;
}

/** A row of the oracle's table: a method, its requests, and what to compare. */
export interface MethodRow {
  readonly method: MethodName;
  /** Distinguishes rows of one method. */
  readonly variant?: string;
  readonly requests: (facts: Facts) => readonly Request[];
  readonly paging?: Paging;
  /**
   * Returns what the method's name and messages promise, for methods that the official plane does
   * not answer.
   */
  readonly promised?: (facts: Facts, request: Request) => Answer;
  /** Reduces an answer to what must be equal on both planes. */
  readonly normalise?: (answer: Answer, facts: Facts, request: Request) => unknown;
  /** True when an answer holds data; at least one answer of the row must. */
  readonly isFilled: (answer: Answer) => boolean;
  /** For methods that answer nothing before the private writes, or never. */
  readonly mayBeEmpty?: 'before private writes' | 'always';
}

const batchSize = 25;

/** Batches of none, one, unknown, 25 of many, all with repeats, and unknown among known ones. */
export function batches(known: readonly string[], unknown: readonly string[]): (readonly string[])[] {
  const chunks: (readonly string[])[] = [];
  if (known.length > batchSize)
    for (let start = 0; start < known.length; start += batchSize) chunks.push(known.slice(start, start + batchSize));
  const some = known.slice(0, 5);
  const mixed = [...unknown, ...some, ...unknown, ...some.toReversed()];
  return [[], known.slice(0, 1), unknown, ...chunks, [...known, ...some], mixed];
}

/** One request for each actor, and for unknown and malformed DIDs. */
export function eachActor(facts: Facts): readonly { readonly actorDid: string }[] {
  return [...facts.dids, ...facts.unknownDids, 'nonsense', ''].map((actorDid) => ({ actorDid }));
}

const actorsOfAllBatches = 8;

/**
 * Every batch for the actors with the most records, and for unknown and malformed DIDs; all at once
 * for the others.
 */
export function eachActorAndBatch(
  facts: Facts,
  known: readonly string[],
  unknown: readonly string[],
): readonly { readonly actorDid: string; readonly batch: readonly string[] }[] {
  const all = batches(known, unknown);
  const others = new Set(facts.dids.slice(actorsOfAllBatches));
  return eachActor(facts).flatMap(({ actorDid }) =>
    (others.has(actorDid) ? [known] : all).map((batch) => ({ actorDid, batch })),
  );
}

const pairedSample = 16;
/** Collections whose records relate actors. */
const relating = /\/app\.bsky\.graph\.(?:block|list|listblock|listitem)\//;

/** Actors whose pairs are asked about: those whom blocks and lists relate, and some others. */
export function pairedActors({ dids, recordByUri }: Facts): readonly string[] {
  const related = [...recordByUri].filter(([uri]) => relating.test(uri));
  const named = related.flatMap(([uri, { json }]) => `${uri} ${json}`.match(/did:[a-z]+:[\w.:%-]+/g) ?? []);
  const paired = new Set([...dids.slice(0, pairedSample), ...named]);
  return dids.filter((did) => paired.has(did));
}

/** Pairs of these actors, and of them with unknown and malformed DIDs. */
export function eachPair(facts: Facts): readonly Request[] {
  const dids = [...pairedActors(facts), facts.unknownDids[0]!, ''];
  return dids.flatMap((actorDid) => dids.map((targetDid) => ({ actorDid, targetDid })));
}

/** True when a repeated field has an item. */
export function anyIn(field: string): (answer: Answer) => boolean {
  return (answer) => listOf(answer, field).length > 0;
}

/** True when an entry of a repeated field is neither empty, zero nor absent. */
export function someOf(field: string): (answer: Answer) => boolean {
  return (answer) => {
    const values = answer[field];
    return Array.isArray(values) && values.some((value) => value !== '' && value !== 0 && value !== undefined);
  };
}

/** Returns a repeated field of an answer, empty when absent. */
export function listOf(answer: Answer, field: string): readonly unknown[] {
  const values = answer[field];
  return Array.isArray(values) ? values : [];
}
