/** Applies the intended differences to requests, answers and refusals. */
import type { RawBuilder } from 'kysely';
import type { Outcome } from './ask.ts';
import { type Difference, intendedDifferences } from './differences.ts';
import type { Facts } from './facts.ts';
import type { Answer, MethodRow, Request } from './method-row.ts';

/** The differences that concern a row. */
function differencesOf({ method }: MethodRow): readonly Difference[] {
  return intendedDifferences.filter(({ methods }) => methods?.includes(method) ?? true);
}

/** True when our refusal counts as equal to the official one. */
export function isSameRefusal(official: Outcome & { ok: false }, other: Outcome & { ok: false }): boolean {
  const accepted = intendedDifferences.flatMap(({ refusals }) => refusals?.[official.code] ?? []);
  return official.code === other.code || accepted.includes(other.code);
}

/** True when both planes should give the same answer to a request. */
export function isComparable(row: MethodRow, request: Request, facts: Facts): boolean {
  return differencesOf(row).every(({ skips }) => skips?.(request, facts) !== true);
}

/** Returns the items that both planes should return. */
export function comparableItems(row: MethodRow, items: readonly unknown[], facts: Facts): readonly unknown[] {
  const differences = differencesOf(row);
  const kept = items.filter((item) => differences.every(({ leavesOut }) => leavesOut?.(item, facts) !== true));
  return differences.reduce<readonly unknown[]>((left, { reduces }) => reduces?.(left) ?? left, kept);
}

/** True for methods of which only one whole page of the official plane is a reference. */
export function officialWalksLoseItems(row: MethodRow): boolean {
  return differencesOf(row).some(({ losesItems }) => losesItems === true);
}

/** Returns what of an unpaged answer both planes should give. */
export function comparableAnswer(row: MethodRow, answer: Answer, facts: Facts, request: Request): unknown {
  const shown = differencesOf(row).reduce((left, { shows }) => shows?.(left, facts, request) ?? left, answer);
  return row.normalise?.(shown, facts, request) ?? shown;
}

/** True when a failure of the official plane is intended to be none of ours. */
export function mayOfficialFail(row: MethodRow): boolean {
  return differencesOf(row).some(({ officialMayFail }) => officialMayFail === true);
}

/** Returns the repairs of the official plane's tables, in order. */
export function officialMends(): readonly RawBuilder<unknown>[] {
  return intendedDifferences.flatMap(({ mend }) => mend ?? []);
}

/** True for records that the oracle requests. */
export function isAskedFor(collection: string, rkey: string): boolean {
  return intendedDifferences.every(({ ignores }) => ignores?.(collection, rkey) !== true);
}
