/**
 * Applies the gates of a post, which have its owner and rkey: the flags of the post, and what the
 * gate says from now on.
 */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import { storedTime } from '../../base/time-bytes.ts';
import type { Gate } from '../../entry/gate.ts';
import { type AppliedRecord, loadRecord, putRecordRow } from '../table/applied-record.ts';
import { type GateContent, type GateRules, getHistory, isCurrent, openGate, putRules } from '../table/gate-policy.ts';
import { incomingRecordPrefix } from '../table/incoming-edge.ts';
import { hasRecord, postFlag } from '../table/record-row.ts';
import { type JsonObject, mentionsOf, objectOf, textOf } from '../table/record-values.ts';
import { emptyValue } from '../table/slot-state.ts';
import { threadPrefix } from '../table/thread-reply.ts';
import type { ApplyContext } from './apply-context.ts';
import { hasRows } from './rows-after.ts';

/** Sets or clears the gate's flag on its post, if that exists, and what the gate says. */
export function applyGate(context: ApplyContext, gate: AppliedRecord, present: boolean, eventMs: number): void {
  const { owner, ref } = gate;
  const post = putGateFlag(context, gate, present);
  // The row of a gate that is replaced is still there.
  if (!present && hasRecord(context.state, owner, ref.collection, ref.rkey)) return;
  const update =
    ref.collection === nsid.threadGate ? threadUpdate(present ? gate : undefined, post) : quoteUpdate(gate, present);
  setRules(context, gate, update, eventMs);
}

/**
 * Puts the flag of a stored gate again, and what it says where that is not what it said last: the
 * rules of earlier times are not in the records.
 */
export function reindexGate(context: ApplyContext, gate: AppliedRecord): void {
  const { owner, ref, row } = gate;
  const post = putGateFlag(context, gate, true);
  const isThreadGate = ref.collection === nsid.threadGate;
  const update = isThreadGate ? threadUpdate(gate, post) : quoteUpdate(gate, true);
  if (isCurrent(getHistory(context.state, owner, update.gate, ref.rkey), update)) return;
  setRules(context, gate, update, isThreadGate ? Math.max(row.indexedMs, post?.row.indexedMs ?? 0) : row.indexedMs);
}

/** Returns the gate's post, if that exists. */
function putGateFlag(context: ApplyContext, { owner, ref }: Owned, present: boolean): AppliedRecord | undefined {
  const post = loadRecord(context.state, owner, { ...ref, collection: nsid.post });
  if (post === undefined) return undefined;
  const bit = ref.collection === nsid.threadGate ? postFlag.hasThreadGate : postFlag.hasPostGate;
  const postFlags = present ? post.row.postFlags | bit : post.row.postFlags & ~bit;
  if (postFlags !== post.row.postFlags) putRecordRow(context.state, post, { ...post.row, postFlags });
  return post;
}

/** The rules of a thread depend on whom its root mentions, so they follow the root. */
export function applyGatedRoot(context: ApplyContext, root: AppliedRecord, present: boolean, eventMs: number): void {
  const gate = loadRecord(context.state, root.owner, { ...root.ref, collection: nsid.threadGate });
  if (gate !== undefined) setRules(context, root, threadUpdate(gate, present ? root : undefined), eventMs);
}

type Owned = Pick<AppliedRecord, 'owner' | 'ref'>;
/** What a gate says. */
type GateUpdate = { readonly gate: Gate } & GateContent;

function threadUpdate(gate: AppliedRecord | undefined, root: AppliedRecord | undefined): GateUpdate {
  const rules = gate === undefined ? openGate : replyRules(gate.value, root?.value);
  return { gate: 'thread', rules, hidden: listOf(gate?.value['hiddenReplies']).flatMap((uri) => refsOf(uri)) };
}

function quoteUpdate({ value }: AppliedRecord, present: boolean): GateUpdate {
  return { gate: 'post', rules: present ? quoteRules(value) : openGate, hidden: [] };
}

function setRules(
  context: ApplyContext,
  { owner, ref: { did, rkey } }: Owned,
  update: GateUpdate,
  eventMs: number,
): void {
  const { gate } = update;
  if (!putRules(context.state, { owner, gate, rkey }, update, eventMs)) return;
  const posts = gate === 'thread' ? threadPrefix(owner, rkey) : incomingRecordPrefix(owner, nsid.post, rkey, 'quote');
  if (!hasRows(context.state, posts)) return;
  const fromMs = storedTime(eventMs);
  context.longWork({ type: 'gate-verdicts', did, gate, rkey, fromMs, after: emptyValue });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function refsOf(uri: unknown): RecordRef[] {
  const ref = typeof uri === 'string' ? parseRecordUri(uri) : undefined;
  return ref === undefined ? [] : [ref];
}

/** Without `allow` everyone may reply; an empty one allows nobody. */
function replyRules(gate: JsonObject, root: JsonObject | undefined): GateRules {
  const allow = gate['allow'];
  if (!Array.isArray(allow)) return openGate;
  const rules = allow.map((rule) => objectOf(rule) ?? {});
  const has = (name: string): boolean => rules.some(({ $type }) => $type === `${nsid.threadGate}#${name}`);
  const lists = rules.filter(({ $type }) => $type === `${nsid.threadGate}#listRule`);
  return {
    isRestricted: true,
    mentions: has('mentionRule') && root !== undefined ? mentionsOf(root) : [],
    allowsFollowers: has('followerRule'),
    allowsFollowed: has('followingRule'),
    lists: lists.flatMap(({ list }) => refsOf(list)),
  };
}

function quoteRules(gate: JsonObject): GateRules {
  const isRestricted = listOf(gate['embeddingRules']).some(
    (rule) => textOf(objectOf(rule)?.['$type']) === `${nsid.postGate}#disableRule`,
  );
  return { ...openGate, isRestricted };
}

/** The flags of a post that say which gates it has. */
export const gateFlags = postFlag.hasThreadGate | postFlag.hasPostGate;

/** Returns the flags of the gates that came before their post. */
export function gateFlagsOf(context: ApplyContext, owner: number, rkey: string): number {
  const threadGate = hasRecord(context.state, owner, nsid.threadGate, rkey) ? postFlag.hasThreadGate : 0;
  return threadGate | (hasRecord(context.state, owner, nsid.postGate, rkey) ? postFlag.hasPostGate : 0);
}
