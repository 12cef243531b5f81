/** The schema and types of bsky.Service. Written by ops/generate-proto-schema.ts: do not edit. */

import type { EnumName, FieldSchema } from '../schema.ts';

/** Milliseconds since 1970; finer fractions are dropped. */
export type TimestampMs = number;

/** The values of FeedType that this schema knows. */
export const feedType = {
  UNSPECIFIED: 0,
  POSTS_AND_AUTHOR_THREADS: 1,
  POSTS_NO_REPLIES: 2,
  POSTS_WITH_MEDIA: 3,
  POSTS_WITH_VIDEO: 4,
} as const;
/** A number: proto3 enums are open. */
export type FeedType = number;
/** Names in JSON by number. */
export const feedTypeNames: readonly EnumName[] = [
  [0, 'FEED_TYPE_UNSPECIFIED'],
  [1, 'FEED_TYPE_POSTS_AND_AUTHOR_THREADS'],
  [2, 'FEED_TYPE_POSTS_NO_REPLIES'],
  [3, 'FEED_TYPE_POSTS_WITH_MEDIA'],
  [4, 'FEED_TYPE_POSTS_WITH_VIDEO'],
];

/** The values of NotificationInclude that this schema knows. */
export const notificationInclude = {
  UNSPECIFIED: 0,
  ALL: 1,
  FOLLOWS: 2,
} as const;
/** A number: proto3 enums are open. */
export type NotificationInclude = number;
/** Names in JSON by number. */
export const notificationIncludeNames: readonly EnumName[] = [
  [0, 'NOTIFICATION_INCLUDE_UNSPECIFIED'],
  [1, 'NOTIFICATION_INCLUDE_ALL'],
  [2, 'NOTIFICATION_INCLUDE_FOLLOWS'],
];

/** The values of SearchQueryLanguage that this schema knows. */
export const searchQueryLanguage = {
  UNSPECIFIED: 0,
  JA: 1,
  ZH: 2,
  KO: 3,
  TH: 4,
  AR: 5,
} as const;
/** A number: proto3 enums are open. */
export type SearchQueryLanguage = number;
/** Names in JSON by number. */
export const searchQueryLanguageNames: readonly EnumName[] = [
  [0, 'SEARCH_QUERY_LANGUAGE_UNSPECIFIED'],
  [1, 'SEARCH_QUERY_LANGUAGE_JA'],
  [2, 'SEARCH_QUERY_LANGUAGE_ZH'],
  [3, 'SEARCH_QUERY_LANGUAGE_KO'],
  [4, 'SEARCH_QUERY_LANGUAGE_TH'],
  [5, 'SEARCH_QUERY_LANGUAGE_AR'],
];

/** The values of SearchSortOrder that this schema knows. */
export const searchSortOrder = {
  UNSPECIFIED: 0,
  RECENT: 1,
  TOP: 2,
} as const;
/** A number: proto3 enums are open. */
export type SearchSortOrder = number;
/** Names in JSON by number. */
export const searchSortOrderNames: readonly EnumName[] = [
  [0, 'SEARCH_SORT_ORDER_UNSPECIFIED'],
  [1, 'SEARCH_SORT_ORDER_RECENT'],
  [2, 'SEARCH_SORT_ORDER_TOP'],
];

/** The values of SitemapPageType that this schema knows. */
export const sitemapPageType = {
  UNSPECIFIED: 0,
  USER: 1,
} as const;
/** A number: proto3 enums are open. */
export type SitemapPageType = number;
/** Names in JSON by number. */
export const sitemapPageTypeNames: readonly EnumName[] = [
  [0, 'SITEMAP_PAGE_TYPE_UNSPECIFIED'],
  [1, 'SITEMAP_PAGE_TYPE_USER'],
];

export interface ActivitySubscription {
  readonly actorDid: string;
  readonly namespace: string;
  readonly key: string;
  readonly post?: PostActivitySubscription | undefined;
  readonly reply?: ReplyActivitySubscription | undefined;
  readonly subjectDid: string;
  readonly indexedAt?: TimestampMs | undefined;
}

export interface ActorInfo {
  readonly exists: boolean;
  readonly handle: string;
  readonly profile?: Record | undefined;
  readonly takenDown: boolean;
  readonly takedownRef: string;
  readonly tombstonedAt?: TimestampMs | undefined;
  readonly labeler: boolean;
  readonly allowIncomingChatsFrom: string;
  readonly upstreamStatus: string;
  readonly createdAt?: TimestampMs | undefined;
  readonly priorityNotifications: boolean;
  readonly pagerank: number;
  readonly trustedVerifier: boolean;
  readonly verifiedBy: ReadonlyMap<string, VerificationMeta>;
  readonly tags: readonly string[];
  readonly profileTags: readonly string[];
  readonly statusRecord?: Record | undefined;
  readonly allowActivitySubscriptionsFrom: string;
  readonly ageAssuranceStatus?: AgeAssuranceStatus | undefined;
  readonly germRecord?: Record | undefined;
  readonly allowGroupChatInvitesFrom: string;
}

export interface AgeAssuranceStatus {
  readonly status: string;
  readonly lastInitiatedAt?: TimestampMs | undefined;
  readonly overrideApplied: boolean;
  readonly access: string;
}

export interface AuthorFeedItem {
  readonly uri: string;
  readonly cid: string;
  readonly repost: string;
  readonly repostCid: string;
  readonly postsAndAuthorThreads: boolean;
  readonly postsNoReplies: boolean;
  readonly postsWithMedia: boolean;
  readonly isReply: boolean;
  readonly isRepost: boolean;
  readonly isQuotePost: boolean;
  readonly postsWithVideo: boolean;
}

export interface BlockExistence {
  readonly blockedBy: string;
  readonly blocking: string;
  readonly blockedByList: string;
  readonly blockingByList: string;
}

export interface Bookmark {
  readonly ref?: StashRef | undefined;
  readonly subjectUri: string;
  readonly subjectCid: string;
  readonly indexedAt?: TimestampMs | undefined;
}

export interface BookmarkInfo {
  readonly key: string;
  readonly subject: string;
}

export interface ClearActorMutelistSubscriptionsRequest {
  readonly actorDid: string;
}

export interface ClearActorMutelistSubscriptionsResponse {
}

export interface ClearActorMutesRequest {
  readonly actorDid: string;
}

export interface ClearActorMutesResponse {
}

export interface ClearThreadMutesRequest {
  readonly actorDid: string;
}

export interface ClearThreadMutesResponse {
}

export interface CreateActorMuteRequest {
  readonly actorDid: string;
  readonly subjectDid: string;
  readonly onlyReposts: boolean;
  readonly onlyQuoteposts: boolean;
}

export interface CreateActorMuteResponse {
}

export interface CreateActorMutelistSubscriptionRequest {
  readonly actorDid: string;
  readonly subjectUri: string;
}

export interface CreateActorMutelistSubscriptionResponse {
}

export interface CreateThreadMuteRequest {
  readonly actorDid: string;
  readonly threadRoot: string;
}

export interface CreateThreadMuteResponse {
}

export interface DeleteActorMuteRequest {
  readonly actorDid: string;
  readonly subjectDid: string;
}

export interface DeleteActorMuteResponse {
}

export interface DeleteActorMutelistSubscriptionRequest {
  readonly actorDid: string;
  readonly subjectUri: string;
}

export interface DeleteActorMutelistSubscriptionResponse {
}

export interface DeleteThreadMuteRequest {
  readonly actorDid: string;
  readonly threadRoot: string;
}

export interface DeleteThreadMuteResponse {
}

export interface DraftInfo {
  readonly key: string;
  readonly createdAt?: TimestampMs | undefined;
  readonly updatedAt?: TimestampMs | undefined;
  readonly payload: Uint8Array;
}

export interface FilterableNotificationPreference {
  readonly include: NotificationInclude;
  readonly list?: NotificationChannelList | undefined;
  readonly push?: NotificationChannelPush | undefined;
}

export interface FollowInfo {
  readonly uri: string;
  readonly actorDid: string;
  readonly subjectDid: string;
}

export interface FollowsFollowing {
  readonly targetDid: string;
  readonly dids: readonly string[];
}

export interface GetActivitySubscriptionDidsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActivitySubscriptionDidsResponse {
  readonly dids: readonly string[];
  readonly cursor: string;
}

export interface GetActivitySubscriptionsByActorAndSubjectsRequest {
  readonly actorDid: string;
  readonly subjectDids: readonly string[];
}

export interface GetActivitySubscriptionsByActorAndSubjectsResponse {
  readonly subscriptions: readonly ActivitySubscription[];
}

export interface GetActorBookmarksRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActorBookmarksResponse {
  readonly bookmarks: readonly BookmarkInfo[];
  readonly cursor: string;
}

export interface GetActorChatDeclarationRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetActorChatDeclarationRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetActorDraftsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActorDraftsResponse {
  readonly drafts: readonly DraftInfo[];
  readonly cursor: string;
}

export interface GetActorFeedsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActorFeedsResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetActorFollowsActorsRequest {
  readonly actorDid: string;
  readonly targetDids: readonly string[];
}

export interface GetActorFollowsActorsResponse {
  readonly uris: readonly string[];
}

export interface GetActorLikesRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActorLikesResponse {
  readonly likes: readonly LikeInfo[];
  readonly cursor: string;
}

export interface GetActorListsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActorListsResponse {
  readonly listUris: readonly string[];
  readonly cursor: string;
}

export interface GetActorMutesActorRequest {
  readonly actorDid: string;
  readonly targetDid: string;
}

export interface GetActorMutesActorResponse {
  readonly muted: boolean;
  readonly mutedOnlyReposts: boolean;
  readonly mutedOnlyQuoteposts: boolean;
}

export interface GetActorMutesActorViaListRequest {
  readonly actorDid: string;
  readonly targetDid: string;
}

export interface GetActorMutesActorViaListResponse {
  readonly listUri: string;
}

export interface GetActorRepostsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActorRepostsResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetActorStarterPacksRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetActorStarterPacksResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetActorTakedownRequest {
  readonly did: string;
}

export interface GetActorTakedownResponse {
  readonly takenDown: boolean;
  readonly takedownRef: string;
}

export interface GetActorsRequest {
  readonly dids: readonly string[];
  readonly skipCacheForDids: readonly string[];
  readonly returnAgeAssuranceForDids: readonly string[];
}

export interface GetActorsResponse {
  readonly actors: readonly ActorInfo[];
}

export interface GetAllLabelersRequest {
}

export interface GetAllLabelersResponse {
  readonly uris: readonly string[];
  readonly records: readonly Record[];
}

export interface GetAuthorFeedRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
  readonly feedType: FeedType;
}

export interface GetAuthorFeedResponse {
  readonly items: readonly AuthorFeedItem[];
  readonly cursor: string;
}

export interface GetBidirectionalBlockRequest {
  readonly actorDid: string;
  readonly targetDid: string;
}

export interface GetBidirectionalBlockResponse {
  readonly blockUri: string;
}

export interface GetBidirectionalBlockViaListRequest {
  readonly actorDid: string;
  readonly targetDid: string;
}

export interface GetBidirectionalBlockViaListResponse {
  readonly listUri: string;
}

export interface GetBlobTakedownRequest {
  readonly did: string;
  readonly cid: string;
}

export interface GetBlobTakedownResponse {
  readonly takenDown: boolean;
  readonly takedownRef: string;
}

export interface GetBlockExistenceRequest {
  readonly pairs: readonly RelationshipPair[];
}

export interface GetBlockExistenceResponse {
  readonly exists: readonly boolean[];
  readonly blocks: readonly BlockExistence[];
}

export interface GetBlockRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetBlockRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetBlocklistSubscriptionRequest {
  readonly actorDid: string;
  readonly listUri: string;
}

export interface GetBlocklistSubscriptionResponse {
  readonly listblockUri: string;
}

export interface GetBlocklistSubscriptionsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetBlocklistSubscriptionsResponse {
  readonly listUris: readonly string[];
  readonly cursor: string;
}

export interface GetBlocksRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetBlocksResponse {
  readonly blockUris: readonly string[];
  readonly cursor: string;
}

export interface GetBookmarksByActorAndSubjectsRequest {
  readonly actorDid: string;
  readonly uris: readonly string[];
}

export interface GetBookmarksByActorAndSubjectsResponse {
  readonly bookmarks: readonly Bookmark[];
}

export interface GetCountsForUsersRequest {
  readonly dids: readonly string[];
}

export interface GetCountsForUsersResponse {
  readonly posts: readonly number[];
  readonly reposts: readonly number[];
  readonly following: readonly number[];
  readonly followers: readonly number[];
  readonly lists: readonly number[];
  readonly feeds: readonly number[];
  readonly starterPacks: readonly number[];
  readonly drafts: readonly number[];
}

export interface GetDidsByHandlesRequest {
  readonly handles: readonly string[];
  readonly lookupUnidirectional: boolean;
}

export interface GetDidsByHandlesResponse {
  readonly dids: readonly string[];
}

export interface GetFeedGeneratorRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetFeedGeneratorRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetFeedGeneratorStatusRequest {
  readonly uris: readonly string[];
}

export interface GetFeedGeneratorStatusResponse {
  readonly status: readonly string[];
}

export interface GetFollowRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetFollowRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetFollowSuggestionsRequest {
  readonly actorDid: string;
  readonly relativeToDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetFollowSuggestionsResponse {
  readonly dids: readonly string[];
  readonly cursor: string;
}

export interface GetFollowersRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
  readonly sort: string;
}

export interface GetFollowersResponse {
  readonly followers: readonly FollowInfo[];
  readonly cursor: string;
}

export interface GetFollowsFollowingRequest {
  readonly actorDid: string;
  readonly targetDids: readonly string[];
}

export interface GetFollowsFollowingResponse {
  readonly results: readonly FollowsFollowing[];
}

export interface GetFollowsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
  readonly sort: string;
}

export interface GetFollowsResponse {
  readonly follows: readonly FollowInfo[];
  readonly cursor: string;
}

export interface GetGermDeclarationRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetGermDeclarationRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetIdentityByDidRequest {
  readonly did: string;
}

export interface GetIdentityByDidResponse {
  readonly did: string;
  readonly handle: string;
  readonly keys: Uint8Array;
  readonly services: Uint8Array;
  readonly updated?: TimestampMs | undefined;
}

export interface GetIdentityByHandleRequest {
  readonly handle: string;
}

export interface GetIdentityByHandleResponse {
  readonly handle: string;
  readonly did: string;
  readonly keys: Uint8Array;
  readonly services: Uint8Array;
  readonly updated?: TimestampMs | undefined;
}

export interface GetInteractionCountsRequest {
  readonly refs: readonly RecordRef[];
  readonly skipCacheForDids: readonly string[];
}

export interface GetInteractionCountsResponse {
  readonly likes: readonly number[];
  readonly reposts: readonly number[];
  readonly replies: readonly number[];
  readonly quotes: readonly number[];
  readonly bookmarks: readonly number[];
}

export interface GetKnownLikersRequest {
  readonly actorDid: string;
  readonly subjectUris: readonly string[];
  readonly limit: number;
}

export interface GetKnownLikersResponse {
  readonly results: readonly KnownLikersResult[];
}

export interface GetLabelerRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetLabelerRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetLabelsRequest {
  readonly subjects: readonly string[];
  readonly issuers: readonly string[];
}

export interface GetLabelsResponse {
  readonly labels: readonly Uint8Array[];
}

export interface GetLatestRevRequest {
  readonly actorDid: string;
}

export interface GetLatestRevResponse {
  readonly rev: string;
}

export interface GetLikeRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetLikeRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetLikesByActorAndSubjectsRequest {
  readonly actorDid: string;
  readonly refs: readonly RecordRef[];
}

export interface GetLikesByActorAndSubjectsResponse {
  readonly uris: readonly string[];
}

