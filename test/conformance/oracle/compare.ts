/** Asks two planes the same questions and says where their answers differ. */
import { isDeepStrictEqual } from 'node:util';
import type { DataPlaneClient } from '@atproto/bsky';
import { ask, type Outcome, type Walk, walk } from './ask.ts';
import { comparableItems, isComparable, isSameRefusal, officialWalksLoseItems, withoutUnbuilt } from './differences.ts';
import type { Facts } from './facts.ts';
import type { Answer, MethodRow, Paging, Request } from './method-row.ts';
import { sortTies } from './sort-ties.ts';

/** The two planes: the official one is the reference. */
export interface Contest {
  readonly official: DataPlaneClient;
  readonly other: DataPlaneClient;
  /** Set when the other is official too, to prove the oracle on itself. */
  readonly otherIsOfficial: boolean;
  readonly rename: Rename;
}

/** Replaces DIDs and URIs by the names that the seeds gave them, so that people can read a mismatch. */
export type Rename = (text: string) => string;

/** What came of one row of the table. */
export interface RowReport {
  readonly askedCount: number;
  readonly filledCount: number;
  readonly refusedCount: number;
  /** Readable descriptions of the answers that differ. */
  readonly mismatches: readonly string[];
}

const wholeLimit = 1000;
const shortLimits = [50, 3, 1] as const;
/** Walks with short pages are long; so many of a row's requests with data are walked. */
const shortWalksMax = 10;
const shortWalkItemsMax = 90;
const badTokens = ['bad', '!!!', ' '] as const;
const concurrentMax = 4;
const shownCharactersMax = 900;

interface Tally {
  asked: number;
  filled: number;
  refused: number;
  shortWalks: number;
  readonly mismatches: string[];
}

/** Asks all questions of one row. */
export async function compareRow(row: MethodRow, facts: Facts, contest: Contest): Promise<RowReport> {
  const tally: Tally = { asked: 0, filled: 0, refused: 0, shortWalks: 0, mismatches: [] };
  const requests = row.requests(facts).filter((request) => isComparable(row, request, facts));
  for (let start = 0; start < requests.length; start += concurrentMax) {
    const some = requests.slice(start, start + concurrentMax);
    await Promise.all(some.map((request) => compareOne(row, request, facts, contest, tally)));
  }
  const { paging } = row;
  if (paging !== undefined) await compareOddPages(row, requests[0]!, contest, tally);
  const { asked: askedCount, filled: filledCount, refused: refusedCount, mismatches } = tally;
  const readableMismatches = mismatches.map((mismatch) => readable(mismatch, contest.rename));
  return { askedCount, filledCount, refusedCount, mismatches: readableMismatches };
}

async function compareOne(
  row: MethodRow,
  request: Request,
  facts: Facts,
  contest: Contest,
  tally: Tally,
): Promise<void> {
  tally.asked += 1;
  const full = row.paging === undefined ? request : { ...request, limit: wholeLimit };
  const [official, other] = await Promise.all([
    ask(contest.official, row.method, full),
    ask(contest.other, row.method, full),
  ]);
  if (!official.ok || !other.ok) {
    tally.refused += 1;
    const same = !official.ok && !other.ok && isSameRefusal(official, other);
    if (!same) tally.mismatches.push(describe(row, request, official, other));
    return;
  }
  if (row.isFilled(official.answer)) tally.filled += 1;
  if (row.paging === undefined) {
    const normalise = (answer: Answer): unknown => {
      const normal = row.normalise?.(answer, facts, request) ?? answer;
      return contest.otherIsOfficial ? normal : withoutUnbuilt(row, normal);
    };
    compareValues(row, request, normalise(official.answer), normalise(other.answer), tally);
    return;
  }
  const itemsOf = (answer: Answer): readonly unknown[] => (answer[row.paging!.field] ?? []) as unknown[];
  const reference = itemsOf(official.answer);
  compareItems(row, { ...request, limit: wholeLimit }, reference, itemsOf(other.answer), facts, tally);
  if (reference.length > 0) await compareWalks(row, row.paging, request, reference, facts, contest, tally);
}

