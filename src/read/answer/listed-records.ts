/** Pages of an actor's lists, feeds and starter packs, and the status of feed generators. */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRkey } from '../../slot/packing/key-text.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import { listedRecordPrefix } from '../../slot/table/listed-record.ts';
import { getRecordRow } from '../../slot/table/record-row.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { keyToken, type PageRequest, pageLimit, walkFrom, walkKeys } from '../lookup/page.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';

/** A method's collection, the field numbers of its answer, and its token's name in errors. */
export type ListedPages = {
  readonly collection: string;
  readonly uris: number;
  readonly cursor: number;
  readonly path: string;
};

export const listedPages = {
  GetActorFeeds: {
    collection: nsid.generator,
    ...fieldNumber.GetActorFeedsResponse,
    path: 'GetActorFeedsRequest.cursor',
  },
  GetActorLists: {
    collection: nsid.list,
    uris: fieldNumber.GetActorListsResponse.listUris,
    cursor: fieldNumber.GetActorListsResponse.cursor,
    path: 'GetActorListsRequest.cursor',
  },
  GetActorStarterPacks: {
    collection: nsid.starterPack,
    ...fieldNumber.GetActorStarterPacksResponse,
    path: 'GetActorStarterPacksRequest.cursor',
  },
} as const satisfies Readonly<Record<string, ListedPages>>;

/** Writes a page of URIs, newest first. Errors: `InvalidArgument` for a malformed token. */
export function writeListedUris(
  into: MessageWriter,
  state: SlotState,
  did: string,
  { collection, uris, cursor, path }: ListedPages,
  page: PageRequest,
): void {
  const limit = pageLimit(page.limit);
  const prefix = listedRecordPrefix(ownerOfDid(state, did) ?? noOwner, collection);
  const walk = walkFrom(prefix, page.cursor, path);
  if (limit === 0) return;
  const head = `at://${did}/${collection}/`;
  let last: Buffer | null = null;
  let count = 0;
  for (const key of walkKeys(state.rows, walk, limit + 1)) {
    if (count++ === limit) {
      into.textField(cursor, keyToken(last!, prefix.length));
      return;
    }
    const start = into.begin(uris, 1);
    into.ascii(head);
    appendRkey(into, key, prefix.length + timeBytes);
    into.end(start, 1);
    last = key;
  }
  if (last === null) requireWhole(state);
}

/**
 * Returns '' for a feed generator that is not there, `takendown` for one whose record or account
 * is, else the account's status, or `active`. Whether its service answers, nobody here knows.
 */
export function feedGeneratorStatus(lookup: SlotLookup, uri: string): string {
  const ref = parseRecordUri(uri);
  if (ref?.collection !== nsid.generator) return '';
  const state = lookup.stateOf(ref.did);
  const owner = ownerOfDid(state, ref.did);
  if (owner === undefined) return '';
  const record = getRecordRow(state, owner, ref.collection, ref.rkey);
  if (record === undefined) {
    requireWhole(state);
    return '';
  }
  const actor = getActor(state, owner);
  if (record.takedownRef !== null || (actor?.takedownRef ?? null) !== null) return 'takendown';
  return actor === undefined || actor.upstreamStatus === '' ? 'active' : actor.upstreamStatus;
}
