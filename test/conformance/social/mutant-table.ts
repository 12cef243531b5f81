/** One-line errors, over all topics, that the random oracle must notice. */

export interface Mutant {
  readonly topic: string;
  readonly file: string;
  /** Occurs once in the file. */
  readonly text: string;
  readonly replacement: string;
}

export const mutants: readonly Mutant[] = [
  {
    topic: 'feeds: types of feed',
    file: 'src/read/answer/author-feed.ts',
    text: 'return !isPost || (flags & feedFlag.reply) === 0;',
    replacement: 'return true;',
  },
  {
    topic: 'feeds: reposts of posts that are gone',
    file: 'src/read/answer/author-feed.ts',
    text: 'if ((flags & feedFlag.postExists) === 0) return false;',
    replacement: '',
  },
  {
    topic: 'feeds: deleted reposts',
    file: 'src/slot/apply/edge-apply.ts',
    text: "if (rule.kind === 'repost') removeFeedRow(context.state, owner, record.sortMs, ref.collection, ref.rkey);",
    replacement: '',
  },
  {
    topic: 'graph: duplicates',
    file: 'src/slot/apply/edge-apply.ts',
    text: 'if (rule.promotesDuplicate) promoteDuplicate(context, rule, record, subject);',
    replacement: '',
  },
  {
    topic: 'graph: counts after deletes',
    file: 'src/slot/apply/edge-apply.ts',
    text: 'if (rule.makerCount !== null) addToActorCount(context.state, owner, rule.makerCount, -1);',
    replacement: '',
  },
  {
    topic: 'posts: counts after deletes',
    file: 'src/slot/apply/post-apply.ts',
    text: "addToActorCount(context.state, owner, 'posts', -1);",
    replacement: '',
  },
  {
    topic: 'notifications: mentions of oneself',
    file: 'src/slot/apply/post-apply.ts',
    text: 'if (recipient === source.did) continue;',
    replacement: '',
  },
  {
    topic: 'notifications: via a repost of one of the two',
    file: 'src/slot/apply/edge-apply.ts',
    text: '|| via.did === source.did || subjectDid === source.did) return;',
    replacement: ') return;',
  },
  {
    topic: 'accounts: a deactivated one',
    file: 'src/slot/apply/actor-apply.ts',
    text: "const upstreamStatus = entry.active ? '' : entry.status;",
    replacement: "const upstreamStatus = '';",
  },
  {
    topic: 'lists: the members an owner sees',
    file: 'src/read/answer/list-pages.ts',
    text: 'if (isOut && !isOwner) continue;',
    replacement: 'if (isOut) continue;',
  },
  {
    topic: 'lists: members after deletes',
    file: 'src/slot/apply/edge-apply.ts',
    text: "if (rule.subject === 'both') changeListMember(context.state, record, subject, -1);",
    replacement: '',
  },
  {
    topic: 'private data: mutes of lists that end',
    file: 'src/slot/apply/mute-apply.ts',
    text: 'return removeListMute(state, owner, write.list);',
    replacement: 'return;',
  },
  {
    topic: 'private data: mutes that end',
    file: 'src/slot/apply/mute-apply.ts',
    text: 'return removeMute(state, owner, write.subject);',
    replacement: 'return;',
  },
  {
    topic: 'takedowns: unread notices of an actor taken down',
    file: 'src/read/answer/notifications.ts',
    text: 'if (owner === undefined || actor === undefined || actor.takedownRef !== null) return 0;',
    replacement: 'if (owner === undefined || actor === undefined) return 0;',
  },
];
