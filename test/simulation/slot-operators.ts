/** Reads from slots the facts of `model-operators.ts`. */
import { readCollection, readRkey, recordUri } from '../../src/atproto/compact-key.ts';
import type { PrivateEntry } from '../../src/entry/entry.ts';
import { suggestionLists, suggestionsKey } from '../../src/entry/suggestion.ts';
import { getActorTags } from '../../src/slot/table/actor-tags.ts';
import { getAgeAssurance } from '../../src/slot/table/age-assurance.ts';
import { labelsPrefix, mayHaveLabels, readLabelRow } from '../../src/slot/table/label.ts';
import { beginKey, readKey, type SlotState, tableCode } from '../../src/slot/table/slot-state.ts';
import { suggestionOrder, suggestionsOf } from '../../src/slot/table/suggestion.ts';
import { isOwnerMarked, ownerMark } from '../../src/slot/table/unread-count.ts';
import { prefixEnd } from '../../src/storage/environment.ts';
import { labelFact } from './model-operators.ts';

type PutFact = (key: string, value: unknown) => void;
type Owned = { readonly state: SlotState; readonly owner: number; readonly did: string };

/** Reads what is said of one actor. */
export function readActorFacts(owned: Owned, put: PutFact): void {
  const { state, owner, did } = owned;
  const tags = getActorTags(state, owner);
  if (tags.length > 0) put(`tags ${did}`, tags);
  const age = getAgeAssurance(state, owner);
  if (age !== undefined) put(`age ${did}`, age);
  if (isOwnerMarked(state, owner, ownerMark.prefersFollowed)) put(`priority ${did}`, true);
  readLabels(owned, put);
}

function readLabels({ state, owner, did }: Owned, put: PutFact): void {
  let count = 0;
  const putRow = (row: { readonly key: Buffer; readonly value: Buffer }, prefixBytes: number, uri: string): void => {
    const label = readLabelRow(row, prefixBytes);
    count++;
    put(labelFact(label, uri), { neg: label.neg, cts: label.cts, exp: label.exp });
  };
  const account = labelsPrefix(owner, null);
  for (const row of state.rows.scan({ start: account, end: prefixEnd(account) })) putRow(row, account.length, did);
  const records = beginKey(owner, tableCode.recordLabel).finish();
  for (const row of [...state.rows.scan({ start: records, end: prefixEnd(records) })]) {
    const reader = readKey(row.key);
    const ref = { did, collection: readCollection(reader), rkey: readRkey(reader) };
    putRow(row, labelsPrefix(owner, ref).length, recordUri(ref));
  }
  if (count > 0 && !mayHaveLabels(state, owner)) throw new Error(`${did} has labels without the mark of them`);
}

/** Reads what is suggested to everyone. `stateOf` returns the slot of a key. */
export function readSuggestions(stateOf: (key: string) => SlotState, put: PutFact): void {
  const state = stateOf(suggestionsKey);
  for (const list of suggestionLists) {
    for (const { tag, subject, subjectType, order } of suggestionsOf(state, list)) {
      if (suggestionOrder(state, list, tag, subject) !== order)
        throw new Error(`two orders of ${subject} in the list ${list}`);
      put(`suggestion ${list} ${tag} ${subject}`, { order, subjectType });
    }
  }
}

/** Returns entries that remove all suggestions: they are no history's own. */
export function suggestionsGone(stateOf: (key: string) => SlotState): PrivateEntry[] {
  return suggestionLists.map((list) => {
    const rows = suggestionsOf(stateOf(suggestionsKey), list);
    const changes = rows.map(
      ({ tag, subject, subjectType }) => ({ tag, subject, subjectType, order: 'gone' }) as const,
    );
    return { kind: 'private', did: suggestionsKey, write: { type: 'suggestions', list, changes } };
  });
}