export interface GetLikesBySubjectRequest {
  readonly subject?: RecordRef | undefined;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetLikesBySubjectResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetLikesBySubjectSortedRequest {
  readonly subject?: RecordRef | undefined;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetLikesBySubjectSortedResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetListBlockRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetListBlockRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetListCountRequest {
  readonly listUri: string;
}

export interface GetListCountResponse {
  readonly count: number;
}

export interface GetListCountsRequest {
  readonly refs: readonly RecordRef[];
}

export interface GetListCountsResponse {
  readonly listItems: readonly number[];
}

export interface GetListFeedRequest {
  readonly listUri: string;
  readonly limit: number;
  readonly cursor: string;
  readonly excludeReplies: boolean;
  readonly excludeReposts: boolean;
  readonly excludeQuotes: boolean;
}

export interface GetListFeedResponse {
  readonly items: readonly TimelineFeedItem[];
  readonly cursor: string;
}

export interface GetListItemRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetListItemRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetListMembersRequest {
  readonly listUri: string;
  readonly limit: number;
  readonly cursor: string;
  readonly viewerDid: string;
}

export interface GetListMembersResponse {
  readonly listitems: readonly ListItemInfo[];
  readonly cursor: string;
}

export interface GetListMembershipRequest {
  readonly actorDid: string;
  readonly listUris: readonly string[];
}

export interface GetListMembershipResponse {
  readonly listitemUris: readonly string[];
}

export interface GetListRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetListRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetMutelistSubscriptionRequest {
  readonly actorDid: string;
  readonly listUri: string;
}

export interface GetMutelistSubscriptionResponse {
  readonly subscribed: boolean;
}

export interface GetMutelistSubscriptionsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetMutelistSubscriptionsResponse {
  readonly listUris: readonly string[];
  readonly cursor: string;
}

export interface GetMutesRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetMutesResponse {
  readonly dids: readonly string[];
  readonly cursor: string;
  readonly mutes: readonly MuteInfo[];
}

export interface GetNewUserCountForRangeRequest {
  readonly start?: TimestampMs | undefined;
  readonly end?: TimestampMs | undefined;
}

export interface GetNewUserCountForRangeResponse {
  readonly count: number;
}

export interface GetNotificationDeclarationRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetNotificationDeclarationRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetNotificationPreferencesRequest {
  readonly dids: readonly string[];
}

export interface GetNotificationPreferencesResponse {
  readonly preferences: readonly NotificationPreferences[];
}

export interface GetNotificationSeenRequest {
  readonly actorDid: string;
}

export interface GetNotificationSeenResponse {
  readonly timestamp?: TimestampMs | undefined;
}

export interface GetNotificationsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
  readonly priority: boolean;
}

export interface GetNotificationsResponse {
  readonly notifications: readonly Notification[];
  readonly cursor: string;
}

export interface GetPostRecordsRequest {
  readonly uris: readonly string[];
  readonly processDynamicTagsForView?: string | undefined;
  readonly viewerDid?: string | undefined;
  readonly includeOpThreadMetadata: boolean;
}

export interface GetPostRecordsResponse {
  readonly records: readonly Record[];
  readonly meta: readonly PostRecordMeta[];
  readonly opThreads: readonly OpThread[];
}

export interface GetPostgateRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetPostgateRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetProfileRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetProfileRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetQuotesBySubjectSortedRequest {
  readonly subject?: RecordRef | undefined;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetQuotesBySubjectSortedResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetRecordTakedownRequest {
  readonly recordUri: string;
}

export interface GetRecordTakedownResponse {
  readonly takenDown: boolean;
  readonly takedownRef: string;
}

export interface GetReferencelistoptoutsByActorAndSubjectsRequest {
  readonly actorDid: string;
  readonly subjectUris: readonly string[];
}

export interface GetReferencelistoptoutsByActorAndSubjectsResponse {
  readonly uris: readonly string[];
}

export interface GetRelationshipsRequest {
  readonly actorDid: string;
  readonly targetDids: readonly string[];
}

export interface GetRelationshipsResponse {
  readonly relationships: readonly Relationships[];
}

export interface GetRepostRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetRepostRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetRepostsByActorAndSubjectsRequest {
  readonly actorDid: string;
  readonly refs: readonly RecordRef[];
}

export interface GetRepostsByActorAndSubjectsResponse {
  readonly uris: readonly string[];
}

export interface GetRepostsBySubjectRequest {
  readonly subject?: RecordRef | undefined;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetRepostsBySubjectResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetSiteStandardRecordsByRefRequest {
  readonly refs: readonly RecordRef[];
}

export interface GetSiteStandardRecordsByRefResponse {
  readonly documents: readonly SiteStandardRecord[];
  readonly publications: readonly SiteStandardRecord[];
}

export interface GetSiteStandardRecordsByURIRequest {
  readonly uris: readonly string[];
}

export interface GetSiteStandardRecordsByURIResponse {
  readonly documents: readonly SiteStandardRecord[];
  readonly publications: readonly SiteStandardRecord[];
}

export interface GetSitemapIndexRequest {
  readonly type: SitemapPageType;
}

export interface GetSitemapIndexResponse {
  readonly sitemap: Uint8Array;
}

export interface GetSitemapPageRequest {
  readonly type: SitemapPageType;
  readonly date?: TimestampMs | undefined;
  readonly bucket: number;
}

export interface GetSitemapPageResponse {
  readonly sitemap: Uint8Array;
}

export interface GetStarterPackCountsRequest {
  readonly refs: readonly RecordRef[];
}

export interface GetStarterPackCountsResponse {
  readonly joinedWeek: readonly number[];
  readonly joinedAllTime: readonly number[];
}

export interface GetStarterPackRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetStarterPackRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetStatusRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetStatusRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetSuggestedEntitiesRequest {
  readonly limit: number;
  readonly cursor: string;
}

export interface GetSuggestedEntitiesResponse {
  readonly entities: readonly SuggestedEntity[];
  readonly cursor: string;
}

export interface GetSuggestedFeedsRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetSuggestedFeedsResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface GetThreadGateRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetThreadGateRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetThreadMutesOnSubjectsRequest {
  readonly actorDid: string;
  readonly threadRoots: readonly string[];
}

export interface GetThreadMutesOnSubjectsResponse {
  readonly muted: readonly boolean[];
}

export interface GetThreadRequest {
  readonly postUri: string;
  readonly above: number;
  readonly below: number;
}

export interface GetThreadResponse {
  readonly uris: readonly string[];
  readonly opThread: readonly string[];
}

export interface GetTimelineRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
  readonly excludeReplies: boolean;
  readonly excludeReposts: boolean;
  readonly excludeQuotes: boolean;
}

export interface GetTimelineResponse {
  readonly items: readonly TimelineFeedItem[];
  readonly cursor: string;
}

export interface GetUnreadNotificationCountRequest {
  readonly actorDid: string;
}

export interface GetUnreadNotificationCountResponse {
  readonly count: number;
}

export interface GetVerificationRecordsRequest {
  readonly uris: readonly string[];
}

export interface GetVerificationRecordsResponse {
  readonly records: readonly Record[];
}

export interface GetVerificationsIssuedRequest {
  readonly actorDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetVerificationsIssuedResponse {
  readonly verifications: readonly VerificationIssued[];
  readonly cursor: string;
}

export interface GetVerificationsReceivedRequest {
  readonly subjectDid: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface GetVerificationsReceivedResponse {
  readonly verifications: readonly VerificationReceived[];
  readonly cursor: string;
}

export interface KnownLikersResult {
  readonly subjectUri: string;
  readonly count: number;
  readonly dids: readonly string[];
}

export interface LikeInfo {
  readonly uri: string;
  readonly subject: string;
}

export interface ListItemInfo {
  readonly uri: string;
  readonly did: string;
  readonly subjectOptedOut: boolean;
}

export interface MuteInfo {
  readonly did: string;
  readonly onlyReposts: boolean;
  readonly onlyQuoteposts: boolean;
}

export interface Notification {
  readonly recipientDid: string;
  readonly uri: string;
  readonly reason: string;
  readonly reasonSubject: string;
  readonly timestamp?: TimestampMs | undefined;
  readonly priority: boolean;
}

export interface NotificationChannelList {
  readonly enabled: boolean;
}

export interface NotificationChannelPush {
  readonly enabled: boolean;
}

export interface NotificationPreference {
  readonly list?: NotificationChannelList | undefined;
  readonly push?: NotificationChannelPush | undefined;
}

export interface NotificationPreferences {
  readonly entry: Uint8Array;
  readonly follow?: FilterableNotificationPreference | undefined;
  readonly like?: FilterableNotificationPreference | undefined;
  readonly likeViaRepost?: FilterableNotificationPreference | undefined;
  readonly mention?: FilterableNotificationPreference | undefined;
  readonly quote?: FilterableNotificationPreference | undefined;
  readonly reply?: FilterableNotificationPreference | undefined;
  readonly repost?: FilterableNotificationPreference | undefined;
  readonly repostViaRepost?: FilterableNotificationPreference | undefined;
  readonly starterpackJoined?: NotificationPreference | undefined;
  readonly subscribedPost?: NotificationPreference | undefined;
  readonly unverified?: NotificationPreference | undefined;
  readonly verified?: NotificationPreference | undefined;
}

export interface OpThread {
  readonly rootUri: string;
  readonly uris: readonly string[];
}

export interface PageInfo {
  readonly cursor: string;
  readonly hitsTotal: number;
}

export interface PingRequest {
}

export interface PingResponse {
}

export interface PostActivitySubscription {
}

export interface PostRecordMeta {
  readonly violatesThreadGate: boolean;
  readonly hasMedia: boolean;
  readonly isReply: boolean;
  readonly violatesEmbeddingRules: boolean;
  readonly hasPostGate: boolean;
  readonly hasThreadGate: boolean;
  readonly hasVideo: boolean;
}

export interface PostsFilters {
  readonly authors: readonly string[];
  readonly mentions: readonly string[];
  readonly domains: readonly string[];
  readonly urls: readonly string[];
  readonly embeddedAtUris: readonly string[];
  readonly hashtags: readonly string[];
  readonly languages: readonly string[];
}

export interface Record {
  readonly record: Uint8Array;
  readonly cid: string;
  readonly indexedAt?: TimestampMs | undefined;
  readonly takenDown: boolean;
  readonly createdAt?: TimestampMs | undefined;
  readonly sortedAt?: TimestampMs | undefined;
  readonly takedownRef: string;
  readonly tags: readonly string[];
}

export interface RecordRef {
  readonly uri: string;
  readonly cid: string;
}

export interface RelationshipPair {
  readonly a: string;
  readonly b: string;
}

export interface Relationships {
  readonly muted: boolean;
  readonly mutedByList: string;
  readonly blockedBy: string;
  readonly blocking: string;
  readonly blockedByList: string;
  readonly blockingByList: string;
  readonly following: string;
  readonly followedBy: string;
  readonly mutedOnlyReposts: boolean;
  readonly mutedOnlyQuoteposts: boolean;
}

export interface ReplyActivitySubscription {
}

export interface SearchActorResult {
  readonly did: string;
  readonly score: number;
}

export interface SearchActorsRequest {
  readonly term: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface SearchActorsResponse {
  readonly dids: readonly string[];
  readonly cursor: string;
}

export interface SearchActorsTypeaheadRequest {
  readonly params?: SearchTypeaheadParams | undefined;
}

export interface SearchActorsTypeaheadResponse {
  readonly actors: readonly SearchActorResult[];
}

export interface SearchActorsV2Request {
  readonly params?: SearchParams | undefined;
}

export interface SearchActorsV2Response {
  readonly actors: readonly SearchActorResult[];
  readonly pageInfo?: PageInfo | undefined;
}

export interface SearchFeedGeneratorsRequest {
  readonly query: string;
  readonly limit: number;
}

export interface SearchFeedGeneratorsResponse {
  readonly uris: readonly string[];
}

export interface SearchFeedGeneratorsV2Request {
  readonly params?: SearchParams | undefined;
}

export interface SearchFeedGeneratorsV2Response {
  readonly feedGenerators: readonly SearchRecordResult[];
  readonly pageInfo?: PageInfo | undefined;
}

export interface SearchParams {
  readonly query: string;
  readonly viewer: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface SearchPostsRequest {
  readonly term: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface SearchPostsResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface SearchPostsV2Request {
  readonly params?: SearchParams | undefined;
  readonly sort: SearchSortOrder;
  readonly filters?: PostsFilters | undefined;
  readonly exclude?: PostsFilters | undefined;
  readonly since?: TimestampMs | undefined;
  readonly until?: TimestampMs | undefined;
  readonly allTime?: boolean | undefined;
  readonly hasMedia?: boolean | undefined;
  readonly hasVideo?: boolean | undefined;
  readonly replyParentUri?: string | undefined;
  readonly threadRootUri?: string | undefined;
  readonly excludeReplies?: boolean | undefined;
  readonly repliesOnly?: boolean | undefined;
  readonly following?: boolean | undefined;
  readonly queryLanguage?: SearchQueryLanguage | undefined;
}

export interface SearchPostsV2Response {
  readonly posts: readonly SearchRecordResult[];
  readonly pageInfo?: PageInfo | undefined;
  readonly detectedQueryLanguages: readonly string[];
}

export interface SearchRecordResult {
  readonly uri: string;
  readonly score: number;
}

export interface SearchStarterPacksRequest {
  readonly term: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface SearchStarterPacksResponse {
  readonly uris: readonly string[];
  readonly cursor: string;
}

export interface SearchStarterPacksV2Request {
  readonly params?: SearchParams | undefined;
}

export interface SearchStarterPacksV2Response {
  readonly starterPacks: readonly SearchRecordResult[];
  readonly pageInfo?: PageInfo | undefined;
}

export interface SearchTypeaheadParams {
  readonly query: string;
  readonly viewer: string;
  readonly limit: number;
}

export interface SiteStandardRecord {
  readonly ref?: RecordRef | undefined;
  readonly record?: Record | undefined;
}

export interface StashRef {
  readonly actorDid: string;
  readonly namespace: string;
  readonly key: string;
}

export interface SuggestedEntity {
  readonly tag: string;
  readonly subject: string;
  readonly subjectType: string;
  readonly priority: number;
}

export interface TakedownActorRequest {
  readonly did: string;
  readonly ref: string;
  readonly seen?: TimestampMs | undefined;
}

export interface TakedownActorResponse {
}

export interface TakedownBlobRequest {
  readonly did: string;
  readonly cid: string;
  readonly ref: string;
  readonly seen?: TimestampMs | undefined;
}

export interface TakedownBlobResponse {
}

export interface TakedownRecordRequest {
  readonly recordUri: string;
  readonly ref: string;
  readonly seen?: TimestampMs | undefined;
}

export interface TakedownRecordResponse {
}

export interface TimelineFeedItem {
  readonly uri: string;
  readonly cid: string;
  readonly repost: string;
  readonly repostCid: string;
  readonly isReply: boolean;
  readonly isRepost: boolean;
  readonly isQuotePost: boolean;
}

export interface UntakedownActorRequest {
  readonly did: string;
  readonly seen?: TimestampMs | undefined;
}

export interface UntakedownActorResponse {
}

export interface UntakedownBlobRequest {
  readonly did: string;
  readonly cid: string;
  readonly seen?: TimestampMs | undefined;
}

export interface UntakedownBlobResponse {
}

export interface UntakedownRecordRequest {
  readonly recordUri: string;
  readonly seen?: TimestampMs | undefined;
}

export interface UntakedownRecordResponse {
}

export interface UpdateActorUpstreamStatusRequest {
  readonly actorDid: string;
  readonly active: boolean;
  readonly upstreamStatus: string;
}

export interface UpdateActorUpstreamStatusResponse {
}

export interface UpdateNotificationSeenRequest {
  readonly actorDid: string;
  readonly timestamp?: TimestampMs | undefined;
}

export interface UpdateNotificationSeenResponse {
}

export interface VerificationIssued {
  readonly actorDid: string;
  readonly rkey: string;
  readonly subjectDid: string;
  readonly createdAt?: TimestampMs | undefined;
  readonly indexedAt?: TimestampMs | undefined;
  readonly sortedAt?: TimestampMs | undefined;
}

export interface VerificationMeta {
  readonly rkey: string;
  readonly handle: string;
  readonly displayName: string;
  readonly sortedAt?: TimestampMs | undefined;
}

export interface VerificationReceived {
  readonly actorDid: string;
  readonly rkey: string;
  readonly subjectDid: string;
  readonly createdAt?: TimestampMs | undefined;
  readonly indexedAt?: TimestampMs | undefined;
  readonly sortedAt?: TimestampMs | undefined;
}

/** Every message type by its name. */
export interface MessageByName {
  ActivitySubscription: ActivitySubscription;
  ActorInfo: ActorInfo;
  AgeAssuranceStatus: AgeAssuranceStatus;
  AuthorFeedItem: AuthorFeedItem;
  BlockExistence: BlockExistence;
  Bookmark: Bookmark;
  BookmarkInfo: BookmarkInfo;
  ClearActorMutelistSubscriptionsRequest: ClearActorMutelistSubscriptionsRequest;
  ClearActorMutelistSubscriptionsResponse: ClearActorMutelistSubscriptionsResponse;
  ClearActorMutesRequest: ClearActorMutesRequest;
  ClearActorMutesResponse: ClearActorMutesResponse;
  ClearThreadMutesRequest: ClearThreadMutesRequest;
  ClearThreadMutesResponse: ClearThreadMutesResponse;
  CreateActorMuteRequest: CreateActorMuteRequest;
  CreateActorMuteResponse: CreateActorMuteResponse;
  CreateActorMutelistSubscriptionRequest: CreateActorMutelistSubscriptionRequest;
  CreateActorMutelistSubscriptionResponse: CreateActorMutelistSubscriptionResponse;
  CreateThreadMuteRequest: CreateThreadMuteRequest;
  CreateThreadMuteResponse: CreateThreadMuteResponse;
  DeleteActorMuteRequest: DeleteActorMuteRequest;
  DeleteActorMuteResponse: DeleteActorMuteResponse;
  DeleteActorMutelistSubscriptionRequest: DeleteActorMutelistSubscriptionRequest;
  DeleteActorMutelistSubscriptionResponse: DeleteActorMutelistSubscriptionResponse;
  DeleteThreadMuteRequest: DeleteThreadMuteRequest;
  DeleteThreadMuteResponse: DeleteThreadMuteResponse;
  DraftInfo: DraftInfo;
  FilterableNotificationPreference: FilterableNotificationPreference;
  FollowInfo: FollowInfo;
  FollowsFollowing: FollowsFollowing;
  GetActivitySubscriptionDidsRequest: GetActivitySubscriptionDidsRequest;
  GetActivitySubscriptionDidsResponse: GetActivitySubscriptionDidsResponse;
  GetActivitySubscriptionsByActorAndSubjectsRequest: GetActivitySubscriptionsByActorAndSubjectsRequest;
  GetActivitySubscriptionsByActorAndSubjectsResponse: GetActivitySubscriptionsByActorAndSubjectsResponse;
  GetActorBookmarksRequest: GetActorBookmarksRequest;
  GetActorBookmarksResponse: GetActorBookmarksResponse;
  GetActorChatDeclarationRecordsRequest: GetActorChatDeclarationRecordsRequest;
  GetActorChatDeclarationRecordsResponse: GetActorChatDeclarationRecordsResponse;
  GetActorDraftsRequest: GetActorDraftsRequest;
  GetActorDraftsResponse: GetActorDraftsResponse;
  GetActorFeedsRequest: GetActorFeedsRequest;
  GetActorFeedsResponse: GetActorFeedsResponse;
  GetActorFollowsActorsRequest: GetActorFollowsActorsRequest;
  GetActorFollowsActorsResponse: GetActorFollowsActorsResponse;
  GetActorLikesRequest: GetActorLikesRequest;
  GetActorLikesResponse: GetActorLikesResponse;
  GetActorListsRequest: GetActorListsRequest;
  GetActorListsResponse: GetActorListsResponse;
  GetActorMutesActorRequest: GetActorMutesActorRequest;
  GetActorMutesActorResponse: GetActorMutesActorResponse;
  GetActorMutesActorViaListRequest: GetActorMutesActorViaListRequest;
  GetActorMutesActorViaListResponse: GetActorMutesActorViaListResponse;
  GetActorRepostsRequest: GetActorRepostsRequest;
  GetActorRepostsResponse: GetActorRepostsResponse;
  GetActorStarterPacksRequest: GetActorStarterPacksRequest;
  GetActorStarterPacksResponse: GetActorStarterPacksResponse;
  GetActorTakedownRequest: GetActorTakedownRequest;
  GetActorTakedownResponse: GetActorTakedownResponse;
  GetActorsRequest: GetActorsRequest;
  GetActorsResponse: GetActorsResponse;
  GetAllLabelersRequest: GetAllLabelersRequest;
  GetAllLabelersResponse: GetAllLabelersResponse;
  GetAuthorFeedRequest: GetAuthorFeedRequest;
  GetAuthorFeedResponse: GetAuthorFeedResponse;
  GetBidirectionalBlockRequest: GetBidirectionalBlockRequest;
  GetBidirectionalBlockResponse: GetBidirectionalBlockResponse;
  GetBidirectionalBlockViaListRequest: GetBidirectionalBlockViaListRequest;
  GetBidirectionalBlockViaListResponse: GetBidirectionalBlockViaListResponse;
  GetBlobTakedownRequest: GetBlobTakedownRequest;
  GetBlobTakedownResponse: GetBlobTakedownResponse;
  GetBlockExistenceRequest: GetBlockExistenceRequest;
  GetBlockExistenceResponse: GetBlockExistenceResponse;
  GetBlockRecordsRequest: GetBlockRecordsRequest;
  GetBlockRecordsResponse: GetBlockRecordsResponse;
  GetBlocklistSubscriptionRequest: GetBlocklistSubscriptionRequest;
  GetBlocklistSubscriptionResponse: GetBlocklistSubscriptionResponse;
  GetBlocklistSubscriptionsRequest: GetBlocklistSubscriptionsRequest;
  GetBlocklistSubscriptionsResponse: GetBlocklistSubscriptionsResponse;
  GetBlocksRequest: GetBlocksRequest;
  GetBlocksResponse: GetBlocksResponse;
  GetBookmarksByActorAndSubjectsRequest: GetBookmarksByActorAndSubjectsRequest;
  GetBookmarksByActorAndSubjectsResponse: GetBookmarksByActorAndSubjectsResponse;
  GetCountsForUsersRequest: GetCountsForUsersRequest;
  GetCountsForUsersResponse: GetCountsForUsersResponse;
  GetDidsByHandlesRequest: GetDidsByHandlesRequest;
  GetDidsByHandlesResponse: GetDidsByHandlesResponse;
  GetFeedGeneratorRecordsRequest: GetFeedGeneratorRecordsRequest;
  GetFeedGeneratorRecordsResponse: GetFeedGeneratorRecordsResponse;
  GetFeedGeneratorStatusRequest: GetFeedGeneratorStatusRequest;
  GetFeedGeneratorStatusResponse: GetFeedGeneratorStatusResponse;
  GetFollowRecordsRequest: GetFollowRecordsRequest;
  GetFollowRecordsResponse: GetFollowRecordsResponse;
  GetFollowSuggestionsRequest: GetFollowSuggestionsRequest;
  GetFollowSuggestionsResponse: GetFollowSuggestionsResponse;
  GetFollowersRequest: GetFollowersRequest;
  GetFollowersResponse: GetFollowersResponse;
  GetFollowsFollowingRequest: GetFollowsFollowingRequest;
  GetFollowsFollowingResponse: GetFollowsFollowingResponse;
  GetFollowsRequest: GetFollowsRequest;
  GetFollowsResponse: GetFollowsResponse;
  GetGermDeclarationRecordsRequest: GetGermDeclarationRecordsRequest;
  GetGermDeclarationRecordsResponse: GetGermDeclarationRecordsResponse;
  GetIdentityByDidRequest: GetIdentityByDidRequest;
  GetIdentityByDidResponse: GetIdentityByDidResponse;
  GetIdentityByHandleRequest: GetIdentityByHandleRequest;
  GetIdentityByHandleResponse: GetIdentityByHandleResponse;
  GetInteractionCountsRequest: GetInteractionCountsRequest;
  GetInteractionCountsResponse: GetInteractionCountsResponse;
  GetKnownLikersRequest: GetKnownLikersRequest;
  GetKnownLikersResponse: GetKnownLikersResponse;
  GetLabelerRecordsRequest: GetLabelerRecordsRequest;
  GetLabelerRecordsResponse: GetLabelerRecordsResponse;
  GetLabelsRequest: GetLabelsRequest;
  GetLabelsResponse: GetLabelsResponse;
  GetLatestRevRequest: GetLatestRevRequest;
  GetLatestRevResponse: GetLatestRevResponse;
  GetLikeRecordsRequest: GetLikeRecordsRequest;
  GetLikeRecordsResponse: GetLikeRecordsResponse;
  GetLikesByActorAndSubjectsRequest: GetLikesByActorAndSubjectsRequest;
  GetLikesByActorAndSubjectsResponse: GetLikesByActorAndSubjectsResponse;
  GetLikesBySubjectRequest: GetLikesBySubjectRequest;
  GetLikesBySubjectResponse: GetLikesBySubjectResponse;
  GetLikesBySubjectSortedRequest: GetLikesBySubjectSortedRequest;
  GetLikesBySubjectSortedResponse: GetLikesBySubjectSortedResponse;
  GetListBlockRecordsRequest: GetListBlockRecordsRequest;
  GetListBlockRecordsResponse: GetListBlockRecordsResponse;
  GetListCountRequest: GetListCountRequest;
  GetListCountResponse: GetListCountResponse;
  GetListCountsRequest: GetListCountsRequest;
  GetListCountsResponse: GetListCountsResponse;
  GetListFeedRequest: GetListFeedRequest;
  GetListFeedResponse: GetListFeedResponse;
  GetListItemRecordsRequest: GetListItemRecordsRequest;
  GetListItemRecordsResponse: GetListItemRecordsResponse;
  GetListMembersRequest: GetListMembersRequest;
  GetListMembersResponse: GetListMembersResponse;
  GetListMembershipRequest: GetListMembershipRequest;
  GetListMembershipResponse: GetListMembershipResponse;
  GetListRecordsRequest: GetListRecordsRequest;
  GetListRecordsResponse: GetListRecordsResponse;
  GetMutelistSubscriptionRequest: GetMutelistSubscriptionRequest;
  GetMutelistSubscriptionResponse: GetMutelistSubscriptionResponse;
  GetMutelistSubscriptionsRequest: GetMutelistSubscriptionsRequest;
  GetMutelistSubscriptionsResponse: GetMutelistSubscriptionsResponse;
  GetMutesRequest: GetMutesRequest;
  GetMutesResponse: GetMutesResponse;
  GetNewUserCountForRangeRequest: GetNewUserCountForRangeRequest;
  GetNewUserCountForRangeResponse: GetNewUserCountForRangeResponse;
  GetNotificationDeclarationRecordsRequest: GetNotificationDeclarationRecordsRequest;
  GetNotificationDeclarationRecordsResponse: GetNotificationDeclarationRecordsResponse;
  GetNotificationPreferencesRequest: GetNotificationPreferencesRequest;
  GetNotificationPreferencesResponse: GetNotificationPreferencesResponse;
  GetNotificationSeenRequest: GetNotificationSeenRequest;
  GetNotificationSeenResponse: GetNotificationSeenResponse;
  GetNotificationsRequest: GetNotificationsRequest;
  GetNotificationsResponse: GetNotificationsResponse;
  GetPostRecordsRequest: GetPostRecordsRequest;
  GetPostRecordsResponse: GetPostRecordsResponse;
  GetPostgateRecordsRequest: GetPostgateRecordsRequest;
  GetPostgateRecordsResponse: GetPostgateRecordsResponse;
  GetProfileRecordsRequest: GetProfileRecordsRequest;
  GetProfileRecordsResponse: GetProfileRecordsResponse;
  GetQuotesBySubjectSortedRequest: GetQuotesBySubjectSortedRequest;
  GetQuotesBySubjectSortedResponse: GetQuotesBySubjectSortedResponse;
  GetRecordTakedownRequest: GetRecordTakedownRequest;
  GetRecordTakedownResponse: GetRecordTakedownResponse;
  GetReferencelistoptoutsByActorAndSubjectsRequest: GetReferencelistoptoutsByActorAndSubjectsRequest;
  GetReferencelistoptoutsByActorAndSubjectsResponse: GetReferencelistoptoutsByActorAndSubjectsResponse;
  GetRelationshipsRequest: GetRelationshipsRequest;
  GetRelationshipsResponse: GetRelationshipsResponse;
  GetRepostRecordsRequest: GetRepostRecordsRequest;
  GetRepostRecordsResponse: GetRepostRecordsResponse;
  GetRepostsByActorAndSubjectsRequest: GetRepostsByActorAndSubjectsRequest;
  GetRepostsByActorAndSubjectsResponse: GetRepostsByActorAndSubjectsResponse;
  GetRepostsBySubjectRequest: GetRepostsBySubjectRequest;
  GetRepostsBySubjectResponse: GetRepostsBySubjectResponse;
  GetSiteStandardRecordsByRefRequest: GetSiteStandardRecordsByRefRequest;
  GetSiteStandardRecordsByRefResponse: GetSiteStandardRecordsByRefResponse;
  GetSiteStandardRecordsByURIRequest: GetSiteStandardRecordsByURIRequest;
  GetSiteStandardRecordsByURIResponse: GetSiteStandardRecordsByURIResponse;
  GetSitemapIndexRequest: GetSitemapIndexRequest;
  GetSitemapIndexResponse: GetSitemapIndexResponse;
  GetSitemapPageRequest: GetSitemapPageRequest;
  GetSitemapPageResponse: GetSitemapPageResponse;
  GetStarterPackCountsRequest: GetStarterPackCountsRequest;
  GetStarterPackCountsResponse: GetStarterPackCountsResponse;
  GetStarterPackRecordsRequest: GetStarterPackRecordsRequest;
  GetStarterPackRecordsResponse: GetStarterPackRecordsResponse;
  GetStatusRecordsRequest: GetStatusRecordsRequest;
  GetStatusRecordsResponse: GetStatusRecordsResponse;
  GetSuggestedEntitiesRequest: GetSuggestedEntitiesRequest;
  GetSuggestedEntitiesResponse: GetSuggestedEntitiesResponse;
  GetSuggestedFeedsRequest: GetSuggestedFeedsRequest;
  GetSuggestedFeedsResponse: GetSuggestedFeedsResponse;
  GetThreadGateRecordsRequest: GetThreadGateRecordsRequest;
  GetThreadGateRecordsResponse: GetThreadGateRecordsResponse;
  GetThreadMutesOnSubjectsRequest: GetThreadMutesOnSubjectsRequest;
  GetThreadMutesOnSubjectsResponse: GetThreadMutesOnSubjectsResponse;
  GetThreadRequest: GetThreadRequest;
  GetThreadResponse: GetThreadResponse;
  GetTimelineRequest: GetTimelineRequest;
  GetTimelineResponse: GetTimelineResponse;
  GetUnreadNotificationCountRequest: GetUnreadNotificationCountRequest;
  GetUnreadNotificationCountResponse: GetUnreadNotificationCountResponse;
  GetVerificationRecordsRequest: GetVerificationRecordsRequest;
  GetVerificationRecordsResponse: GetVerificationRecordsResponse;
  GetVerificationsIssuedRequest: GetVerificationsIssuedRequest;
  GetVerificationsIssuedResponse: GetVerificationsIssuedResponse;
  GetVerificationsReceivedRequest: GetVerificationsReceivedRequest;
  GetVerificationsReceivedResponse: GetVerificationsReceivedResponse;
  KnownLikersResult: KnownLikersResult;
  LikeInfo: LikeInfo;
  ListItemInfo: ListItemInfo;
  MuteInfo: MuteInfo;
  Notification: Notification;
  NotificationChannelList: NotificationChannelList;
  NotificationChannelPush: NotificationChannelPush;
  NotificationPreference: NotificationPreference;
  NotificationPreferences: NotificationPreferences;
  OpThread: OpThread;
  PageInfo: PageInfo;
  PingRequest: PingRequest;
  PingResponse: PingResponse;
  PostActivitySubscription: PostActivitySubscription;
  PostRecordMeta: PostRecordMeta;
  PostsFilters: PostsFilters;
  Record: Record;
  RecordRef: RecordRef;
  RelationshipPair: RelationshipPair;
  Relationships: Relationships;
  ReplyActivitySubscription: ReplyActivitySubscription;
  SearchActorResult: SearchActorResult;
  SearchActorsRequest: SearchActorsRequest;
  SearchActorsResponse: SearchActorsResponse;
  SearchActorsTypeaheadRequest: SearchActorsTypeaheadRequest;
  SearchActorsTypeaheadResponse: SearchActorsTypeaheadResponse;
  SearchActorsV2Request: SearchActorsV2Request;
  SearchActorsV2Response: SearchActorsV2Response;
  SearchFeedGeneratorsRequest: SearchFeedGeneratorsRequest;
  SearchFeedGeneratorsResponse: SearchFeedGeneratorsResponse;
  SearchFeedGeneratorsV2Request: SearchFeedGeneratorsV2Request;
  SearchFeedGeneratorsV2Response: SearchFeedGeneratorsV2Response;
  SearchParams: SearchParams;
  SearchPostsRequest: SearchPostsRequest;
  SearchPostsResponse: SearchPostsResponse;
  SearchPostsV2Request: SearchPostsV2Request;
  SearchPostsV2Response: SearchPostsV2Response;
  SearchRecordResult: SearchRecordResult;
  SearchStarterPacksRequest: SearchStarterPacksRequest;
  SearchStarterPacksResponse: SearchStarterPacksResponse;
  SearchStarterPacksV2Request: SearchStarterPacksV2Request;
  SearchStarterPacksV2Response: SearchStarterPacksV2Response;
  SearchTypeaheadParams: SearchTypeaheadParams;
  SiteStandardRecord: SiteStandardRecord;
  StashRef: StashRef;
  SuggestedEntity: SuggestedEntity;
  TakedownActorRequest: TakedownActorRequest;
  TakedownActorResponse: TakedownActorResponse;
  TakedownBlobRequest: TakedownBlobRequest;
  TakedownBlobResponse: TakedownBlobResponse;
  TakedownRecordRequest: TakedownRecordRequest;
  TakedownRecordResponse: TakedownRecordResponse;
  TimelineFeedItem: TimelineFeedItem;
  UntakedownActorRequest: UntakedownActorRequest;
  UntakedownActorResponse: UntakedownActorResponse;
  UntakedownBlobRequest: UntakedownBlobRequest;
  UntakedownBlobResponse: UntakedownBlobResponse;
  UntakedownRecordRequest: UntakedownRecordRequest;
  UntakedownRecordResponse: UntakedownRecordResponse;
  UpdateActorUpstreamStatusRequest: UpdateActorUpstreamStatusRequest;
  UpdateActorUpstreamStatusResponse: UpdateActorUpstreamStatusResponse;
  UpdateNotificationSeenRequest: UpdateNotificationSeenRequest;
  UpdateNotificationSeenResponse: UpdateNotificationSeenResponse;
  VerificationIssued: VerificationIssued;
  VerificationMeta: VerificationMeta;
  VerificationReceived: VerificationReceived;
}

/** A message of bsky.Service. */
export type MessageName = keyof MessageByName;

/** Fields of every message, ascending by number: [number, name, JSON name, type, label, name of the type]. */
export const fieldsByMessage: Readonly<{ [Name in keyof MessageByName]: readonly FieldSchema[] }> = {
  ActivitySubscription: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'namespace', 'namespace', 'string', 'single', ''],
    [3, 'key', 'key', 'string', 'single', ''],
    [4, 'post', 'post', 'message', 'optional', 'PostActivitySubscription'],
    [5, 'reply', 'reply', 'message', 'optional', 'ReplyActivitySubscription'],
    [6, 'subject_did', 'subjectDid', 'string', 'single', ''],
    [7, 'indexed_at', 'indexedAt', 'timestamp', 'single', ''],
  ],
  ActorInfo: [
    [1, 'exists', 'exists', 'bool', 'single', ''],
    [2, 'handle', 'handle', 'string', 'single', ''],
    [3, 'profile', 'profile', 'message', 'single', 'Record'],
    [4, 'taken_down', 'takenDown', 'bool', 'single', ''],
    [5, 'takedown_ref', 'takedownRef', 'string', 'single', ''],
    [6, 'tombstoned_at', 'tombstonedAt', 'timestamp', 'single', ''],
    [7, 'labeler', 'labeler', 'bool', 'single', ''],
    [8, 'allow_incoming_chats_from', 'allowIncomingChatsFrom', 'string', 'single', ''],
    [9, 'upstream_status', 'upstreamStatus', 'string', 'single', ''],
    [10, 'created_at', 'createdAt', 'timestamp', 'single', ''],
    [11, 'priority_notifications', 'priorityNotifications', 'bool', 'single', ''],
    [12, 'pagerank', 'pagerank', 'double', 'single', ''],
    [13, 'trusted_verifier', 'trustedVerifier', 'bool', 'single', ''],
    [14, 'verified_by', 'verifiedBy', 'map', 'single', 'VerificationMeta'],
    [15, 'tags', 'tags', 'string', 'repeated', ''],
    [16, 'profile_tags', 'profileTags', 'string', 'repeated', ''],
    [17, 'status_record', 'statusRecord', 'message', 'single', 'Record'],
    [18, 'allow_activity_subscriptions_from', 'allowActivitySubscriptionsFrom', 'string', 'single', ''],
    [19, 'age_assurance_status', 'ageAssuranceStatus', 'message', 'optional', 'AgeAssuranceStatus'],
    [21, 'germ_record', 'germRecord', 'message', 'single', 'Record'],
    [22, 'allow_group_chat_invites_from', 'allowGroupChatInvitesFrom', 'string', 'single', ''],
  ],
  AgeAssuranceStatus: [
    [1, 'status', 'status', 'string', 'single', ''],
    [2, 'last_initiated_at', 'lastInitiatedAt', 'timestamp', 'single', ''],
    [3, 'override_applied', 'overrideApplied', 'bool', 'single', ''],
    [4, 'access', 'access', 'string', 'single', ''],
  ],
  AuthorFeedItem: [
    [1, 'uri', 'uri', 'string', 'single', ''],
    [2, 'cid', 'cid', 'string', 'single', ''],
    [3, 'repost', 'repost', 'string', 'single', ''],
    [4, 'repost_cid', 'repostCid', 'string', 'single', ''],
    [5, 'posts_and_author_threads', 'postsAndAuthorThreads', 'bool', 'single', ''],
    [6, 'posts_no_replies', 'postsNoReplies', 'bool', 'single', ''],
    [7, 'posts_with_media', 'postsWithMedia', 'bool', 'single', ''],
    [8, 'is_reply', 'isReply', 'bool', 'single', ''],
    [9, 'is_repost', 'isRepost', 'bool', 'single', ''],
    [10, 'is_quote_post', 'isQuotePost', 'bool', 'single', ''],
    [11, 'posts_with_video', 'postsWithVideo', 'bool', 'single', ''],
  ],
  BlockExistence: [
    [1, 'blocked_by', 'blockedBy', 'string', 'single', ''],
    [2, 'blocking', 'blocking', 'string', 'single', ''],
    [3, 'blocked_by_list', 'blockedByList', 'string', 'single', ''],
    [4, 'blocking_by_list', 'blockingByList', 'string', 'single', ''],
  ],
  Bookmark: [
    [1, 'ref', 'ref', 'message', 'single', 'StashRef'],
    [2, 'subject_uri', 'subjectUri', 'string', 'single', ''],
    [3, 'subject_cid', 'subjectCid', 'string', 'single', ''],
    [4, 'indexed_at', 'indexedAt', 'timestamp', 'single', ''],
  ],
  BookmarkInfo: [
    [1, 'key', 'key', 'string', 'single', ''],
    [2, 'subject', 'subject', 'string', 'single', ''],
  ],
  ClearActorMutelistSubscriptionsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
  ],
  ClearActorMutelistSubscriptionsResponse: [
  ],
  ClearActorMutesRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
  ],
  ClearActorMutesResponse: [
  ],
  ClearThreadMutesRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
  ],
  ClearThreadMutesResponse: [
  ],
  CreateActorMuteRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'subject_did', 'subjectDid', 'string', 'single', ''],
    [3, 'only_reposts', 'onlyReposts', 'bool', 'single', ''],
    [4, 'only_quoteposts', 'onlyQuoteposts', 'bool', 'single', ''],
  ],
  CreateActorMuteResponse: [
  ],
  CreateActorMutelistSubscriptionRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'subject_uri', 'subjectUri', 'string', 'single', ''],
  ],
  CreateActorMutelistSubscriptionResponse: [
  ],
  CreateThreadMuteRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'thread_root', 'threadRoot', 'string', 'single', ''],
  ],
  CreateThreadMuteResponse: [
  ],
  DeleteActorMuteRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'subject_did', 'subjectDid', 'string', 'single', ''],
  ],
  DeleteActorMuteResponse: [
  ],
  DeleteActorMutelistSubscriptionRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'subject_uri', 'subjectUri', 'string', 'single', ''],
  ],
  DeleteActorMutelistSubscriptionResponse: [
  ],
  DeleteThreadMuteRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'thread_root', 'threadRoot', 'string', 'single', ''],
  ],
  DeleteThreadMuteResponse: [
  ],
  DraftInfo: [
    [1, 'key', 'key', 'string', 'single', ''],
    [2, 'created_at', 'createdAt', 'timestamp', 'single', ''],
    [3, 'updated_at', 'updatedAt', 'timestamp', 'single', ''],
    [4, 'payload', 'payload', 'bytes', 'single', ''],
  ],
  FilterableNotificationPreference: [
    [1, 'include', 'include', 'enum', 'single', 'NotificationInclude'],
    [2, 'list', 'list', 'message', 'single', 'NotificationChannelList'],
    [3, 'push', 'push', 'message', 'single', 'NotificationChannelPush'],
  ],
  FollowInfo: [
    [1, 'uri', 'uri', 'string', 'single', ''],
    [2, 'actor_did', 'actorDid', 'string', 'single', ''],
    [3, 'subject_did', 'subjectDid', 'string', 'single', ''],
  ],
  FollowsFollowing: [
    [1, 'target_did', 'targetDid', 'string', 'single', ''],
    [2, 'dids', 'dids', 'string', 'repeated', ''],
  ],
  GetActivitySubscriptionDidsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActivitySubscriptionDidsResponse: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActivitySubscriptionsByActorAndSubjectsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'subject_dids', 'subjectDids', 'string', 'repeated', ''],
  ],
  GetActivitySubscriptionsByActorAndSubjectsResponse: [
    [1, 'subscriptions', 'subscriptions', 'message', 'repeated', 'ActivitySubscription'],
  ],
  GetActorBookmarksRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorBookmarksResponse: [
    [1, 'bookmarks', 'bookmarks', 'message', 'repeated', 'BookmarkInfo'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorChatDeclarationRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetActorChatDeclarationRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetActorDraftsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorDraftsResponse: [
    [1, 'drafts', 'drafts', 'message', 'repeated', 'DraftInfo'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorFeedsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorFeedsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorFollowsActorsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'target_dids', 'targetDids', 'string', 'repeated', ''],
  ],
  GetActorFollowsActorsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetActorLikesRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorLikesResponse: [
    [1, 'likes', 'likes', 'message', 'repeated', 'LikeInfo'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorListsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorListsResponse: [
    [1, 'list_uris', 'listUris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorMutesActorRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'target_did', 'targetDid', 'string', 'single', ''],
  ],
  GetActorMutesActorResponse: [
    [1, 'muted', 'muted', 'bool', 'single', ''],
    [2, 'muted_only_reposts', 'mutedOnlyReposts', 'bool', 'single', ''],
    [3, 'muted_only_quoteposts', 'mutedOnlyQuoteposts', 'bool', 'single', ''],
  ],
  GetActorMutesActorViaListRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'target_did', 'targetDid', 'string', 'single', ''],
  ],
  GetActorMutesActorViaListResponse: [
    [1, 'list_uri', 'listUri', 'string', 'single', ''],
  ],
  GetActorRepostsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorRepostsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorStarterPacksRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorStarterPacksResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetActorTakedownRequest: [
    [1, 'did', 'did', 'string', 'single', ''],
  ],
  GetActorTakedownResponse: [
    [1, 'taken_down', 'takenDown', 'bool', 'single', ''],
    [2, 'takedown_ref', 'takedownRef', 'string', 'single', ''],
  ],
  GetActorsRequest: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
    [2, 'skip_cache_for_dids', 'skipCacheForDids', 'string', 'repeated', ''],
    [3, 'return_age_assurance_for_dids', 'returnAgeAssuranceForDids', 'string', 'repeated', ''],
  ],
  GetActorsResponse: [
    [1, 'actors', 'actors', 'message', 'repeated', 'ActorInfo'],
  ],
  GetAllLabelersRequest: [
  ],
  GetAllLabelersResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetAuthorFeedRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
    [4, 'feed_type', 'feedType', 'enum', 'single', 'FeedType'],
  ],
  GetAuthorFeedResponse: [
    [1, 'items', 'items', 'message', 'repeated', 'AuthorFeedItem'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetBidirectionalBlockRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'target_did', 'targetDid', 'string', 'single', ''],
  ],
  GetBidirectionalBlockResponse: [
    [1, 'block_uri', 'blockUri', 'string', 'single', ''],
  ],
  GetBidirectionalBlockViaListRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'target_did', 'targetDid', 'string', 'single', ''],
  ],
  GetBidirectionalBlockViaListResponse: [
    [1, 'list_uri', 'listUri', 'string', 'single', ''],
  ],
  GetBlobTakedownRequest: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'cid', 'cid', 'string', 'single', ''],
  ],
  GetBlobTakedownResponse: [
    [1, 'taken_down', 'takenDown', 'bool', 'single', ''],
    [2, 'takedown_ref', 'takedownRef', 'string', 'single', ''],
  ],
  GetBlockExistenceRequest: [
    [1, 'pairs', 'pairs', 'message', 'repeated', 'RelationshipPair'],
  ],
  GetBlockExistenceResponse: [
    [1, 'exists', 'exists', 'bool', 'repeated', ''],
    [2, 'blocks', 'blocks', 'message', 'repeated', 'BlockExistence'],
  ],
  GetBlockRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetBlockRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetBlocklistSubscriptionRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'list_uri', 'listUri', 'string', 'single', ''],
  ],
  GetBlocklistSubscriptionResponse: [
    [1, 'listblock_uri', 'listblockUri', 'string', 'single', ''],
  ],
  GetBlocklistSubscriptionsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetBlocklistSubscriptionsResponse: [
    [1, 'list_uris', 'listUris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetBlocksRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetBlocksResponse: [
    [1, 'block_uris', 'blockUris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetBookmarksByActorAndSubjectsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetBookmarksByActorAndSubjectsResponse: [
    [1, 'bookmarks', 'bookmarks', 'message', 'repeated', 'Bookmark'],
  ],
  GetCountsForUsersRequest: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
  ],
  GetCountsForUsersResponse: [
    [1, 'posts', 'posts', 'int32', 'repeated', ''],
    [2, 'reposts', 'reposts', 'int32', 'repeated', ''],
    [3, 'following', 'following', 'int32', 'repeated', ''],
    [4, 'followers', 'followers', 'int32', 'repeated', ''],
    [5, 'lists', 'lists', 'int32', 'repeated', ''],
    [6, 'feeds', 'feeds', 'int32', 'repeated', ''],
    [7, 'starter_packs', 'starterPacks', 'int32', 'repeated', ''],
    [8, 'drafts', 'drafts', 'int32', 'repeated', ''],
  ],
  GetDidsByHandlesRequest: [
    [1, 'handles', 'handles', 'string', 'repeated', ''],
    [2, 'lookup_unidirectional', 'lookupUnidirectional', 'bool', 'single', ''],
  ],
  GetDidsByHandlesResponse: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
  ],
  GetFeedGeneratorRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetFeedGeneratorRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetFeedGeneratorStatusRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetFeedGeneratorStatusResponse: [
    [1, 'status', 'status', 'string', 'repeated', ''],
  ],
  GetFollowRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetFollowRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetFollowSuggestionsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'relative_to_did', 'relativeToDid', 'string', 'single', ''],
    [3, 'limit', 'limit', 'int32', 'single', ''],
    [4, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetFollowSuggestionsResponse: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetFollowersRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
    [4, 'sort', 'sort', 'string', 'single', ''],
  ],
  GetFollowersResponse: [
    [1, 'followers', 'followers', 'message', 'repeated', 'FollowInfo'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetFollowsFollowingRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'target_dids', 'targetDids', 'string', 'repeated', ''],
  ],
  GetFollowsFollowingResponse: [
    [1, 'results', 'results', 'message', 'repeated', 'FollowsFollowing'],
  ],
  GetFollowsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
    [4, 'sort', 'sort', 'string', 'single', ''],
  ],
  GetFollowsResponse: [
    [1, 'follows', 'follows', 'message', 'repeated', 'FollowInfo'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetGermDeclarationRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetGermDeclarationRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetIdentityByDidRequest: [
    [1, 'did', 'did', 'string', 'single', ''],
  ],
  GetIdentityByDidResponse: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'handle', 'handle', 'string', 'single', ''],
    [3, 'keys', 'keys', 'bytes', 'single', ''],
    [4, 'services', 'services', 'bytes', 'single', ''],
    [5, 'updated', 'updated', 'timestamp', 'single', ''],
  ],
  GetIdentityByHandleRequest: [
    [1, 'handle', 'handle', 'string', 'single', ''],
  ],
  GetIdentityByHandleResponse: [
    [1, 'handle', 'handle', 'string', 'single', ''],
    [2, 'did', 'did', 'string', 'single', ''],
    [3, 'keys', 'keys', 'bytes', 'single', ''],
    [4, 'services', 'services', 'bytes', 'single', ''],
    [5, 'updated', 'updated', 'timestamp', 'single', ''],
  ],
  GetInteractionCountsRequest: [
    [1, 'refs', 'refs', 'message', 'repeated', 'RecordRef'],
    [2, 'skip_cache_for_dids', 'skipCacheForDids', 'string', 'repeated', ''],
  ],
  GetInteractionCountsResponse: [
    [1, 'likes', 'likes', 'int32', 'repeated', ''],
    [2, 'reposts', 'reposts', 'int32', 'repeated', ''],
    [3, 'replies', 'replies', 'int32', 'repeated', ''],
    [4, 'quotes', 'quotes', 'int32', 'repeated', ''],
    [5, 'bookmarks', 'bookmarks', 'int32', 'repeated', ''],
  ],
  GetKnownLikersRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'subject_uris', 'subjectUris', 'string', 'repeated', ''],
    [3, 'limit', 'limit', 'int32', 'single', ''],
  ],
  GetKnownLikersResponse: [
    [1, 'results', 'results', 'message', 'repeated', 'KnownLikersResult'],
  ],
  GetLabelerRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetLabelerRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetLabelsRequest: [
    [1, 'subjects', 'subjects', 'string', 'repeated', ''],
    [2, 'issuers', 'issuers', 'string', 'repeated', ''],
  ],
  GetLabelsResponse: [
    [1, 'labels', 'labels', 'bytes', 'repeated', ''],
  ],
  GetLatestRevRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
  ],
  GetLatestRevResponse: [
    [1, 'rev', 'rev', 'string', 'single', ''],
  ],
  GetLikeRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetLikeRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetLikesByActorAndSubjectsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'refs', 'refs', 'message', 'repeated', 'RecordRef'],
  ],
  GetLikesByActorAndSubjectsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetLikesBySubjectRequest: [
    [1, 'subject', 'subject', 'message', 'single', 'RecordRef'],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetLikesBySubjectResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetLikesBySubjectSortedRequest: [
    [1, 'subject', 'subject', 'message', 'single', 'RecordRef'],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetLikesBySubjectSortedResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetListBlockRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetListBlockRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetListCountRequest: [
    [1, 'list_uri', 'listUri', 'string', 'single', ''],
  ],
  GetListCountResponse: [
    [1, 'count', 'count', 'int32', 'single', ''],
  ],
  GetListCountsRequest: [
    [1, 'refs', 'refs', 'message', 'repeated', 'RecordRef'],
  ],
  GetListCountsResponse: [
    [1, 'list_items', 'listItems', 'int32', 'repeated', ''],
  ],
  GetListFeedRequest: [
    [1, 'list_uri', 'listUri', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
    [4, 'exclude_replies', 'excludeReplies', 'bool', 'single', ''],
    [5, 'exclude_reposts', 'excludeReposts', 'bool', 'single', ''],
    [6, 'exclude_quotes', 'excludeQuotes', 'bool', 'single', ''],
  ],
  GetListFeedResponse: [
    [1, 'items', 'items', 'message', 'repeated', 'TimelineFeedItem'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetListItemRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetListItemRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetListMembersRequest: [
    [1, 'list_uri', 'listUri', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
    [4, 'viewer_did', 'viewerDid', 'string', 'single', ''],
  ],
  GetListMembersResponse: [
    [1, 'listitems', 'listitems', 'message', 'repeated', 'ListItemInfo'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetListMembershipRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'list_uris', 'listUris', 'string', 'repeated', ''],
  ],
  GetListMembershipResponse: [
    [1, 'listitem_uris', 'listitemUris', 'string', 'repeated', ''],
  ],
  GetListRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetListRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetMutelistSubscriptionRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'list_uri', 'listUri', 'string', 'single', ''],
  ],
  GetMutelistSubscriptionResponse: [
    [1, 'subscribed', 'subscribed', 'bool', 'single', ''],
  ],
  GetMutelistSubscriptionsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetMutelistSubscriptionsResponse: [
    [1, 'list_uris', 'listUris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetMutesRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetMutesResponse: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
    [3, 'mutes', 'mutes', 'message', 'repeated', 'MuteInfo'],
  ],
  GetNewUserCountForRangeRequest: [
    [1, 'start', 'start', 'timestamp', 'single', ''],
    [2, 'end', 'end', 'timestamp', 'single', ''],
  ],
  GetNewUserCountForRangeResponse: [
    [1, 'count', 'count', 'int32', 'single', ''],
  ],
  GetNotificationDeclarationRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetNotificationDeclarationRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetNotificationPreferencesRequest: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
  ],
  GetNotificationPreferencesResponse: [
    [1, 'preferences', 'preferences', 'message', 'repeated', 'NotificationPreferences'],
  ],
  GetNotificationSeenRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
  ],
  GetNotificationSeenResponse: [
    [1, 'timestamp', 'timestamp', 'timestamp', 'single', ''],
  ],
  GetNotificationsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
    [4, 'priority', 'priority', 'bool', 'single', ''],
  ],
  GetNotificationsResponse: [
    [1, 'notifications', 'notifications', 'message', 'repeated', 'Notification'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetPostRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'process_dynamic_tags_for_view', 'processDynamicTagsForView', 'string', 'optional', ''],
    [3, 'viewer_did', 'viewerDid', 'string', 'optional', ''],
    [4, 'include_op_thread_metadata', 'includeOpThreadMetadata', 'bool', 'single', ''],
  ],
  GetPostRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
    [2, 'meta', 'meta', 'message', 'repeated', 'PostRecordMeta'],
    [3, 'op_threads', 'opThreads', 'message', 'repeated', 'OpThread'],
  ],
  GetPostgateRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetPostgateRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetProfileRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetProfileRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetQuotesBySubjectSortedRequest: [
    [1, 'subject', 'subject', 'message', 'single', 'RecordRef'],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetQuotesBySubjectSortedResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetRecordTakedownRequest: [
    [1, 'record_uri', 'recordUri', 'string', 'single', ''],
  ],
  GetRecordTakedownResponse: [
    [1, 'taken_down', 'takenDown', 'bool', 'single', ''],
    [2, 'takedown_ref', 'takedownRef', 'string', 'single', ''],
  ],
  GetReferencelistoptoutsByActorAndSubjectsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'subject_uris', 'subjectUris', 'string', 'repeated', ''],
  ],
  GetReferencelistoptoutsByActorAndSubjectsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetRelationshipsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'target_dids', 'targetDids', 'string', 'repeated', ''],
  ],
  GetRelationshipsResponse: [
    [1, 'relationships', 'relationships', 'message', 'repeated', 'Relationships'],
  ],
  GetRepostRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetRepostRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetRepostsByActorAndSubjectsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'refs', 'refs', 'message', 'repeated', 'RecordRef'],
  ],
  GetRepostsByActorAndSubjectsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetRepostsBySubjectRequest: [
    [1, 'subject', 'subject', 'message', 'single', 'RecordRef'],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetRepostsBySubjectResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetSiteStandardRecordsByRefRequest: [
    [1, 'refs', 'refs', 'message', 'repeated', 'RecordRef'],
  ],
  GetSiteStandardRecordsByRefResponse: [
    [1, 'documents', 'documents', 'message', 'repeated', 'SiteStandardRecord'],
    [2, 'publications', 'publications', 'message', 'repeated', 'SiteStandardRecord'],
  ],
  GetSiteStandardRecordsByURIRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetSiteStandardRecordsByURIResponse: [
    [1, 'documents', 'documents', 'message', 'repeated', 'SiteStandardRecord'],
    [2, 'publications', 'publications', 'message', 'repeated', 'SiteStandardRecord'],
  ],
  GetSitemapIndexRequest: [
    [1, 'type', 'type', 'enum', 'single', 'SitemapPageType'],
  ],
  GetSitemapIndexResponse: [
    [1, 'sitemap', 'sitemap', 'bytes', 'single', ''],
  ],
  GetSitemapPageRequest: [
    [1, 'type', 'type', 'enum', 'single', 'SitemapPageType'],
    [2, 'date', 'date', 'timestamp', 'single', ''],
    [3, 'bucket', 'bucket', 'int32', 'single', ''],
  ],
  GetSitemapPageResponse: [
    [1, 'sitemap', 'sitemap', 'bytes', 'single', ''],
  ],
  GetStarterPackCountsRequest: [
    [1, 'refs', 'refs', 'message', 'repeated', 'RecordRef'],
  ],
  GetStarterPackCountsResponse: [
    [1, 'joined_week', 'joinedWeek', 'int32', 'repeated', ''],
    [2, 'joined_all_time', 'joinedAllTime', 'int32', 'repeated', ''],
  ],
  GetStarterPackRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetStarterPackRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetStatusRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetStatusRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetSuggestedEntitiesRequest: [
    [1, 'limit', 'limit', 'int32', 'single', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetSuggestedEntitiesResponse: [
    [1, 'entities', 'entities', 'message', 'repeated', 'SuggestedEntity'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetSuggestedFeedsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetSuggestedFeedsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetThreadGateRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetThreadGateRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetThreadMutesOnSubjectsRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'thread_roots', 'threadRoots', 'string', 'repeated', ''],
  ],
  GetThreadMutesOnSubjectsResponse: [
    [1, 'muted', 'muted', 'bool', 'repeated', ''],
  ],
  GetThreadRequest: [
    [1, 'post_uri', 'postUri', 'string', 'single', ''],
    [2, 'above', 'above', 'int32', 'single', ''],
    [3, 'below', 'below', 'int32', 'single', ''],
  ],
  GetThreadResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'op_thread', 'opThread', 'string', 'repeated', ''],
  ],
  GetTimelineRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
    [4, 'exclude_replies', 'excludeReplies', 'bool', 'single', ''],
    [5, 'exclude_reposts', 'excludeReposts', 'bool', 'single', ''],
    [6, 'exclude_quotes', 'excludeQuotes', 'bool', 'single', ''],
  ],
  GetTimelineResponse: [
    [1, 'items', 'items', 'message', 'repeated', 'TimelineFeedItem'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetUnreadNotificationCountRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
  ],
  GetUnreadNotificationCountResponse: [
    [1, 'count', 'count', 'int32', 'single', ''],
  ],
  GetVerificationRecordsRequest: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  GetVerificationRecordsResponse: [
    [1, 'records', 'records', 'message', 'repeated', 'Record'],
  ],
  GetVerificationsIssuedRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetVerificationsIssuedResponse: [
    [1, 'verifications', 'verifications', 'message', 'repeated', 'VerificationIssued'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetVerificationsReceivedRequest: [
    [1, 'subject_did', 'subjectDid', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  GetVerificationsReceivedResponse: [
    [1, 'verifications', 'verifications', 'message', 'repeated', 'VerificationReceived'],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  KnownLikersResult: [
    [1, 'subject_uri', 'subjectUri', 'string', 'single', ''],
    [2, 'count', 'count', 'int32', 'single', ''],
    [3, 'dids', 'dids', 'string', 'repeated', ''],
  ],
  LikeInfo: [
    [1, 'uri', 'uri', 'string', 'single', ''],
    [2, 'subject', 'subject', 'string', 'single', ''],
  ],
  ListItemInfo: [
    [1, 'uri', 'uri', 'string', 'single', ''],
    [2, 'did', 'did', 'string', 'single', ''],
    [3, 'subject_opted_out', 'subjectOptedOut', 'bool', 'single', ''],
  ],
  MuteInfo: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'only_reposts', 'onlyReposts', 'bool', 'single', ''],
    [3, 'only_quoteposts', 'onlyQuoteposts', 'bool', 'single', ''],
  ],
  Notification: [
    [1, 'recipient_did', 'recipientDid', 'string', 'single', ''],
    [2, 'uri', 'uri', 'string', 'single', ''],
    [3, 'reason', 'reason', 'string', 'single', ''],
    [4, 'reason_subject', 'reasonSubject', 'string', 'single', ''],
    [5, 'timestamp', 'timestamp', 'timestamp', 'single', ''],
    [6, 'priority', 'priority', 'bool', 'single', ''],
  ],
  NotificationChannelList: [
    [1, 'enabled', 'enabled', 'bool', 'single', ''],
  ],
  NotificationChannelPush: [
    [1, 'enabled', 'enabled', 'bool', 'single', ''],
  ],
  NotificationPreference: [
    [1, 'list', 'list', 'message', 'single', 'NotificationChannelList'],
    [2, 'push', 'push', 'message', 'single', 'NotificationChannelPush'],
  ],
  NotificationPreferences: [
    [1, 'entry', 'entry', 'bytes', 'single', ''],
    [3, 'follow', 'follow', 'message', 'single', 'FilterableNotificationPreference'],
    [4, 'like', 'like', 'message', 'single', 'FilterableNotificationPreference'],
    [5, 'like_via_repost', 'likeViaRepost', 'message', 'single', 'FilterableNotificationPreference'],
    [6, 'mention', 'mention', 'message', 'single', 'FilterableNotificationPreference'],
    [7, 'quote', 'quote', 'message', 'single', 'FilterableNotificationPreference'],
    [8, 'reply', 'reply', 'message', 'single', 'FilterableNotificationPreference'],
    [9, 'repost', 'repost', 'message', 'single', 'FilterableNotificationPreference'],
    [10, 'repost_via_repost', 'repostViaRepost', 'message', 'single', 'FilterableNotificationPreference'],
    [11, 'starterpack_joined', 'starterpackJoined', 'message', 'single', 'NotificationPreference'],
    [12, 'subscribed_post', 'subscribedPost', 'message', 'single', 'NotificationPreference'],
    [13, 'unverified', 'unverified', 'message', 'single', 'NotificationPreference'],
    [14, 'verified', 'verified', 'message', 'single', 'NotificationPreference'],
  ],
  OpThread: [
    [1, 'root_uri', 'rootUri', 'string', 'single', ''],
    [2, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  PageInfo: [
    [1, 'cursor', 'cursor', 'string', 'single', ''],
    [2, 'hits_total', 'hitsTotal', 'int64', 'single', ''],
  ],
  PingRequest: [
  ],
  PingResponse: [
  ],
  PostActivitySubscription: [
  ],
  PostRecordMeta: [
    [1, 'violates_thread_gate', 'violatesThreadGate', 'bool', 'single', ''],
    [2, 'has_media', 'hasMedia', 'bool', 'single', ''],
    [3, 'is_reply', 'isReply', 'bool', 'single', ''],
    [4, 'violates_embedding_rules', 'violatesEmbeddingRules', 'bool', 'single', ''],
    [5, 'has_post_gate', 'hasPostGate', 'bool', 'single', ''],
    [6, 'has_thread_gate', 'hasThreadGate', 'bool', 'single', ''],
    [7, 'has_video', 'hasVideo', 'bool', 'single', ''],
  ],
  PostsFilters: [
    [1, 'authors', 'authors', 'string', 'repeated', ''],
    [2, 'mentions', 'mentions', 'string', 'repeated', ''],
    [3, 'domains', 'domains', 'string', 'repeated', ''],
    [4, 'urls', 'urls', 'string', 'repeated', ''],
    [5, 'embedded_at_uris', 'embeddedAtUris', 'string', 'repeated', ''],
    [6, 'hashtags', 'hashtags', 'string', 'repeated', ''],
    [7, 'languages', 'languages', 'string', 'repeated', ''],
  ],
  Record: [
    [1, 'record', 'record', 'bytes', 'single', ''],
    [2, 'cid', 'cid', 'string', 'single', ''],
    [4, 'indexed_at', 'indexedAt', 'timestamp', 'single', ''],
    [5, 'taken_down', 'takenDown', 'bool', 'single', ''],
    [6, 'created_at', 'createdAt', 'timestamp', 'single', ''],
    [7, 'sorted_at', 'sortedAt', 'timestamp', 'single', ''],
    [8, 'takedown_ref', 'takedownRef', 'string', 'single', ''],
    [9, 'tags', 'tags', 'string', 'repeated', ''],
  ],
  RecordRef: [
    [1, 'uri', 'uri', 'string', 'single', ''],
    [2, 'cid', 'cid', 'string', 'single', ''],
  ],
  RelationshipPair: [
    [1, 'a', 'a', 'string', 'single', ''],
    [2, 'b', 'b', 'string', 'single', ''],
  ],
  Relationships: [
    [1, 'muted', 'muted', 'bool', 'single', ''],
    [2, 'muted_by_list', 'mutedByList', 'string', 'single', ''],
    [3, 'blocked_by', 'blockedBy', 'string', 'single', ''],
    [4, 'blocking', 'blocking', 'string', 'single', ''],
    [5, 'blocked_by_list', 'blockedByList', 'string', 'single', ''],
    [6, 'blocking_by_list', 'blockingByList', 'string', 'single', ''],
    [7, 'following', 'following', 'string', 'single', ''],
    [8, 'followed_by', 'followedBy', 'string', 'single', ''],
    [9, 'muted_only_reposts', 'mutedOnlyReposts', 'bool', 'single', ''],
    [10, 'muted_only_quoteposts', 'mutedOnlyQuoteposts', 'bool', 'single', ''],
  ],
  ReplyActivitySubscription: [
  ],
  SearchActorResult: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'score', 'score', 'double', 'single', ''],
  ],
  SearchActorsRequest: [
    [1, 'term', 'term', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  SearchActorsResponse: [
    [1, 'dids', 'dids', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  SearchActorsTypeaheadRequest: [
    [1, 'params', 'params', 'message', 'single', 'SearchTypeaheadParams'],
  ],
  SearchActorsTypeaheadResponse: [
    [1, 'actors', 'actors', 'message', 'repeated', 'SearchActorResult'],
  ],
  SearchActorsV2Request: [
    [1, 'params', 'params', 'message', 'single', 'SearchParams'],
  ],
  SearchActorsV2Response: [
    [1, 'actors', 'actors', 'message', 'repeated', 'SearchActorResult'],
    [2, 'page_info', 'pageInfo', 'message', 'single', 'PageInfo'],
  ],
  SearchFeedGeneratorsRequest: [
    [1, 'query', 'query', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
  ],
  SearchFeedGeneratorsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
  ],
  SearchFeedGeneratorsV2Request: [
    [1, 'params', 'params', 'message', 'single', 'SearchParams'],
  ],
  SearchFeedGeneratorsV2Response: [
    [1, 'feed_generators', 'feedGenerators', 'message', 'repeated', 'SearchRecordResult'],
    [2, 'page_info', 'pageInfo', 'message', 'single', 'PageInfo'],
  ],
  SearchParams: [
    [1, 'query', 'query', 'string', 'single', ''],
    [2, 'viewer', 'viewer', 'string', 'single', ''],
    [3, 'limit', 'limit', 'int32', 'single', ''],
    [4, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  SearchPostsRequest: [
    [1, 'term', 'term', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  SearchPostsResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  SearchPostsV2Request: [
    [1, 'params', 'params', 'message', 'single', 'SearchParams'],
    [2, 'sort', 'sort', 'enum', 'single', 'SearchSortOrder'],
    [3, 'filters', 'filters', 'message', 'single', 'PostsFilters'],
    [4, 'exclude', 'exclude', 'message', 'single', 'PostsFilters'],
    [5, 'since', 'since', 'timestamp', 'optional', ''],
    [6, 'until', 'until', 'timestamp', 'optional', ''],
    [7, 'all_time', 'allTime', 'bool', 'optional', ''],
    [8, 'has_media', 'hasMedia', 'bool', 'optional', ''],
    [9, 'has_video', 'hasVideo', 'bool', 'optional', ''],
    [10, 'reply_parent_uri', 'replyParentUri', 'string', 'optional', ''],
    [11, 'thread_root_uri', 'threadRootUri', 'string', 'optional', ''],
    [12, 'exclude_replies', 'excludeReplies', 'bool', 'optional', ''],
    [13, 'replies_only', 'repliesOnly', 'bool', 'optional', ''],
    [14, 'following', 'following', 'bool', 'optional', ''],
    [15, 'query_language', 'queryLanguage', 'enum', 'optional', 'SearchQueryLanguage'],
  ],
  SearchPostsV2Response: [
    [1, 'posts', 'posts', 'message', 'repeated', 'SearchRecordResult'],
    [2, 'page_info', 'pageInfo', 'message', 'single', 'PageInfo'],
    [3, 'detected_query_languages', 'detectedQueryLanguages', 'string', 'repeated', ''],
  ],
  SearchRecordResult: [
    [1, 'uri', 'uri', 'string', 'single', ''],
    [2, 'score', 'score', 'double', 'single', ''],
  ],
  SearchStarterPacksRequest: [
    [1, 'term', 'term', 'string', 'single', ''],
    [2, 'limit', 'limit', 'int32', 'single', ''],
    [3, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  SearchStarterPacksResponse: [
    [1, 'uris', 'uris', 'string', 'repeated', ''],
    [2, 'cursor', 'cursor', 'string', 'single', ''],
  ],
  SearchStarterPacksV2Request: [
    [1, 'params', 'params', 'message', 'single', 'SearchParams'],
  ],
  SearchStarterPacksV2Response: [
    [1, 'starter_packs', 'starterPacks', 'message', 'repeated', 'SearchRecordResult'],
    [2, 'page_info', 'pageInfo', 'message', 'single', 'PageInfo'],
  ],
  SearchTypeaheadParams: [
    [1, 'query', 'query', 'string', 'single', ''],
    [2, 'viewer', 'viewer', 'string', 'single', ''],
    [3, 'limit', 'limit', 'int32', 'single', ''],
  ],
  SiteStandardRecord: [
    [1, 'ref', 'ref', 'message', 'single', 'RecordRef'],
    [2, 'record', 'record', 'message', 'single', 'Record'],
  ],
  StashRef: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'namespace', 'namespace', 'string', 'single', ''],
    [3, 'key', 'key', 'string', 'single', ''],
  ],
  SuggestedEntity: [
    [1, 'tag', 'tag', 'string', 'single', ''],
    [2, 'subject', 'subject', 'string', 'single', ''],
    [3, 'subject_type', 'subjectType', 'string', 'single', ''],
    [4, 'priority', 'priority', 'int64', 'single', ''],
  ],
  TakedownActorRequest: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'ref', 'ref', 'string', 'single', ''],
    [3, 'seen', 'seen', 'timestamp', 'single', ''],
  ],
  TakedownActorResponse: [
  ],
  TakedownBlobRequest: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'cid', 'cid', 'string', 'single', ''],
    [3, 'ref', 'ref', 'string', 'single', ''],
    [4, 'seen', 'seen', 'timestamp', 'single', ''],
  ],
  TakedownBlobResponse: [
  ],
  TakedownRecordRequest: [
    [1, 'record_uri', 'recordUri', 'string', 'single', ''],
    [2, 'ref', 'ref', 'string', 'single', ''],
    [3, 'seen', 'seen', 'timestamp', 'single', ''],
  ],
  TakedownRecordResponse: [
  ],
  TimelineFeedItem: [
    [1, 'uri', 'uri', 'string', 'single', ''],
    [2, 'cid', 'cid', 'string', 'single', ''],
    [3, 'repost', 'repost', 'string', 'single', ''],
    [4, 'repost_cid', 'repostCid', 'string', 'single', ''],
    [5, 'is_reply', 'isReply', 'bool', 'single', ''],
    [6, 'is_repost', 'isRepost', 'bool', 'single', ''],
    [7, 'is_quote_post', 'isQuotePost', 'bool', 'single', ''],
  ],
  UntakedownActorRequest: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'seen', 'seen', 'timestamp', 'single', ''],
  ],
  UntakedownActorResponse: [
  ],
  UntakedownBlobRequest: [
    [1, 'did', 'did', 'string', 'single', ''],
    [2, 'cid', 'cid', 'string', 'single', ''],
    [3, 'seen', 'seen', 'timestamp', 'single', ''],
  ],
  UntakedownBlobResponse: [
  ],
  UntakedownRecordRequest: [
    [1, 'record_uri', 'recordUri', 'string', 'single', ''],
    [2, 'seen', 'seen', 'timestamp', 'single', ''],
  ],
  UntakedownRecordResponse: [
  ],
  UpdateActorUpstreamStatusRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'active', 'active', 'bool', 'single', ''],
    [3, 'upstream_status', 'upstreamStatus', 'string', 'single', ''],
  ],
  UpdateActorUpstreamStatusResponse: [
  ],
  UpdateNotificationSeenRequest: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'timestamp', 'timestamp', 'timestamp', 'single', ''],
  ],
  UpdateNotificationSeenResponse: [
  ],
  VerificationIssued: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'rkey', 'rkey', 'string', 'single', ''],
    [3, 'subject_did', 'subjectDid', 'string', 'single', ''],
    [7, 'created_at', 'createdAt', 'timestamp', 'single', ''],
    [8, 'indexed_at', 'indexedAt', 'timestamp', 'single', ''],
    [9, 'sorted_at', 'sortedAt', 'timestamp', 'single', ''],
  ],
  VerificationMeta: [
    [1, 'rkey', 'rkey', 'string', 'single', ''],
    [2, 'handle', 'handle', 'string', 'single', ''],
    [3, 'display_name', 'displayName', 'string', 'single', ''],
    [4, 'sorted_at', 'sortedAt', 'timestamp', 'single', ''],
  ],
  VerificationReceived: [
    [1, 'actor_did', 'actorDid', 'string', 'single', ''],
    [2, 'rkey', 'rkey', 'string', 'single', ''],
    [3, 'subject_did', 'subjectDid', 'string', 'single', ''],
    [7, 'created_at', 'createdAt', 'timestamp', 'single', ''],
    [8, 'indexed_at', 'indexedAt', 'timestamp', 'single', ''],
    [9, 'sorted_at', 'sortedAt', 'timestamp', 'single', ''],
  ],
};

