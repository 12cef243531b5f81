/**
 * Restates all that this slot owes others, by a scan of its own rows in key order.
 *
 * Effects are absolute and travel in the order of this slot's log, so those of entries in between
 * do no harm. Refuses: to restate history that no row holds, such as the end of a verification.
 */
import { nsid } from '../../atproto/collection.ts';
import type { Effect } from '../../entry/entry.ts';
import { keyAfter } from '../../storage/environment.ts';
import { getActor } from '../table/actor-row.ts';
import { loadRecord } from '../table/applied-record.ts';
import { getQuestion, readAskedRkey } from '../table/gate-fact.ts';
import { readRepostOf } from '../table/incoming-edge.ts';
import { getPrivateOwner, getPrivateRow, readPrivateItem } from '../table/private-data.ts';
import { hasRecord, readRecordRefOfKey } from '../table/record-row.ts';
import { firstOwnerKey, keyHeadOf, lastOwnerKey, tableCode } from '../table/slot-state.ts';
import { getThreadReplyAt, readRootRkey, rootOfReply } from '../table/thread-reply.ts';
import { restateActor } from './actor-apply.ts';
import type { ApplyContext } from './apply-context.ts';
import { sendGateAnswer } from './gate-question-apply.ts';
import { restateBookmark } from './private-data-apply.ts';
import { restateRecord } from './record-apply.ts';
import { threadOf } from './reply-verdict.ts';
import { restateReply } from './thread-apply.ts';

/** Restates what one row owes; `did` is its owner's, null for one that was only named. */
type Restater = {
  readonly table: number;
  restate(
    context: ApplyContext,
    row: { readonly owner: number; readonly did: string | null; readonly key: Buffer },
  ): void;
};

const actors: Restater = {
  table: tableCode.actor,
  restate: (context, { owner }) => {
    const actor = getActor(context.state, owner);
    if (actor !== undefined) restateActor(context, actor);
  },
};

/** The records of an account that is being deleted are gone for others already. */
const records: Restater = {
  table: tableCode.record,
  restate: (context, { owner, did, key }) => {
    const record = did === null ? undefined : loadRecord(context.state, owner, readRecordRefOfKey(did, key));
    if (record !== undefined) restateRecord(context, record);
  },
};

/** A reposter needs to hear only of posts that exist: what is not confirmed does not. */
const reposters: Restater = {
  table: tableCode.incomingRecord,
  restate: (context, { owner, did, key }) => {
    const repost = did === null ? undefined : readRepostOf(key, did);
    if (repost === undefined || repost.post.collection !== nsid.post) return;
    const { post, reposter } = repost;
    if (!hasRecord(context.state, owner, post.collection, post.rkey)) return;
    context.send({ type: 'post-exists', reposter, post, exists: true });
  },
};

const replies: Restater = {
  table: tableCode.threadReply,
  restate: (context, { owner, did, key }) => {
    const row = getThreadReplyAt(context.state, key);
    if (row === undefined) return;
    const rkey = readRootRkey(key);
    // A root that nothing leads to is none of the ancestors either.
    const author = rootOfReply(context.state, owner, rkey, row)?.did ?? did ?? '';
    restateReply(context, threadOf(context.state, owner, { did: author, rkey }), row);
  },
};

/** An account need not be known, or have stayed, to have bookmarks. */
const bookmarks: Restater = {
  table: tableCode.privateData,
  restate: (context, { owner, key }) => {
    const item = readPrivateItem(key);
    const did = item === undefined ? undefined : getPrivateOwner(context.state, owner);
    const row = item === undefined ? undefined : getPrivateRow(context.state, owner, item);
    if (item !== undefined && did !== undefined && row !== undefined)
      restateBookmark(context, { did, owner, item }, row);
  },
};

/** A slot that had lost records has held answers back, some of them from itself. */
const questions: Restater = {
  table: tableCode.gateFact,
  restate: (context, { owner, did, key }) => {
    const rkey = did === null ? undefined : readAskedRkey(key);
    const question = rkey === undefined ? undefined : getQuestion(context.state, owner, rkey);
    if (did === null || rkey === undefined || question === undefined) return;
    sendGateAnswer(context, owner, { did, collection: nsid.post, rkey }, question);
  },
};

/**
 * By type of effect, the rows that owe it. Handles are lost in answer to claims; verdicts are sent
 * and questions asked in answer to replies and quotes.
 */
const restatersByEffect: { readonly [Type in Effect['type']]: readonly Restater[] } = {
  edge: [records, bookmarks],
  thread: [records],
  verdict: [],
  'gate-question': [],
  'gate-answer': [questions],
  notice: [records, replies],
  'notice-takedown': [records],
  'post-exists': [reposters],
  'verified-by': [records],
  'handle-claim': [actors],
  'handle-loss': [],
};

const restaterByTable: ReadonlyMap<number, Restater> = new Map(
  Object.values(restatersByEffect)
    .flat()
    .map((restater) => [restater.table, restater]),
);

/** Rows that one step restates. */
const restatedRowsMax = 500;

/** Restates the rows after a key, one step of them. Returns the last key, or null at the end. */
export function restateStep(context: ApplyContext, after: Buffer): Buffer | null {
  const { state } = context;
  const start = after.length === 0 ? firstOwnerKey() : keyAfter(after);
  const keys = [...state.rows.scanKeys({ start, end: lastOwnerKey(), limit: restatedRowsMax })];
  let owner = 0;
  let did: string | null = null;
  for (const key of keys) {
    const head = keyHeadOf(key);
    if (head.owner !== owner) {
      owner = head.owner;
      did = getActor(state, owner)?.did ?? null;
    }
    restaterByTable.get(head.table)?.restate(context, { owner, did, key });
  }
  return keys.length < restatedRowsMax ? null : keys.at(-1)!;
}
