/** The numbers of protobuf's `bsky.FeedType`. */
export const FeedType = {
  unspecified: 0,
  postsAndAuthorThreads: 1,
  postsNoReplies: 2,
  postsWithMedia: 3,
  postsWithVideo: 4,
} as const;