async function compareWalks(
  row: MethodRow,
  paging: Paging,
  request: Request,
  whole: readonly unknown[],
  facts: Facts,
  contest: Contest,
  tally: Tally,
): Promise<void> {
  if (contest.otherIsOfficial && officialWalksLoseItems.has(row.method)) return;
  const [usual, ...shorter] = shortLimits;
  const short = tally.shortWalks < shortWalksMax && whole.length <= shortWalkItemsMax;
  if (short) tally.shortWalks += 1;
  for (const limit of short ? [usual, ...shorter] : [usual]) {
    const asked = { ...request, limit };
    const other = await walk(contest.other, row.method, request, paging.field, limit);
    let reference = whole;
    if (paging.compare === 'same limit') {
      const official = await walk(contest.official, row.method, request, paging.field, limit);
      if (!official.ok) throw new Error(`the official plane refused ${JSON.stringify(asked)}: ${official.message}`);
      reference = official.pages.flat();
    }
    if (!other.ok) {
      tally.mismatches.push(describe(row, asked, reference, other));
      continue;
    }
    compareItems(row, asked, reference, other.pages.flat(), facts, tally);
    if (paging.compare === 'whole') checkPageSizes(row, paging, asked, other, limit, tally);
  }
}

/** Every page but the last is full, and only an empty answer has an empty page, where paging does not say otherwise. */
function checkPageSizes(
  row: MethodRow,
  paging: Paging,
  request: Request,
  walked: Walk & { ok: true },
  limit: number,
  tally: Tally,
): void {
  const sizes = walked.pages.map((page) => page.length);
  const isRight = sizes.every((size, index) =>
    index < sizes.length - 1 ? size === limit : size > 0 || index === 0 || paging.mayEndEmpty === true,
  );
  if (!isRight) tally.mismatches.push(`${nameOf(row)} ${JSON.stringify(request)}: pages of ${sizes.join(', ')} items`);
}

async function compareOddPages(row: MethodRow, request: Request, contest: Contest, tally: Tally): Promise<void> {
  const odd = [{ ...request, limit: 0 }, ...badTokens.map((cursor) => ({ ...request, limit: 5, cursor }))];
  for (const asked of odd) {
    const official = await ask(contest.official, row.method, asked);
    const other = await ask(contest.other, row.method, asked);
    if (official.ok && other.ok) compareValues(row, asked, official.answer, other.answer, tally);
    else if (official.ok || other.ok || !isSameRefusal(official, other)) {
      tally.mismatches.push(describe(row, asked, official, other));
    }
  }
}

function compareItems(
  row: MethodRow,
  request: Request,
  official: readonly unknown[],
  other: readonly unknown[],
  facts: Facts,
  tally: Tally,
): void {
  const timeMs = (item: unknown): number | undefined => facts.sortedAtMsByUri.get(row.paging!.sortUri(item));
  const inOrder = (items: readonly unknown[]): readonly unknown[] =>
    sortTies(comparableItems(row, items, facts), timeMs, (item) => JSON.stringify(item));
  compareValues(row, request, inOrder(official), inOrder(other), tally);
}

function compareValues(row: MethodRow, request: Request, official: unknown, other: unknown, tally: Tally): void {
  if (isDeepStrictEqual(official, other)) return;
  if (Array.isArray(official) && Array.isArray(other)) {
    const onlyOfficial = official.filter((item) => !other.some((same) => isDeepStrictEqual(same, item)));
    const onlyOther = other.filter((item) => !official.some((same) => isDeepStrictEqual(same, item)));
    if (onlyOfficial.length + onlyOther.length > 0) {
      tally.mismatches.push(`${describe(row, request, onlyOfficial, onlyOther)}\n  at items that only one of them has`);
      return;
    }
  }
  const { path, a, b } = firstDifference(official, other);
  tally.mismatches.push(`${describe(row, request, a, b)}\n  at ${path}`);
}

function describe(row: MethodRow, request: Request, official: Outcome | unknown, other: Outcome | unknown): string {
  const show = (value: unknown): string => JSON.stringify(value) ?? 'undefined';
  return `${nameOf(row)} ${show(request)}\n  official ${show(official)}\n  other    ${show(other)}`;
}

/** Cuts the long lines of a description, after the names have made them shorter. */
function readable(mismatch: string, rename: Rename): string {
  return rename(mismatch)
    .split('\n')
    .map((line) => line.slice(0, shownCharactersMax))
    .join('\n');
}

/** Names a row for people. */
export function nameOf(row: MethodRow): string {
  return row.variant === undefined ? row.method : `${row.method} (${row.variant})`;
}

function firstDifference(a: unknown, b: unknown, path = '$'): { path: string; a: unknown; b: unknown } {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return { path, a, b };
  if (Array.isArray(a) !== Array.isArray(b)) return { path, a, b };
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) return { path: `${path}.length`, a, b };
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (!isDeepStrictEqual(left[key], right[key])) return firstDifference(left[key], right[key], `${path}.${key}`);
  }
  return { path, a, b };
}
