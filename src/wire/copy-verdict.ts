/** What a comparison of the copies of a slot says, and what an operator does about it. Pure. */
import type { VerifiedCopy } from './slot-verify.ts';

export type CopyVerdict = {
  /** `unknown`: fewer than two copies could be compared. */
  readonly result: 'equal' | 'different' | 'unknown';
  /** Those that are equal: more than half of what could be compared, or none. */
  readonly nodes: readonly string[];
  /** Those that differ from `nodes`, or cannot be read. */
  readonly odd: readonly string[];
  /** Commands for the operator, in order. */
  readonly todo: readonly string[];
};

/** Returns the commands that renew these copies from the others. */
function renewals(slot: number, odd: readonly VerifiedCopy[], good: readonly VerifiedCopy[]): string[] {
  const primary = odd.find(({ role }) => role === 'primary');
  const promotion =
    primary === undefined
      ? []
      : [
          `skyshard promote ${good[0]!.node} --all-from ${primary.node} (its copy is right, that of the primary is not)`,
        ];
  return [...promotion, ...odd.map(({ node }) => `skyshard replica rebuild ${node} ${slot}`)];
}

export function copyVerdict(slot: number, copies: readonly VerifiedCopy[]): CopyVerdict {
  const compared = copies.filter(({ digest }) => digest !== null);
  const damaged = copies.filter(({ damage }) => damage !== '');
  const groups = [...Map.groupBy(compared, ({ digest }) => digest).values()].sort((a, b) => b.length - a.length);
  const [largest = []] = groups;
  const namesOf = (some: readonly VerifiedCopy[]): string[] => some.map(({ node }) => node);
  if (groups.length > 1 && largest.length * 2 <= compared.length) {
    const [first, ...others] = compared;
    const asked = `\`skyshard repo diff <did>\` of accounts of slot ${slot} shows whether that of ${first!.node} is right`;
    const todo = [
      `one copy is damaged, and they do not say which: ${asked}`,
      `if it is: ${renewals(slot, others, [first!]).join('; ')}`,
      `if it is not: ${renewals(slot, [first!], others).join('; ')}`,
    ];
    return { result: 'different', nodes: [], odd: namesOf([...compared, ...damaged]), todo };
  }
  const odd = [...compared.filter((copy) => !largest.includes(copy)), ...damaged];
  if (odd.length > 0 && largest.length > 0)
    return { result: 'different', nodes: namesOf(largest), odd: namesOf(odd), todo: renewals(slot, odd, largest) };
  if (odd.length === 0 && compared.length > 1) return { result: 'equal', nodes: namesOf(compared), odd: [], todo: [] };
  const todo = ['run it again once all copies answer, and are as new as their logs'];
  return { result: 'unknown', nodes: namesOf(compared), odd: namesOf(odd), todo };
}
