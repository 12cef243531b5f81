import type { EdgeKind } from '../../atproto/edge-kind.ts';

/** The collection whose records make edges of a kind. */
export const collectionOfEdge: Readonly<Record<EdgeKind, string>> = {
  follow: 'app.bsky.graph.follow',
  like: 'app.bsky.feed.like',
  repost: 'app.bsky.feed.repost',
  quote: 'app.bsky.feed.post',
  reply: 'app.bsky.feed.post',
  block: 'app.bsky.graph.block',
  'list-item': 'app.bsky.graph.listitem',
  'list-block': 'app.bsky.graph.listblock',
  verification: 'app.bsky.graph.verification',
};
