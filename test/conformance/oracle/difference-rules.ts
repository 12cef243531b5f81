/** What several intended differences have in common. */
import type { Facts } from './facts.ts';
import { type Answer, listOf, type Request } from './method-row.ts';

/** True for a follow of or by an actor that the official plane has not seen. */
export function isStranger(item: unknown, { dids }: Facts): boolean {
  const { actorDid, subjectDid } = item as Answer;
  return !dids.includes(String(actorDid)) || !dids.includes(String(subjectDid));
}

/** Removes fields at any depth. */
export function withoutFields(value: unknown, fields: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutFields(item, fields));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !fields.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutFields(inner, fields)]));
}

/** Sorts a repeated field. */
export function anyOrder(field: string): (answer: Answer, facts: Facts, request: Request) => Answer {
  return (answer) => {
    if (!(field in answer)) return answer;
    const items = listOf(answer, field).toSorted((one, other) =>
      JSON.stringify(one) < JSON.stringify(other) ? -1 : 1,
    );
    return { ...answer, [field]: items };
  };
}

/** Sorts a repeated field of each item of another. */
export function sortsIn(field: string, inner: string): (answer: Answer, facts: Facts, request: Request) => Answer {
  return (answer, facts, request) => ({
    ...answer,
    [field]: listOf(answer, field).map((item) => anyOrder(inner)(item as Answer, facts, request)),
  });
}

/** Reduces an answer to whether it has a field. */
export function hasField(field: string): (answer: Answer) => Answer {
  return (answer) => ({ [field]: field in answer });
}

/** Reduces the URI of a block to whether it is one of these two actors, and exists. */
export function sideOfBlock(answer: Answer, facts: Facts, { actorDid, targetDid }: Request): Answer {
  const { blockUri } = answer;
  if (typeof blockUri !== 'string') return answer;
  const isReal = facts.urisByCollection.get('app.bsky.graph.block')?.includes(blockUri) === true;
  return { isReal, isOfThese: [actorDid, targetDid].includes(blockUri.split('/')[2]) };
}

/** Sorts suggestions but those whose order an operator has fixed. */
export function orderedFirst(answer: Answer, { fixedSuggestions }: Facts, { relativeToDid }: Request): Answer {
  const dids = listOf(answer, 'dids');
  const fixed = relativeToDid === undefined ? fixedSuggestions.length : 0;
  return { first: dids.slice(0, fixed), others: dids.slice(fixed).toSorted() };
}
