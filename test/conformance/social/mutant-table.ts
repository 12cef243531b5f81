/** One-line errors, over all topics, that the random oracle must notice. */
import type { MethodName } from '../oracle/method-row.ts';

export interface Mutant {
  readonly topic: string;
  readonly file: string;
  /** Occurs once in the file. */
  readonly text: string;
  readonly replacement: string;
  /** The methods whose answers show it. */
  readonly methods: readonly MethodName[];
}

export const mutants: readonly Mutant[] = [
  {
    topic: 'feeds: types of feed',
    file: 'src/read/answer/author-feed.ts',
    text: 'return !isPost || (flags & feedFlag.reply) === 0;',
    replacement: 'return true;',
    methods: ['getAuthorFeed'],
  },
  {
    topic: 'feeds: deleted reposts',
    file: 'src/slot/apply/edge-apply.ts',
    text: "if (rule.kind === 'repost') removeFeedRow(context.state, owner, record.sortMs, ref.collection, ref.rkey);",
    replacement: '',
    methods: ['getAuthorFeed', 'getTimeline', 'getListFeed'],
  },
  {
    topic: 'graph: duplicates',
    file: 'src/slot/apply/edge-apply.ts',
    text: 'if (rule.promotesDuplicate) promoteDuplicate(context, rule, record, subject);',
    replacement: '',
    methods: ['getFollows', 'getFollowers', 'getBlocks', 'getCountsForUsers', 'getLikesBySubject'],
  },
  {
    topic: 'graph: counts after deletes',
    file: 'src/slot/apply/edge-apply.ts',
    text: 'if (rule.makerCount !== null) addToActorCount(context.state, owner, rule.makerCount, -1);',
    replacement: '',
    methods: ['getCountsForUsers'],
  },
  {
    topic: 'posts: counts after deletes',
    file: 'src/slot/apply/post-apply.ts',
    text: "addToActorCount(context.state, owner, 'posts', -1);",
    replacement: '',
    methods: ['getCountsForUsers'],
  },
  {
    topic: 'notifications: mentions of oneself',
    file: 'src/slot/apply/post-apply.ts',
    text: 'if (recipient === source.did) continue;',
    replacement: '',
    methods: ['getNotifications', 'getUnreadNotificationCount'],
  },
  {
    topic: 'accounts: takedowns',
    file: 'src/read/answer/actor-infos.ts',
    text: 'into.textField(field.takedownRef, actor.takedownRef);',
    replacement: '',
    methods: ['getActors'],
  },
  {
    topic: 'takedowns: restored records',
    file: 'src/router/plans/moderation.ts',
    text: "write: { type: 'record-takedown', collection, rkey, ref: null }",
    replacement: "write: { type: 'record-takedown', collection, rkey, ref: unnamedTakedown }",
    methods: ['getRecordTakedown'],
  },
  {
    topic: 'takedowns: restored blobs',
    file: 'src/router/plans/moderation.ts',
    text: "write: { type: 'blob-takedown', cid: cidOf(cid, 'UntakedownBlobRequest.cid'), ref: null }",
    replacement: "write: { type: 'blob-takedown', cid: cidOf(cid, 'UntakedownBlobRequest.cid'), ref: unnamedTakedown }",
    methods: ['getBlobTakedown'],
  },
  {
    topic: 'opt-outs: members who opted out',
    file: 'src/read/lookup/list-record.ts',
    text: 'return this.isAny && hasKeyUnder(this.#state, Buffer.concat([this.#prefix, did]));',
    replacement: 'return false;',
    methods: ['getListMembers', 'getListFeed'],
  },
  {
    topic: 'age assurance: cleared',
    file: 'src/slot/table/age-assurance.ts',
    text: 'if (change === null) return removeAgeAssurance(state, owner);',
    replacement: 'if (change === null) return;',
    methods: ['getActors'],
  },
  {
    topic: 'gates: who may reply',
    file: 'src/slot/apply/reply-verdict.ts',
    text: 'if (rules === undefined || !rules.isRestricted || reply.did === root.did)',
    replacement: 'if (rules === undefined || rules.isRestricted || reply.did === root.did)',
    methods: ['getPostRecords', 'getInteractionCounts', 'getNotifications'],
  },
  {
    topic: 'gates: who may quote',
    file: 'src/slot/apply/gate-apply.ts',
    text: 'return { ...openGate, isRestricted };',
    replacement: 'return openGate;',
    methods: ['getPostRecords', 'getNotifications'],
  },
  {
    topic: 'labels: expired ones',
    file: 'src/read/answer/labels.ts',
    text: 'if (expMs <= asked.nowMs || !asked.issuers',
    replacement: 'if (!asked.issuers',
    methods: ['getLabels'],
  },
  {
    topic: 'labels: negations',
    file: 'src/read/answer/labels.ts',
    text: 'neg: neg ? true : undefined,',
    replacement: 'neg: undefined,',
    methods: ['getLabels'],
  },
  {
    topic: 'relationships: blocked by list',
    file: 'src/router/plans/relations.ts',
    text: "add(index, 'blockedByList', blocked[b], a);",
    replacement: '',
    methods: ['getRelationships', 'getBlockExistence'],
  },
  {
    topic: 'relationships: muted by list',
    file: 'src/router/plans/relations.ts',
    text: "add(index, 'mutedByList', muted[a], b);",
    replacement: '',
    methods: ['getRelationships'],
  },
  {
    topic: 'threads: order of replies',
    file: 'src/read/answer/thread-finds.ts',
    text: 'order.sort();',
    replacement: '',
    methods: ['getThread'],
  },
  {
    topic: 'private data: bookmarks that end',
    file: 'src/slot/apply/private-data-apply.ts',
    text: 'sendBookmark(context, owned, indexedPayload, false);',
    replacement: '',
    methods: ['getInteractionCounts', 'getActorBookmarks'],
  },
  {
    topic: 'private data: mutes of lists that end',
    file: 'src/slot/apply/mute-apply.ts',
    text: 'return removeListMute(state, owner, write.list);',
    replacement: 'return;',
    methods: ['getMutelistSubscriptions', 'getMutelistSubscription'],
  },
  {
    topic: 'private data: mutes that end',
    file: 'src/slot/apply/mute-apply.ts',
    text: 'return removeMute(state, owner, write.subject);',
    replacement: 'return;',
    methods: ['getMutes', 'getActorMutesActor'],
  },
  {
    topic: 'bsync: access of age assurance',
    file: 'src/ingest/bsync-operation.ts',
    text: 'access: isOlder ? null : (access ?? null),',
    replacement: 'access: null,',
    methods: ['getActors'],
  },
  {
    topic: 'tags: those of records',
    file: 'src/read/lookup/record-answer.ts',
    text: 'for (const tag of row.tags) into.textField(field.tags, tag);',
    replacement: '',
    methods: ['getPostRecords', 'getProfileRecords', 'getListRecords', 'getFollowRecords', 'getLikeRecords'],
  },
  {
    topic: 'lists: members after deletes',
    file: 'src/slot/apply/edge-apply.ts',
    text: "if (rule.subject === 'both') changeListMember(context.state, record, subject, -1);",
    replacement: '',
    methods: ['getListMembers', 'getListCounts', 'getListCount'],
  },
  {
    topic: 'starter packs: joins of the week',
    file: 'src/read/answer/pack-counts.ts',
    text: 'nowMs - weekMs)',
    replacement: 'nowMs + weekMs)',
    methods: ['getStarterPackCounts'],
  },
  {
    topic: 'known likers: those that one does not follow',
    file: 'src/router/plans/known-likers.ts',
    text: 'const known = ranges.filter((_range, at) => probes.foundBy(probesOf[index]![at]!) !== 0);',
    replacement: 'const known = ranges;',
    methods: ['getKnownLikers'],
  },
  {
    topic: 'suggestions: ended ones',
    file: 'src/slot/apply/suggestion-apply.ts',
    text: 'removeSuggestion(state, list, tag, subject);',
    replacement: '',
    methods: ['getSuggestedFeeds', 'getSuggestedEntities', 'getFollowSuggestions'],
  },
  {
    topic: 'verification: verifiers that are not trusted',
    file: 'src/slot/apply/verification-apply.ts',
    text: 'if (getActor(context.state, owner)?.isTrustedVerifier !== true) return;',
    replacement: '',
    methods: ['getActors'],
  },
];