/** Numbers of every message's fields, by their JSON names. */
export const fieldNumber = {
  ActivitySubscription: { actorDid: 1, namespace: 2, key: 3, post: 4, reply: 5, subjectDid: 6, indexedAt: 7 },
  ActorInfo: { exists: 1, handle: 2, profile: 3, takenDown: 4, takedownRef: 5, tombstonedAt: 6, labeler: 7, allowIncomingChatsFrom: 8, upstreamStatus: 9, createdAt: 10, priorityNotifications: 11, pagerank: 12, trustedVerifier: 13, verifiedBy: 14, tags: 15, profileTags: 16, statusRecord: 17, allowActivitySubscriptionsFrom: 18, ageAssuranceStatus: 19, germRecord: 21, allowGroupChatInvitesFrom: 22 },
  AgeAssuranceStatus: { status: 1, lastInitiatedAt: 2, overrideApplied: 3, access: 4 },
  AuthorFeedItem: { uri: 1, cid: 2, repost: 3, repostCid: 4, postsAndAuthorThreads: 5, postsNoReplies: 6, postsWithMedia: 7, isReply: 8, isRepost: 9, isQuotePost: 10, postsWithVideo: 11 },
  BlockExistence: { blockedBy: 1, blocking: 2, blockedByList: 3, blockingByList: 4 },
  Bookmark: { ref: 1, subjectUri: 2, subjectCid: 3, indexedAt: 4 },
  BookmarkInfo: { key: 1, subject: 2 },
  ClearActorMutelistSubscriptionsRequest: { actorDid: 1 },
  ClearActorMutesRequest: { actorDid: 1 },
  ClearThreadMutesRequest: { actorDid: 1 },
  CreateActorMuteRequest: { actorDid: 1, subjectDid: 2, onlyReposts: 3, onlyQuoteposts: 4 },
  CreateActorMutelistSubscriptionRequest: { actorDid: 1, subjectUri: 2 },
  CreateThreadMuteRequest: { actorDid: 1, threadRoot: 2 },
  DeleteActorMuteRequest: { actorDid: 1, subjectDid: 2 },
  DeleteActorMutelistSubscriptionRequest: { actorDid: 1, subjectUri: 2 },
  DeleteThreadMuteRequest: { actorDid: 1, threadRoot: 2 },
  DraftInfo: { key: 1, createdAt: 2, updatedAt: 3, payload: 4 },
  FilterableNotificationPreference: { include: 1, list: 2, push: 3 },
  FollowInfo: { uri: 1, actorDid: 2, subjectDid: 3 },
  FollowsFollowing: { targetDid: 1, dids: 2 },
  GetActivitySubscriptionDidsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActivitySubscriptionDidsResponse: { dids: 1, cursor: 2 },
  GetActivitySubscriptionsByActorAndSubjectsRequest: { actorDid: 1, subjectDids: 2 },
  GetActivitySubscriptionsByActorAndSubjectsResponse: { subscriptions: 1 },
  GetActorBookmarksRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActorBookmarksResponse: { bookmarks: 1, cursor: 2 },
  GetActorChatDeclarationRecordsRequest: { uris: 1 },
  GetActorChatDeclarationRecordsResponse: { records: 1 },
  GetActorDraftsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActorDraftsResponse: { drafts: 1, cursor: 2 },
  GetActorFeedsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActorFeedsResponse: { uris: 1, cursor: 2 },
  GetActorFollowsActorsRequest: { actorDid: 1, targetDids: 2 },
  GetActorFollowsActorsResponse: { uris: 1 },
  GetActorLikesRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActorLikesResponse: { likes: 1, cursor: 2 },
  GetActorListsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActorListsResponse: { listUris: 1, cursor: 2 },
  GetActorMutesActorRequest: { actorDid: 1, targetDid: 2 },
  GetActorMutesActorResponse: { muted: 1, mutedOnlyReposts: 2, mutedOnlyQuoteposts: 3 },
  GetActorMutesActorViaListRequest: { actorDid: 1, targetDid: 2 },
  GetActorMutesActorViaListResponse: { listUri: 1 },
  GetActorRepostsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActorRepostsResponse: { uris: 1, cursor: 2 },
  GetActorStarterPacksRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetActorStarterPacksResponse: { uris: 1, cursor: 2 },
  GetActorTakedownRequest: { did: 1 },
  GetActorTakedownResponse: { takenDown: 1, takedownRef: 2 },
  GetActorsRequest: { dids: 1, skipCacheForDids: 2, returnAgeAssuranceForDids: 3 },
  GetActorsResponse: { actors: 1 },
  GetAllLabelersResponse: { uris: 1, records: 2 },
  GetAuthorFeedRequest: { actorDid: 1, limit: 2, cursor: 3, feedType: 4 },
  GetAuthorFeedResponse: { items: 1, cursor: 2 },
  GetBidirectionalBlockRequest: { actorDid: 1, targetDid: 2 },
  GetBidirectionalBlockResponse: { blockUri: 1 },
  GetBidirectionalBlockViaListRequest: { actorDid: 1, targetDid: 2 },
  GetBidirectionalBlockViaListResponse: { listUri: 1 },
  GetBlobTakedownRequest: { did: 1, cid: 2 },
  GetBlobTakedownResponse: { takenDown: 1, takedownRef: 2 },
  GetBlockExistenceRequest: { pairs: 1 },
  GetBlockExistenceResponse: { exists: 1, blocks: 2 },
  GetBlockRecordsRequest: { uris: 1 },
  GetBlockRecordsResponse: { records: 1 },
  GetBlocklistSubscriptionRequest: { actorDid: 1, listUri: 2 },
  GetBlocklistSubscriptionResponse: { listblockUri: 1 },
  GetBlocklistSubscriptionsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetBlocklistSubscriptionsResponse: { listUris: 1, cursor: 2 },
  GetBlocksRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetBlocksResponse: { blockUris: 1, cursor: 2 },
  GetBookmarksByActorAndSubjectsRequest: { actorDid: 1, uris: 2 },
  GetBookmarksByActorAndSubjectsResponse: { bookmarks: 1 },
  GetCountsForUsersRequest: { dids: 1 },
  GetCountsForUsersResponse: { posts: 1, reposts: 2, following: 3, followers: 4, lists: 5, feeds: 6, starterPacks: 7, drafts: 8 },
  GetDidsByHandlesRequest: { handles: 1, lookupUnidirectional: 2 },
  GetDidsByHandlesResponse: { dids: 1 },
  GetFeedGeneratorRecordsRequest: { uris: 1 },
  GetFeedGeneratorRecordsResponse: { records: 1 },
  GetFeedGeneratorStatusRequest: { uris: 1 },
  GetFeedGeneratorStatusResponse: { status: 1 },
  GetFollowRecordsRequest: { uris: 1 },
  GetFollowRecordsResponse: { records: 1 },
  GetFollowSuggestionsRequest: { actorDid: 1, relativeToDid: 2, limit: 3, cursor: 4 },
  GetFollowSuggestionsResponse: { dids: 1, cursor: 2 },
  GetFollowersRequest: { actorDid: 1, limit: 2, cursor: 3, sort: 4 },
  GetFollowersResponse: { followers: 1, cursor: 2 },
  GetFollowsFollowingRequest: { actorDid: 1, targetDids: 2 },
  GetFollowsFollowingResponse: { results: 1 },
  GetFollowsRequest: { actorDid: 1, limit: 2, cursor: 3, sort: 4 },
  GetFollowsResponse: { follows: 1, cursor: 2 },
  GetGermDeclarationRecordsRequest: { uris: 1 },
  GetGermDeclarationRecordsResponse: { records: 1 },
  GetIdentityByDidRequest: { did: 1 },
  GetIdentityByDidResponse: { did: 1, handle: 2, keys: 3, services: 4, updated: 5 },
  GetIdentityByHandleRequest: { handle: 1 },
  GetIdentityByHandleResponse: { handle: 1, did: 2, keys: 3, services: 4, updated: 5 },
  GetInteractionCountsRequest: { refs: 1, skipCacheForDids: 2 },
  GetInteractionCountsResponse: { likes: 1, reposts: 2, replies: 3, quotes: 4, bookmarks: 5 },
  GetKnownLikersRequest: { actorDid: 1, subjectUris: 2, limit: 3 },
  GetKnownLikersResponse: { results: 1 },
  GetLabelerRecordsRequest: { uris: 1 },
  GetLabelerRecordsResponse: { records: 1 },
  GetLabelsRequest: { subjects: 1, issuers: 2 },
  GetLabelsResponse: { labels: 1 },
  GetLatestRevRequest: { actorDid: 1 },
  GetLatestRevResponse: { rev: 1 },
  GetLikeRecordsRequest: { uris: 1 },
  GetLikeRecordsResponse: { records: 1 },
  GetLikesByActorAndSubjectsRequest: { actorDid: 1, refs: 2 },
  GetLikesByActorAndSubjectsResponse: { uris: 1 },
  GetLikesBySubjectRequest: { subject: 1, limit: 2, cursor: 3 },
  GetLikesBySubjectResponse: { uris: 1, cursor: 2 },
  GetLikesBySubjectSortedRequest: { subject: 1, limit: 2, cursor: 3 },
  GetLikesBySubjectSortedResponse: { uris: 1, cursor: 2 },
  GetListBlockRecordsRequest: { uris: 1 },
  GetListBlockRecordsResponse: { records: 1 },
  GetListCountRequest: { listUri: 1 },
  GetListCountResponse: { count: 1 },
  GetListCountsRequest: { refs: 1 },
  GetListCountsResponse: { listItems: 1 },
  GetListFeedRequest: { listUri: 1, limit: 2, cursor: 3, excludeReplies: 4, excludeReposts: 5, excludeQuotes: 6 },
  GetListFeedResponse: { items: 1, cursor: 2 },
  GetListItemRecordsRequest: { uris: 1 },
  GetListItemRecordsResponse: { records: 1 },
  GetListMembersRequest: { listUri: 1, limit: 2, cursor: 3, viewerDid: 4 },
  GetListMembersResponse: { listitems: 1, cursor: 2 },
  GetListMembershipRequest: { actorDid: 1, listUris: 2 },
  GetListMembershipResponse: { listitemUris: 1 },
  GetListRecordsRequest: { uris: 1 },
  GetListRecordsResponse: { records: 1 },
  GetMutelistSubscriptionRequest: { actorDid: 1, listUri: 2 },
  GetMutelistSubscriptionResponse: { subscribed: 1 },
  GetMutelistSubscriptionsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetMutelistSubscriptionsResponse: { listUris: 1, cursor: 2 },
  GetMutesRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetMutesResponse: { dids: 1, cursor: 2, mutes: 3 },
  GetNewUserCountForRangeRequest: { start: 1, end: 2 },
  GetNewUserCountForRangeResponse: { count: 1 },
  GetNotificationDeclarationRecordsRequest: { uris: 1 },
  GetNotificationDeclarationRecordsResponse: { records: 1 },
  GetNotificationPreferencesRequest: { dids: 1 },
  GetNotificationPreferencesResponse: { preferences: 1 },
  GetNotificationSeenRequest: { actorDid: 1 },
  GetNotificationSeenResponse: { timestamp: 1 },
  GetNotificationsRequest: { actorDid: 1, limit: 2, cursor: 3, priority: 4 },
  GetNotificationsResponse: { notifications: 1, cursor: 2 },
  GetPostRecordsRequest: { uris: 1, processDynamicTagsForView: 2, viewerDid: 3, includeOpThreadMetadata: 4 },
  GetPostRecordsResponse: { records: 1, meta: 2, opThreads: 3 },
  GetPostgateRecordsRequest: { uris: 1 },
  GetPostgateRecordsResponse: { records: 1 },
  GetProfileRecordsRequest: { uris: 1 },
  GetProfileRecordsResponse: { records: 1 },
  GetQuotesBySubjectSortedRequest: { subject: 1, limit: 2, cursor: 3 },
  GetQuotesBySubjectSortedResponse: { uris: 1, cursor: 2 },
  GetRecordTakedownRequest: { recordUri: 1 },
  GetRecordTakedownResponse: { takenDown: 1, takedownRef: 2 },
  GetReferencelistoptoutsByActorAndSubjectsRequest: { actorDid: 1, subjectUris: 2 },
  GetReferencelistoptoutsByActorAndSubjectsResponse: { uris: 1 },
  GetRelationshipsRequest: { actorDid: 1, targetDids: 2 },
  GetRelationshipsResponse: { relationships: 1 },
  GetRepostRecordsRequest: { uris: 1 },
  GetRepostRecordsResponse: { records: 1 },
  GetRepostsByActorAndSubjectsRequest: { actorDid: 1, refs: 2 },
  GetRepostsByActorAndSubjectsResponse: { uris: 1 },
  GetRepostsBySubjectRequest: { subject: 1, limit: 2, cursor: 3 },
  GetRepostsBySubjectResponse: { uris: 1, cursor: 2 },
  GetSiteStandardRecordsByRefRequest: { refs: 1 },
  GetSiteStandardRecordsByRefResponse: { documents: 1, publications: 2 },
  GetSiteStandardRecordsByURIRequest: { uris: 1 },
  GetSiteStandardRecordsByURIResponse: { documents: 1, publications: 2 },
  GetSitemapIndexRequest: { type: 1 },
  GetSitemapIndexResponse: { sitemap: 1 },
  GetSitemapPageRequest: { type: 1, date: 2, bucket: 3 },
  GetSitemapPageResponse: { sitemap: 1 },
  GetStarterPackCountsRequest: { refs: 1 },
  GetStarterPackCountsResponse: { joinedWeek: 1, joinedAllTime: 2 },
  GetStarterPackRecordsRequest: { uris: 1 },
  GetStarterPackRecordsResponse: { records: 1 },
  GetStatusRecordsRequest: { uris: 1 },
  GetStatusRecordsResponse: { records: 1 },
  GetSuggestedEntitiesRequest: { limit: 1, cursor: 2 },
  GetSuggestedEntitiesResponse: { entities: 1, cursor: 2 },
  GetSuggestedFeedsRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetSuggestedFeedsResponse: { uris: 1, cursor: 2 },
  GetThreadGateRecordsRequest: { uris: 1 },
  GetThreadGateRecordsResponse: { records: 1 },
  GetThreadMutesOnSubjectsRequest: { actorDid: 1, threadRoots: 2 },
  GetThreadMutesOnSubjectsResponse: { muted: 1 },
  GetThreadRequest: { postUri: 1, above: 2, below: 3 },
  GetThreadResponse: { uris: 1, opThread: 2 },
  GetTimelineRequest: { actorDid: 1, limit: 2, cursor: 3, excludeReplies: 4, excludeReposts: 5, excludeQuotes: 6 },
  GetTimelineResponse: { items: 1, cursor: 2 },
  GetUnreadNotificationCountRequest: { actorDid: 1 },
  GetUnreadNotificationCountResponse: { count: 1 },
  GetVerificationRecordsRequest: { uris: 1 },
  GetVerificationRecordsResponse: { records: 1 },
  GetVerificationsIssuedRequest: { actorDid: 1, limit: 2, cursor: 3 },
  GetVerificationsIssuedResponse: { verifications: 1, cursor: 2 },
  GetVerificationsReceivedRequest: { subjectDid: 1, limit: 2, cursor: 3 },
  GetVerificationsReceivedResponse: { verifications: 1, cursor: 2 },
  KnownLikersResult: { subjectUri: 1, count: 2, dids: 3 },
  LikeInfo: { uri: 1, subject: 2 },
  ListItemInfo: { uri: 1, did: 2, subjectOptedOut: 3 },
  MuteInfo: { did: 1, onlyReposts: 2, onlyQuoteposts: 3 },
  Notification: { recipientDid: 1, uri: 2, reason: 3, reasonSubject: 4, timestamp: 5, priority: 6 },
  NotificationChannelList: { enabled: 1 },
  NotificationChannelPush: { enabled: 1 },
  NotificationPreference: { list: 1, push: 2 },
  NotificationPreferences: { entry: 1, follow: 3, like: 4, likeViaRepost: 5, mention: 6, quote: 7, reply: 8, repost: 9, repostViaRepost: 10, starterpackJoined: 11, subscribedPost: 12, unverified: 13, verified: 14 },
  OpThread: { rootUri: 1, uris: 2 },
  PageInfo: { cursor: 1, hitsTotal: 2 },
  PostRecordMeta: { violatesThreadGate: 1, hasMedia: 2, isReply: 3, violatesEmbeddingRules: 4, hasPostGate: 5, hasThreadGate: 6, hasVideo: 7 },
  PostsFilters: { authors: 1, mentions: 2, domains: 3, urls: 4, embeddedAtUris: 5, hashtags: 6, languages: 7 },
  Record: { record: 1, cid: 2, indexedAt: 4, takenDown: 5, createdAt: 6, sortedAt: 7, takedownRef: 8, tags: 9 },
  RecordRef: { uri: 1, cid: 2 },
  RelationshipPair: { a: 1, b: 2 },
  Relationships: { muted: 1, mutedByList: 2, blockedBy: 3, blocking: 4, blockedByList: 5, blockingByList: 6, following: 7, followedBy: 8, mutedOnlyReposts: 9, mutedOnlyQuoteposts: 10 },
  SearchActorResult: { did: 1, score: 2 },
  SearchActorsRequest: { term: 1, limit: 2, cursor: 3 },
  SearchActorsResponse: { dids: 1, cursor: 2 },
  SearchActorsTypeaheadRequest: { params: 1 },
  SearchActorsTypeaheadResponse: { actors: 1 },
  SearchActorsV2Request: { params: 1 },
  SearchActorsV2Response: { actors: 1, pageInfo: 2 },
  SearchFeedGeneratorsRequest: { query: 1, limit: 2 },
  SearchFeedGeneratorsResponse: { uris: 1 },
  SearchFeedGeneratorsV2Request: { params: 1 },
  SearchFeedGeneratorsV2Response: { feedGenerators: 1, pageInfo: 2 },
  SearchParams: { query: 1, viewer: 2, limit: 3, cursor: 4 },
  SearchPostsRequest: { term: 1, limit: 2, cursor: 3 },
  SearchPostsResponse: { uris: 1, cursor: 2 },
  SearchPostsV2Request: { params: 1, sort: 2, filters: 3, exclude: 4, since: 5, until: 6, allTime: 7, hasMedia: 8, hasVideo: 9, replyParentUri: 10, threadRootUri: 11, excludeReplies: 12, repliesOnly: 13, following: 14, queryLanguage: 15 },
  SearchPostsV2Response: { posts: 1, pageInfo: 2, detectedQueryLanguages: 3 },
  SearchRecordResult: { uri: 1, score: 2 },
  SearchStarterPacksRequest: { term: 1, limit: 2, cursor: 3 },
  SearchStarterPacksResponse: { uris: 1, cursor: 2 },
  SearchStarterPacksV2Request: { params: 1 },
  SearchStarterPacksV2Response: { starterPacks: 1, pageInfo: 2 },
  SearchTypeaheadParams: { query: 1, viewer: 2, limit: 3 },
  SiteStandardRecord: { ref: 1, record: 2 },
  StashRef: { actorDid: 1, namespace: 2, key: 3 },
  SuggestedEntity: { tag: 1, subject: 2, subjectType: 3, priority: 4 },
  TakedownActorRequest: { did: 1, ref: 2, seen: 3 },
  TakedownBlobRequest: { did: 1, cid: 2, ref: 3, seen: 4 },
  TakedownRecordRequest: { recordUri: 1, ref: 2, seen: 3 },
  TimelineFeedItem: { uri: 1, cid: 2, repost: 3, repostCid: 4, isReply: 5, isRepost: 6, isQuotePost: 7 },
  UntakedownActorRequest: { did: 1, seen: 2 },
  UntakedownBlobRequest: { did: 1, cid: 2, seen: 3 },
  UntakedownRecordRequest: { recordUri: 1, seen: 2 },
  UpdateActorUpstreamStatusRequest: { actorDid: 1, active: 2, upstreamStatus: 3 },
  UpdateNotificationSeenRequest: { actorDid: 1, timestamp: 2 },
  VerificationIssued: { actorDid: 1, rkey: 2, subjectDid: 3, createdAt: 7, indexedAt: 8, sortedAt: 9 },
  VerificationMeta: { rkey: 1, handle: 2, displayName: 3, sortedAt: 4 },
  VerificationReceived: { actorDid: 1, rkey: 2, subjectDid: 3, createdAt: 7, indexedAt: 8, sortedAt: 9 },
} as const;

