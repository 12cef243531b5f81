/** Queries that the tests of several features send. */
import type { AppBskyActorDefs, AppBskyFeedDefs, AppBskyNotificationListNotifications } from '@atproto/api';
import type { StoredRecord } from '../oracle/record-writer.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

export type Profile = AppBskyActorDefs.ProfileViewDetailed;
export type Post = AppBskyFeedDefs.PostView;
export type FeedItem = AppBskyFeedDefs.FeedViewPost;
export type Notice = AppBskyNotificationListNotifications.Notification;

export function profileOf({ reader, did }: FeatureStage, name: Name, viewer?: Name): Promise<Profile> {
  return reader.query<Profile>('app.bsky.actor.getProfile', { actor: did(name) }, viewer);
}

/** Returns views of posts in the order of their URIs; a hidden post is left out. */
export async function postsOf(stage: FeatureStage, posts: readonly StoredRecord[], viewer?: Name): Promise<Post[]> {
  const params = { uris: posts.map(({ uri }) => uri) };
  return (await stage.reader.query<{ posts: Post[] }>('app.bsky.feed.getPosts', params, viewer)).posts;
}

/** Returns the URIs of the visible replies to a post. */
export async function repliesTo(stage: FeatureStage, { uri }: StoredRecord, viewer?: Name): Promise<string[]> {
  const method = 'app.bsky.feed.getPostThread';
  type Thread = AppBskyFeedDefs.ThreadViewPost;
  const { thread } = await stage.reader.query<{ thread: Thread }>(method, { uri }, viewer);
  return ((thread.replies ?? []) as Thread[]).flatMap(({ post }) => (post === undefined ? [] : [post.uri]));
}

/** Returns the posts and reposts of a timeline, newest first. */
export function timelineOf({ reader }: FeatureStage, viewer: Name): Promise<FeedItem[]> {
  return reader.all<FeedItem>('app.bsky.feed.getTimeline', { limit: 50 }, 'feed', viewer);
}

export function noticesOf({ reader }: FeatureStage, viewer: Name): Promise<Notice[]> {
  return reader.all<Notice>('app.bsky.notification.listNotifications', { limit: 50 }, 'notifications', viewer);
}

export function urisOf(items: readonly { readonly uri: string }[]): string[] {
  return items.map(({ uri }) => uri);
}
