/** Sends two planes the same requests and reports where their answers differ. */
import { isDeepStrictEqual } from 'node:util';
import type { DataPlaneClient } from '@atproto/bsky';
import {
  comparableAnswer,
  comparableItems,
  isComparable,
  isSameRefusal,
  mayOfficialFail,
  officialWalksLoseItems,
} from './apply-differences.ts';
import { ask, type Outcome, type Walk, walk } from './ask.ts';
import type { Facts } from './facts.ts';
import type { Answer, MethodRow, Paging, Request } from './method-row.ts';
import { sortTies } from './sort-ties.ts';

/** The two planes; the official one is the reference. */
export interface Contest {
  readonly official: DataPlaneClient;
  readonly other: DataPlaneClient;
  /** Set when the other is official too, to check the oracle itself. */
  readonly otherIsOfficial: boolean;
  readonly rename: Rename;
}

/** Replaces DIDs and URIs by their names in the seeds, for readable mismatches. */
export type Rename = (text: string) => string;

export interface RowReport {
  /** False when the plane under test does not serve the method. */
  readonly isBuilt: boolean;
  readonly askedCount: number;
  readonly filledCount: number;
  readonly refusedCount: number;
  /** Readable descriptions of the answers that differ. */
  readonly mismatches: readonly string[];
}

const wholeLimit = 1000;
const shortLimits = [50, 7, 2, 1] as const;
/** How many of a row's requests are walked with short pages, which takes long. */
const shortWalksMax = 10;
const shortWalkItemsMax = 90;
const badTokens = ['bad', '!!!', ' '] as const;
const concurrentMax = 4;
const shownCharactersMax = 900;

interface Tally {
  isBuilt: boolean;
  asked: number;
  filled: number;
  refused: number;
  shortWalks: number;
  readonly mismatches: string[];
}

/** What the comparisons of one row share. */
interface Comparison {
  readonly row: MethodRow;
  readonly facts: Facts;
  readonly contest: Contest;
  readonly tally: Tally;
}

/** Compares the answers to all requests of one row. */
export async function compareRow(row: MethodRow, facts: Facts, contest: Contest): Promise<RowReport> {
  const tally: Tally = { isBuilt: true, asked: 0, filled: 0, refused: 0, shortWalks: 0, mismatches: [] };
  const comparison: Comparison = { row, facts, contest, tally };
  if (row.promised !== undefined && contest.otherIsOfficial) tally.isBuilt = false;
  const requests = row.requests(facts).filter((request) => isComparable(row, request, facts));
  for (let start = 0; start < requests.length && tally.isBuilt; start += concurrentMax) {
    const some = requests.slice(start, start + concurrentMax);
    await Promise.all(some.map((request) => compareOne(comparison, request)));
  }
  if (row.paging !== undefined && row.promised === undefined && tally.isBuilt && requests.length > 0)
    await compareOddPages(comparison, requests[0]!);
  const { isBuilt, asked: askedCount, filled: filledCount, refused: refusedCount, mismatches } = tally;
  const readableMismatches = mismatches.map((mismatch) => readable(mismatch, contest.rename));
  return { isBuilt, askedCount, filledCount, refusedCount, mismatches: readableMismatches };
}

async function compareOne(comparison: Comparison, request: Request): Promise<void> {
  const { row, facts, contest, tally } = comparison;
  tally.asked += 1;
  const full = row.paging === undefined ? request : { ...request, limit: wholeLimit };
  const promised = row.promised?.(facts, request);
  const [official, other] = await Promise.all([
    promised === undefined ? ask(contest.official, row.method, full) : { ok: true as const, answer: promised },
    ask(contest.other, row.method, full),
  ]);
  if (!other.ok && other.code === 'Unimplemented') {
    tally.isBuilt = false;
    return;
  }
  if (!official.ok || !other.ok) {
    tally.refused += 1;
    const isExcused = !official.ok && other.ok && official.code === 'Internal' && mayOfficialFail(row);
    const same = isExcused || (!official.ok && !other.ok && isSameRefusal(official, other));
    if (!same) tally.mismatches.push(describe(row, request, official, other));
    return;
  }
  if (row.isFilled(official.answer)) tally.filled += 1;
  if (row.paging === undefined) {
    const comparable = (answer: Answer): unknown => comparableAnswer(row, answer, facts, request);
    compareValues(comparison, request, comparable(official.answer), comparable(other.answer));
    return;
  }
  const itemsOf = (answer: Answer): readonly unknown[] => (answer[row.paging!.field] ?? []) as unknown[];
  const reference = itemsOf(official.answer);
  compareItems(comparison, { ...request, limit: wholeLimit }, reference, itemsOf(other.answer));
  if (reference.length > 0) await compareWalks(comparison, row.paging, request, reference);
}

async function compareWalks(
  comparison: Comparison,
  paging: Paging,
  request: Request,
  whole: readonly unknown[],
): Promise<void> {
  const { row, contest, tally } = comparison;
  if (contest.otherIsOfficial && officialWalksLoseItems(row)) return;
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
    compareItems(comparison, asked, reference, other.pages.flat());
    if (paging.compare === 'whole') checkPageSizes(comparison, asked, other, limit);
  }
}

/** Pages but the last are full; only an empty answer has an empty page, except `mayEndEmpty`. */
function checkPageSizes(
  { row, tally }: Comparison,
  request: Request,
  walked: Walk & { ok: true },
  limit: number,
): void {
  const sizes = walked.pages.map((page) => page.length);
  const isRight = sizes.every((size, index) =>
    index < sizes.length - 1 ? size === limit : size > 0 || index === 0 || row.paging?.mayEndEmpty === true,
  );
  if (!isRight) tally.mismatches.push(`${nameOf(row)} ${JSON.stringify(request)}: pages of ${sizes.join(', ')} items`);
}

async function compareOddPages(comparison: Comparison, request: Request): Promise<void> {
  const { row, contest, tally } = comparison;
  const odd = [{ ...request, limit: 0 }, ...badTokens.map((cursor) => ({ ...request, limit: 5, cursor }))];
  for (const asked of odd) {
    const official = await ask(contest.official, row.method, asked);
    const other = await ask(contest.other, row.method, asked);
    if (official.ok && other.ok) compareValues(comparison, asked, official.answer, other.answer);
    else if (official.ok || other.ok || !isSameRefusal(official, other)) {
      tally.mismatches.push(describe(row, asked, official, other));
    }
  }
}

function compareItems(
  comparison: Comparison,
  request: Request,
  official: readonly unknown[],
  other: readonly unknown[],
): void {
  const { row, facts } = comparison;
  const timeMs = (item: unknown): number | undefined => facts.sortedAtMsByUri.get(row.paging!.sortUri(item));
  const inOrder = (items: readonly unknown[]): readonly unknown[] =>
    sortTies(comparableItems(row, items, facts), timeMs, (item) => JSON.stringify(item));
  compareValues(comparison, request, inOrder(official), inOrder(other));
}

function compareValues({ row, tally }: Comparison, request: Request, official: unknown, other: unknown): void {
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

/** Renames, then cuts lines that are still long. */
function readable(mismatch: string, rename: Rename): string {
  return rename(mismatch)
    .split('\n')
    .map((line) => line.slice(0, shownCharactersMax))
    .join('\n');
}

/** Returns a row's name for reports. */
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