/** Names of every enum in JSON. */
export const namesByEnum: Readonly<{ [name: string]: readonly EnumName[] }> = {
  FeedType: feedTypeNames,
  NotificationInclude: notificationIncludeNames,
  SearchQueryLanguage: searchQueryLanguageNames,
  SearchSortOrder: searchSortOrderNames,
  SitemapPageType: sitemapPageTypeNames,
};

/** Every method: name, request, response. */
export const serviceMethods = [
  ['GetBlockRecords', 'GetBlockRecordsRequest', 'GetBlockRecordsResponse'],
  ['GetFeedGeneratorRecords', 'GetFeedGeneratorRecordsRequest', 'GetFeedGeneratorRecordsResponse'],
  ['GetFollowRecords', 'GetFollowRecordsRequest', 'GetFollowRecordsResponse'],
  ['GetLikeRecords', 'GetLikeRecordsRequest', 'GetLikeRecordsResponse'],
  ['GetListBlockRecords', 'GetListBlockRecordsRequest', 'GetListBlockRecordsResponse'],
  ['GetListItemRecords', 'GetListItemRecordsRequest', 'GetListItemRecordsResponse'],
  ['GetListRecords', 'GetListRecordsRequest', 'GetListRecordsResponse'],
  ['GetPostRecords', 'GetPostRecordsRequest', 'GetPostRecordsResponse'],
  ['GetProfileRecords', 'GetProfileRecordsRequest', 'GetProfileRecordsResponse'],
  ['GetActorChatDeclarationRecords', 'GetActorChatDeclarationRecordsRequest', 'GetActorChatDeclarationRecordsResponse'],
  ['GetNotificationDeclarationRecords', 'GetNotificationDeclarationRecordsRequest', 'GetNotificationDeclarationRecordsResponse'],
  ['GetGermDeclarationRecords', 'GetGermDeclarationRecordsRequest', 'GetGermDeclarationRecordsResponse'],
  ['GetStatusRecords', 'GetStatusRecordsRequest', 'GetStatusRecordsResponse'],
  ['GetRepostRecords', 'GetRepostRecordsRequest', 'GetRepostRecordsResponse'],
  ['GetThreadGateRecords', 'GetThreadGateRecordsRequest', 'GetThreadGateRecordsResponse'],
  ['GetPostgateRecords', 'GetPostgateRecordsRequest', 'GetPostgateRecordsResponse'],
  ['GetLabelerRecords', 'GetLabelerRecordsRequest', 'GetLabelerRecordsResponse'],
  ['GetStarterPackRecords', 'GetStarterPackRecordsRequest', 'GetStarterPackRecordsResponse'],
  ['GetActorFollowsActors', 'GetActorFollowsActorsRequest', 'GetActorFollowsActorsResponse'],
  ['GetFollowers', 'GetFollowersRequest', 'GetFollowersResponse'],
  ['GetFollows', 'GetFollowsRequest', 'GetFollowsResponse'],
  ['GetVerificationRecords', 'GetVerificationRecordsRequest', 'GetVerificationRecordsResponse'],
  ['GetVerificationsIssued', 'GetVerificationsIssuedRequest', 'GetVerificationsIssuedResponse'],
  ['GetVerificationsReceived', 'GetVerificationsReceivedRequest', 'GetVerificationsReceivedResponse'],
  ['GetLikesBySubject', 'GetLikesBySubjectRequest', 'GetLikesBySubjectResponse'],
  ['GetLikesBySubjectSorted', 'GetLikesBySubjectSortedRequest', 'GetLikesBySubjectSortedResponse'],
  ['GetKnownLikers', 'GetKnownLikersRequest', 'GetKnownLikersResponse'],
  ['GetLikesByActorAndSubjects', 'GetLikesByActorAndSubjectsRequest', 'GetLikesByActorAndSubjectsResponse'],
  ['GetActorLikes', 'GetActorLikesRequest', 'GetActorLikesResponse'],
  ['GetRepostsBySubject', 'GetRepostsBySubjectRequest', 'GetRepostsBySubjectResponse'],
  ['GetRepostsByActorAndSubjects', 'GetRepostsByActorAndSubjectsRequest', 'GetRepostsByActorAndSubjectsResponse'],
  ['GetActorReposts', 'GetActorRepostsRequest', 'GetActorRepostsResponse'],
  ['GetQuotesBySubjectSorted', 'GetQuotesBySubjectSortedRequest', 'GetQuotesBySubjectSortedResponse'],
  ['GetInteractionCounts', 'GetInteractionCountsRequest', 'GetInteractionCountsResponse'],
  ['GetCountsForUsers', 'GetCountsForUsersRequest', 'GetCountsForUsersResponse'],
  ['GetStarterPackCounts', 'GetStarterPackCountsRequest', 'GetStarterPackCountsResponse'],
  ['GetListCounts', 'GetListCountsRequest', 'GetListCountsResponse'],
  ['GetNewUserCountForRange', 'GetNewUserCountForRangeRequest', 'GetNewUserCountForRangeResponse'],
  ['GetActors', 'GetActorsRequest', 'GetActorsResponse'],
  ['GetDidsByHandles', 'GetDidsByHandlesRequest', 'GetDidsByHandlesResponse'],
  ['GetRelationships', 'GetRelationshipsRequest', 'GetRelationshipsResponse'],
  ['GetBlockExistence', 'GetBlockExistenceRequest', 'GetBlockExistenceResponse'],
  ['GetActorLists', 'GetActorListsRequest', 'GetActorListsResponse'],
  ['GetListMembers', 'GetListMembersRequest', 'GetListMembersResponse'],
  ['GetListMembership', 'GetListMembershipRequest', 'GetListMembershipResponse'],
  ['GetListCount', 'GetListCountRequest', 'GetListCountResponse'],
  ['GetReferencelistoptoutsByActorAndSubjects', 'GetReferencelistoptoutsByActorAndSubjectsRequest', 'GetReferencelistoptoutsByActorAndSubjectsResponse'],
  ['GetActorMutesActor', 'GetActorMutesActorRequest', 'GetActorMutesActorResponse'],
  ['GetMutes', 'GetMutesRequest', 'GetMutesResponse'],
  ['GetActorMutesActorViaList', 'GetActorMutesActorViaListRequest', 'GetActorMutesActorViaListResponse'],
  ['GetMutelistSubscription', 'GetMutelistSubscriptionRequest', 'GetMutelistSubscriptionResponse'],
  ['GetMutelistSubscriptions', 'GetMutelistSubscriptionsRequest', 'GetMutelistSubscriptionsResponse'],
  ['GetThreadMutesOnSubjects', 'GetThreadMutesOnSubjectsRequest', 'GetThreadMutesOnSubjectsResponse'],
  ['GetBidirectionalBlock', 'GetBidirectionalBlockRequest', 'GetBidirectionalBlockResponse'],
  ['GetBlocks', 'GetBlocksRequest', 'GetBlocksResponse'],
  ['GetBidirectionalBlockViaList', 'GetBidirectionalBlockViaListRequest', 'GetBidirectionalBlockViaListResponse'],
  ['GetBlocklistSubscription', 'GetBlocklistSubscriptionRequest', 'GetBlocklistSubscriptionResponse'],
  ['GetBlocklistSubscriptions', 'GetBlocklistSubscriptionsRequest', 'GetBlocklistSubscriptionsResponse'],
  ['GetNotificationPreferences', 'GetNotificationPreferencesRequest', 'GetNotificationPreferencesResponse'],
  ['GetNotifications', 'GetNotificationsRequest', 'GetNotificationsResponse'],
  ['GetNotificationSeen', 'GetNotificationSeenRequest', 'GetNotificationSeenResponse'],
  ['GetUnreadNotificationCount', 'GetUnreadNotificationCountRequest', 'GetUnreadNotificationCountResponse'],
  ['GetActivitySubscriptionDids', 'GetActivitySubscriptionDidsRequest', 'GetActivitySubscriptionDidsResponse'],
  ['GetActivitySubscriptionsByActorAndSubjects', 'GetActivitySubscriptionsByActorAndSubjectsRequest', 'GetActivitySubscriptionsByActorAndSubjectsResponse'],
  ['UpdateNotificationSeen', 'UpdateNotificationSeenRequest', 'UpdateNotificationSeenResponse'],
  ['GetActorFeeds', 'GetActorFeedsRequest', 'GetActorFeedsResponse'],
  ['GetSuggestedFeeds', 'GetSuggestedFeedsRequest', 'GetSuggestedFeedsResponse'],
  ['GetFeedGeneratorStatus', 'GetFeedGeneratorStatusRequest', 'GetFeedGeneratorStatusResponse'],
  ['SearchFeedGenerators', 'SearchFeedGeneratorsRequest', 'SearchFeedGeneratorsResponse'],
  ['GetAuthorFeed', 'GetAuthorFeedRequest', 'GetAuthorFeedResponse'],
  ['GetTimeline', 'GetTimelineRequest', 'GetTimelineResponse'],
  ['GetListFeed', 'GetListFeedRequest', 'GetListFeedResponse'],
  ['GetThread', 'GetThreadRequest', 'GetThreadResponse'],
  ['SearchActors', 'SearchActorsRequest', 'SearchActorsResponse'],
  ['SearchPosts', 'SearchPostsRequest', 'SearchPostsResponse'],
  ['SearchStarterPacks', 'SearchStarterPacksRequest', 'SearchStarterPacksResponse'],
  ['SearchPostsV2', 'SearchPostsV2Request', 'SearchPostsV2Response'],
  ['SearchActorsV2', 'SearchActorsV2Request', 'SearchActorsV2Response'],
  ['SearchActorsTypeahead', 'SearchActorsTypeaheadRequest', 'SearchActorsTypeaheadResponse'],
  ['SearchFeedGeneratorsV2', 'SearchFeedGeneratorsV2Request', 'SearchFeedGeneratorsV2Response'],
  ['SearchStarterPacksV2', 'SearchStarterPacksV2Request', 'SearchStarterPacksV2Response'],
  ['GetFollowSuggestions', 'GetFollowSuggestionsRequest', 'GetFollowSuggestionsResponse'],
  ['GetSuggestedEntities', 'GetSuggestedEntitiesRequest', 'GetSuggestedEntitiesResponse'],
  ['GetLabels', 'GetLabelsRequest', 'GetLabelsResponse'],
  ['GetAllLabelers', 'GetAllLabelersRequest', 'GetAllLabelersResponse'],
  ['GetActorStarterPacks', 'GetActorStarterPacksRequest', 'GetActorStarterPacksResponse'],
  ['GetLatestRev', 'GetLatestRevRequest', 'GetLatestRevResponse'],
  ['GetBlobTakedown', 'GetBlobTakedownRequest', 'GetBlobTakedownResponse'],
  ['GetRecordTakedown', 'GetRecordTakedownRequest', 'GetRecordTakedownResponse'],
  ['GetActorTakedown', 'GetActorTakedownRequest', 'GetActorTakedownResponse'],
  ['GetBookmarksByActorAndSubjects', 'GetBookmarksByActorAndSubjectsRequest', 'GetBookmarksByActorAndSubjectsResponse'],
  ['GetActorBookmarks', 'GetActorBookmarksRequest', 'GetActorBookmarksResponse'],
  ['GetActorDrafts', 'GetActorDraftsRequest', 'GetActorDraftsResponse'],
  ['GetIdentityByDid', 'GetIdentityByDidRequest', 'GetIdentityByDidResponse'],
  ['GetIdentityByHandle', 'GetIdentityByHandleRequest', 'GetIdentityByHandleResponse'],
  ['GetFollowsFollowing', 'GetFollowsFollowingRequest', 'GetFollowsFollowingResponse'],
  ['GetSitemapIndex', 'GetSitemapIndexRequest', 'GetSitemapIndexResponse'],
  ['GetSitemapPage', 'GetSitemapPageRequest', 'GetSitemapPageResponse'],
  ['Ping', 'PingRequest', 'PingResponse'],
  ['TakedownBlob', 'TakedownBlobRequest', 'TakedownBlobResponse'],
  ['TakedownRecord', 'TakedownRecordRequest', 'TakedownRecordResponse'],
  ['TakedownActor', 'TakedownActorRequest', 'TakedownActorResponse'],
  ['UpdateActorUpstreamStatus', 'UpdateActorUpstreamStatusRequest', 'UpdateActorUpstreamStatusResponse'],
  ['UntakedownBlob', 'UntakedownBlobRequest', 'UntakedownBlobResponse'],
  ['UntakedownRecord', 'UntakedownRecordRequest', 'UntakedownRecordResponse'],
  ['UntakedownActor', 'UntakedownActorRequest', 'UntakedownActorResponse'],
  ['CreateActorMute', 'CreateActorMuteRequest', 'CreateActorMuteResponse'],
  ['DeleteActorMute', 'DeleteActorMuteRequest', 'DeleteActorMuteResponse'],
  ['ClearActorMutes', 'ClearActorMutesRequest', 'ClearActorMutesResponse'],
  ['CreateActorMutelistSubscription', 'CreateActorMutelistSubscriptionRequest', 'CreateActorMutelistSubscriptionResponse'],
  ['DeleteActorMutelistSubscription', 'DeleteActorMutelistSubscriptionRequest', 'DeleteActorMutelistSubscriptionResponse'],
  ['ClearActorMutelistSubscriptions', 'ClearActorMutelistSubscriptionsRequest', 'ClearActorMutelistSubscriptionsResponse'],
  ['CreateThreadMute', 'CreateThreadMuteRequest', 'CreateThreadMuteResponse'],
  ['DeleteThreadMute', 'DeleteThreadMuteRequest', 'DeleteThreadMuteResponse'],
  ['ClearThreadMutes', 'ClearThreadMutesRequest', 'ClearThreadMutesResponse'],
  ['GetSiteStandardRecordsByURI', 'GetSiteStandardRecordsByURIRequest', 'GetSiteStandardRecordsByURIResponse'],
  ['GetSiteStandardRecordsByRef', 'GetSiteStandardRecordsByRefRequest', 'GetSiteStandardRecordsByRefResponse'],
] as const satisfies readonly (readonly [name: string, request: MessageName, response: MessageName])[];

/** A method of bsky.Service. */
export type MethodName = (typeof serviceMethods)[number][0];
