/**
 * Every call between our processes, by name; beside these a node answers the methods of
 * `bsky.Service` that it can.
 *
 * A request holds only keys whose slots the called node serves; the node answers for each of its
 * slots and in the order asked. Where an answer is said to be protobuf, the router passes it on
 * undecoded.
 */
export const nodeCalls = {
  /** Chunks for slots of the node → one outcome for each chunk, see log/chunk.ts. */
  append: 'slot.append',
  /** One private entry, as `encodeEntry` gives it → no bytes, once the primary has applied it. */
  write: 'slot.write',
  /** A slot → its digest and the seq that it is of, see slot-digest.ts. */
  digest: 'slot.digest',
  /** No bytes → the status of the node and of its slots, see node-status.ts. */
  status: 'node.status',
  /** No bytes → DIDs of the node whose repo needs a resync, see repos-to-resync.ts. */
  reposToResync: 'slot.reposToResync',
  /** AT-URIs → stored records, see record-batch.ts. */
  records: 'slot.records',
  /**
   * Texts with one DID → protobuf GetIdentityByDidResponse, or no bytes when the slot knows no
   * document.
   */
  identity: 'slot.identity',
  /**
   * ProbeEdgesRequest → for each probe and each of its kinds the rkey of the owner's record, see
   * edge-messages.ts.
   */
  probeEdges: 'slot.probeEdges',
  /** FollowersAmongRequest → FollowersAmongAnswer, see edge-messages.ts. */
  followersAmong: 'slot.followersAmong',
  /** FollowsOfRequest → FollowsOfAnswer, see follows-messages.ts. */
  followsOf: 'slot.followsOf',
  /** TimelineRequest, to the viewer's node → TimelineAnswer, see feed-messages.ts. */
  timeline: 'slot.timeline',
  /** NewestByAuthorsRequest → a list of feed items, see feed-messages.ts. */
  newestByAuthors: 'slot.newestByAuthors',
  /**
   * Texts (post URIs) → Texts: the claimed root's URI (a root's own), '' when the post does not
   * exist.
   */
  postRoots: 'slot.postRoots',
  /** Texts (root URIs) → OpThreadsAnswer, see thread-messages.ts. */
  opThreads: 'slot.opThreads',
  /** ThreadRequest, to the node of the root's DID → protobuf GetThreadResponse. */
  thread: 'slot.thread',
} as const;
