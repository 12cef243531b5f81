/** What several intended differences have in common. */
import type { Facts } from './facts.ts';
import type { Answer } from './method-row.ts';

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
