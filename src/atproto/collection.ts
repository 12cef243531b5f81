/**
 * The collections that the data plane indexes: one row each, from which all other facts derive.
 *
 * A new collection needs a row here, its checks in record-rules.ts and, if it is more than a
 * record, an apply rule.
 */
import { invariant } from '../base/invariant.ts';

type CollectionRow = {
  readonly nsid: string;
  /** One byte in keys and entries. Part of the stored format: append only, never reuse. */
  readonly code: number;
  /** The method that returns its records by URI, or null. */
  readonly recordsMethod: string | null;
  /** True where a record is returned as part of its actor's info. */
  readonly isActorInfo: boolean;
  /** True where the search index holds what its records say. */
  readonly isSearched?: boolean;
  /** The count of its owner that each record adds one to. */
  readonly actorCount?: 'lists' | 'feeds' | 'starterPacks';
  /** The time by which its owner's records are listed: `sorted` is never later than the event. */
  readonly listedBy?: 'created' | 'sorted';
};

/** All indexed collections, by a short name. */
export const collections = {
  profile: {
    nsid: 'app.bsky.actor.profile',
    code: 1,
    recordsMethod: 'GetProfileRecords',
    isActorInfo: true,
    isSearched: true,
  },
  status: { nsid: 'app.bsky.actor.status', code: 2, recordsMethod: 'GetStatusRecords', isActorInfo: true },
  post: { nsid: 'app.bsky.feed.post', code: 3, recordsMethod: 'GetPostRecords', isActorInfo: false, isSearched: true },
  like: { nsid: 'app.bsky.feed.like', code: 4, recordsMethod: 'GetLikeRecords', isActorInfo: false },
  repost: { nsid: 'app.bsky.feed.repost', code: 5, recordsMethod: 'GetRepostRecords', isActorInfo: false },
  generator: {
    nsid: 'app.bsky.feed.generator',
    code: 6,
    recordsMethod: 'GetFeedGeneratorRecords',
    isActorInfo: false,
    isSearched: true,
    actorCount: 'feeds',
    listedBy: 'created',
  },
  threadGate: { nsid: 'app.bsky.feed.threadgate', code: 7, recordsMethod: 'GetThreadGateRecords', isActorInfo: false },
  postGate: { nsid: 'app.bsky.feed.postgate', code: 8, recordsMethod: 'GetPostgateRecords', isActorInfo: false },
  follow: { nsid: 'app.bsky.graph.follow', code: 9, recordsMethod: 'GetFollowRecords', isActorInfo: false },
  block: { nsid: 'app.bsky.graph.block', code: 10, recordsMethod: 'GetBlockRecords', isActorInfo: false },
  list: {
    nsid: 'app.bsky.graph.list',
    code: 11,
    recordsMethod: 'GetListRecords',
    isActorInfo: false,
    actorCount: 'lists',
    listedBy: 'sorted',
  },
  listItem: { nsid: 'app.bsky.graph.listitem', code: 12, recordsMethod: 'GetListItemRecords', isActorInfo: false },
  listBlock: { nsid: 'app.bsky.graph.listblock', code: 13, recordsMethod: 'GetListBlockRecords', isActorInfo: false },
  starterPack: {
    nsid: 'app.bsky.graph.starterpack',
    code: 14,
    recordsMethod: 'GetStarterPackRecords',
    isActorInfo: false,
    isSearched: true,
    actorCount: 'starterPacks',
    listedBy: 'sorted',
  },
  verification: {
    nsid: 'app.bsky.graph.verification',
    code: 15,
    recordsMethod: 'GetVerificationRecords',
    isActorInfo: false,
  },
  labeler: { nsid: 'app.bsky.labeler.service', code: 16, recordsMethod: 'GetLabelerRecords', isActorInfo: true },
  notificationDeclaration: {
    nsid: 'app.bsky.notification.declaration',
    code: 17,
    recordsMethod: 'GetNotificationDeclarationRecords',
    isActorInfo: true,
  },
  chatDeclaration: {
    nsid: 'chat.bsky.actor.declaration',
    code: 18,
    recordsMethod: 'GetActorChatDeclarationRecords',
    isActorInfo: true,
  },
  germDeclaration: {
    nsid: 'com.germnetwork.declaration',
    code: 19,
    recordsMethod: 'GetGermDeclarationRecords',
    isActorInfo: true,
  },
  listOptOut: { nsid: 'app.bsky.graph.referencelistoptout', code: 20, recordsMethod: null, isActorInfo: false },
  siteDocument: { nsid: 'site.standard.document', code: 21, recordsMethod: null, isActorInfo: false },
  sitePublication: { nsid: 'site.standard.publication', code: 22, recordsMethod: null, isActorInfo: false },
} as const satisfies Readonly<Record<string, CollectionRow>>;

type Rows = typeof collections;
type Row = Rows[keyof Rows] & Pick<CollectionRow, 'actorCount' | 'listedBy' | 'isSearched'>;

export type Collection = Row['nsid'];

export type CollectionCode = Row['code'];

const rows: readonly Row[] = Object.values(collections);

/** NSIDs by short name: `nsid.post`. */
export const nsid = Object.fromEntries(Object.entries(collections).map(([name, row]) => [name, row.nsid])) as {
  readonly [Name in keyof Rows]: Rows[Name]['nsid'];
};

export const indexedCollections: readonly Collection[] = rows.map((row) => row.nsid);

/** The methods that return records by URI, one for each collection that has one. */
export const recordsMethods = rows.filter((row) => row.recordsMethod !== null);

const rowByNsid: ReadonlyMap<string, Row> = new Map(rows.map((row) => [row.nsid, row]));
const nsidByCode: readonly (Collection | undefined)[] = (() => {
  const table: (Collection | undefined)[] = [];
  for (const row of rows) {
    invariant(table[row.code] === undefined, 'each collection has a code of its own');
    table[row.code] = row.nsid;
  }
  return table;
})();

/** Returns the row of an indexed collection, or undefined for any other. */
export function collectionRow(collection: string): Row | undefined {
  return rowByNsid.get(collection);
}

/** Returns the code of an indexed collection, or undefined for any other. */
export function collectionCode(collection: string): CollectionCode | undefined {
  return rowByNsid.get(collection)?.code;
}

/** Returns the collection of a code, or undefined for an unassigned code. */
export function collectionOfCode(code: number): Collection | undefined {
  return nsidByCode[code];
}

/** True for an indexed collection; records of any other are counted and dropped. */
export function isIndexedCollection(collection: string): collection is Collection {
  return rowByNsid.has(collection);
}
