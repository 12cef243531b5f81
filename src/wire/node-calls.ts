/**
 * The names of calls between our processes; a node also answers methods of `bsky.Service`.
 *
 * A request holds only keys whose slots the called node serves, and is answered in the order asked.
 * A router passes on protobuf answers without decoding them.
 */
import { type MethodName, serviceMethods } from '../proto/generated/bsky-service.ts';

export const nodeCalls = {
  /** Chunks for slots of the node → an outcome for each chunk, see log/chunk.ts. */
  append: 'slot.append',
  /** A private entry from `encodeEntry` → no bytes, once the primary has applied it. */
  write: 'slot.write',
  /** A slot → its digest and the seq up to which that is, see slot-digest.ts. */
  digest: 'slot.digest',
  /** A slot → its rows as they are at one seq, and their digest, see slot-verify.ts. */
  verify: 'slot.verify',
  /** A slot → no bytes: this node, its replica, begins it again from a copy of another. */
  rebuild: 'slot.rebuild',
  /** A slot → how far its compaction is, which it may begin, see slot-compaction.ts. */
  compact: 'slot.compact',
  /** What slots could not apply: list, show, retry or drop, see slot-quarantine.ts. */
  quarantineList: 'slot.quarantineList',
  quarantineShow: 'slot.quarantineShow',
  quarantineDecide: 'slot.quarantineDecide',
  /** No bytes → the status of the node and of its slots, see node-status.ts. */
  status: 'node.status',
  /** Which → what the node recorded, see histogram-messages.ts. */
  histograms: 'node.histograms',
  /** Since when → what the node recorded lately, see live-messages.ts. */
  live: 'node.live',
  /** No bytes → no bytes: the node answers. */
  ping: 'node.ping',
  /** No bytes → slots that the node answers reads of as their replica, see readable-slots.ts. */
  readable: 'node.readable',
  /** Maps of the caller → those of the node, and of who asked it, see map-messages.ts. */
  map: 'node.map',
  /** A step of a change of the shard map → no bytes, see map-messages.ts. */
  changeMap: 'node.changeMap',
  /** A position → a page of DIDs of the node whose repos need a resync, see repos-to-resync.ts. */
  reposToResync: 'slot.reposToResync',
  /** Slots of the caller → positions in their effects and ours, see slot-positions.ts. */
  positions: 'slot.positions',
  /** A copy of a slot for another node, in parts, see slot-snapshot.ts. */
  snapshot: 'slot.snapshot',
  snapshotPart: 'slot.snapshotPart',
  snapshotEnd: 'slot.snapshotEnd',
  /** Slots → how far this node has their logs on the log server, see log-positions.ts. */
  logPositions: 'slot.logPositions',
  /** A node → no bytes; this node compares its slots' positions with that one's. */
  comparePositions: 'slot.comparePositions',
  /** A slot → pages of its DIDs that slots of this node name, see dids-of-slot.ts. */
  didsOf: 'slot.didsOf',
  /** GetLabelsRequest → for each subject a field 1 that holds its fields of GetLabelsResponse. */
  labels: 'slot.labels',
  /** Texts with one subject → its labels as JSON texts, negated and expired ones included. */
  labelsOf: 'slot.labelsOf',
  /** A position → a page of the node's labelers and the next position, see labelers-page.ts. */
  labelers: 'slot.labelers',
  /** What an actor keeps in private, in pages, see private-page.ts. */
  privatePage: 'slot.privatePage',
  /** What slots hold of an account, its records in pages, and of a handle, see stored-repo.ts. */
  storedAccount: 'slot.storedAccount',
  storedRecords: 'slot.storedRecords',
  storedHandle: 'slot.storedHandle',
  /** AT-URIs → stored records, see record-batch.ts. */
  records: 'slot.records',
  /** As GetPostRecords, for records of the two collections of site.standard. */
  siteDocuments: 'slot.siteDocuments',
  sitePublications: 'slot.sitePublications',
  /** Texts with one DID → protobuf GetIdentityByDidResponse, or no bytes without a document. */
  identity: 'slot.identity',
  /** ProbeEdgesRequest → an rkey for each kind of each probe, see edge-messages.ts. */
  probeEdges: 'slot.probeEdges',
  /** ListedRequest → which of others' lists actors are on, see edge-messages.ts. */
  listed: 'slot.listed',
  /** FollowersAmongRequest → FollowersAmongAnswer, see edge-messages.ts. */
  followersAmong: 'slot.followersAmong',
  /** Texts (two times in ms) → texts: slots of this node, new actors within these times. */
  newActors: 'slot.newActors',
  /** Texts (record URIs) → RecentLikersAnswer, see edge-messages.ts. */
  recentLikers: 'slot.recentLikers',
  /** FollowsOfRequest → FollowsOfAnswer, see follows-messages.ts. */
  followsOf: 'slot.followsOf',
  /** Texts (a list's name) → what operators suggest, see suggestion-messages.ts. */
  suggestions: 'slot.suggestions',
  /** No bytes → Texts: each slot of the node and how many owners it has. */
  sitemapOwners: 'slot.sitemapOwners',
  /** Texts (a slot, a range of its owners) → Texts: handles. */
  sitemapHandles: 'slot.sitemapHandles',
  /** Texts (DIDs) → Texts: those of known actors. */
  knownActors: 'slot.knownActors',
  /** TimelineRequest, to the viewer's node → TimelineAnswer, see feed-messages.ts. */
  timeline: 'slot.timeline',
  /** NewestByAuthorsRequest → a list of feed items, see feed-messages.ts. */
  newestByAuthors: 'slot.newestByAuthors',
  /** The same → the same, without reposts, each with its cid. */
  newestPosts: 'slot.newestPosts',
  /** TimelineRequest with the URI of a list, to its node → TimelineAnswer without own items. */
  listFeed: 'slot.listFeed',
  /** FollowsOfRequest with the URI of a list → its members, as a FollowsOfAnswer. */
  membersOf: 'slot.membersOf',
  /** Texts (list URIs) → what the records of the lists say, see list-messages.ts. */
  lists: 'slot.lists',
  /** Texts (post URIs) → Texts: the root that each claims, '' if the post does not exist. */
  postRoots: 'slot.postRoots',
  /** Texts (root URIs) → OpThreadsAnswer, see thread-messages.ts. */
  opThreads: 'slot.opThreads',
  /** A query → hits; the state of the index; orders to it; see search-messages.ts. */
  search: 'slot.search',
  searchStatus: 'slot.searchStatus',
  searchRebuild: 'slot.searchRebuild',
  searchVerify: 'slot.searchVerify',
  searchCatchUp: 'slot.searchCatchUp',
  /** ThreadRequest, to the node of the root's DID → protobuf GetThreadResponse. */
  thread: 'slot.thread',
} as const;

const readCallByMethod = new Map<MethodName, string>(serviceMethods.map(([method]) => [method, `bsky.${method}`]));

/**
 * Returns the call by which nodes answer a method. Of a method it is always the same string, which
 * a map finds sooner than an equal one.
 */
export function readCall(method: MethodName): string {
  return readCallByMethod.get(method)!;
}

/** What a node answers whatever its map: operators must see it, and it must get a newer map. */
export const callsOfAnyMap: ReadonlySet<string> = new Set([
  nodeCalls.status,
  nodeCalls.ping,
  nodeCalls.map,
  nodeCalls.changeMap,
]);
