/**
 * The collections that the data plane indexes, and their one-byte codes in keys.
 *
 * Codes are part of the stored format: append only, never reuse.
 */
export const collectionCodeByNsid = {
  'app.bsky.actor.profile': 1,
  'app.bsky.actor.status': 2,
  'app.bsky.feed.post': 3,
  'app.bsky.feed.like': 4,
  'app.bsky.feed.repost': 5,
  'app.bsky.feed.generator': 6,
  'app.bsky.feed.threadgate': 7,
  'app.bsky.feed.postgate': 8,
  'app.bsky.graph.follow': 9,
  'app.bsky.graph.block': 10,
  'app.bsky.graph.list': 11,
  'app.bsky.graph.listitem': 12,
  'app.bsky.graph.listblock': 13,
  'app.bsky.graph.starterpack': 14,
  'app.bsky.graph.verification': 15,
  'app.bsky.labeler.service': 16,
  'app.bsky.notification.declaration': 17,
  'chat.bsky.actor.declaration': 18,
  'com.germnetwork.declaration': 19,
  'app.bsky.graph.referencelistoptout': 20,
} as const;

/** Names one collection that the data plane indexes, as its NSID. */
export type Collection = keyof typeof collectionCodeByNsid;

/** The one byte that stands for an indexed collection in keys and entries. */
export type CollectionCode = (typeof collectionCodeByNsid)[Collection];

const codeByNsid: ReadonlyMap<string, CollectionCode> = new Map(Object.entries(collectionCodeByNsid));
const nsidByCode: readonly (Collection | undefined)[] = (() => {
  const table: (Collection | undefined)[] = [];
  for (const [nsid, code] of codeByNsid) table[code] = nsid as Collection;
  return table;
})();

/** Returns the code of an indexed collection, or undefined for one that the data plane does not keep. */
export function collectionCode(nsid: string): CollectionCode | undefined {
  return codeByNsid.get(nsid);
}

/** Returns the collection of a code, or undefined for a code that was never given out. */
export function collectionOfCode(code: number): Collection | undefined {
  return nsidByCode[code];
}

/** True for a collection that the data plane keeps; records of any other are counted and left out. */
export function isIndexedCollection(nsid: string): nsid is Collection {
  return codeByNsid.has(nsid);
}
