/** Lists by their URI: what the record says, who is on the list, and who opted out of it. */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { membersBySubjectPrefix } from '../../slot/table/edge-by-subject.ts';
import { incomingRecordPrefix } from '../../slot/table/incoming-edge.ts';
import { cidOf, listFlag, recordKey } from '../../slot/table/record-row.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { ListFacts } from '../../wire/list-messages.ts';
import { writeDidsUnder } from './followed-dids.ts';
import { ownerOfDid, type SlotLookup } from './slot-lookup.ts';

/** A list, with its owner and the slot of that. */
export type OwnList = { readonly state: SlotState; readonly owner: number; readonly list: RecordRef };

/** Returns whether a key begins with a prefix. */
function hasKeyUnder({ rows }: SlotState, prefix: Buffer): boolean {
  return rows.hasAny({ start: prefix, end: prefixEnd(prefix) });
}

export const missingList: ListFacts = { exists: false, isReference: false, createdMs: 0, cid: Buffer.alloc(0) };

const view = new RecordView();

/** Returns what a list's record says, without its JSON, which may be a megabyte. */
export function factsOf({ state, owner, list }: OwnList): ListFacts {
  const isList = list.collection === nsid.list;
  const value = isList ? state.rows.getVolatile(recordKey(owner, list.collection, list.rkey)) : undefined;
  if (value === undefined) return missingList;
  const row = view.read(value);
  return {
    exists: true,
    isReference: (row.postFlags & listFlag.isReference) !== 0,
    createdMs: row.hasCreated ? row.createdMs : 0,
    cid: Buffer.from(cidOf(row)),
  };
}

/** The opt-outs that hide members of a list. */
export class OptOuts {
  readonly #state: SlotState;
  readonly #prefix: Buffer;
  /** False where nobody can have opted out. */
  readonly isAny: boolean;

  constructor({ state, owner, list }: OwnList) {
    this.#state = state;
    this.#prefix = incomingRecordPrefix(owner, list.collection, list.rkey, 'list-opt-out');
    this.isAny = hasKeyUnder(state, this.#prefix) && factsOf({ state, owner, list }).isReference;
  }

  /** True when the actor whose key bytes are `did` opted out. */
  has(did: Buffer): boolean {
    return this.isAny && hasKeyUnder(this.#state, Buffer.concat([this.#prefix, did]));
  }
}

/** Members of one page where each may have opted out, which takes a look for each. */
const checkedMembersMax = 1_000;

/** Writes a page of the DIDs of a list's members in key order, without those who opted out. */
export function writeMemberDids(
  texts: MessageWriter,
  lookup: SlotLookup,
  listUri: string,
  { after, limit }: { readonly after: string; readonly limit: number },
): { readonly count: number; readonly next: string } {
  const list = parseRecordUri(listUri);
  const state = list === undefined ? undefined : lookup.stateOf(list.did);
  const owner = state === undefined ? undefined : ownerOfDid(state, list!.did);
  if (list === undefined || state === undefined || owner === undefined) return { count: 0, next: '' };
  const optOuts = new OptOuts({ state, owner, list });
  const isLeftOut = optOuts.isAny ? (did: Buffer): boolean => optOuts.has(did) : undefined;
  const max = optOuts.isAny ? Math.min(limit, checkedMembersMax) : limit;
  return writeDidsUnder(texts, state, membersBySubjectPrefix(owner, list), { after, limit: max }, isLeftOut);
}
