/**
 * Decides whether the data plane keeps a record: it must be valid by its lexicon and by the
 * official data plane's rules between its fields, its key and its author.
 *
 * Source: the schema classes and indexing plugins of @atproto/bsky.
 */

import { isValidRecordKey } from '@atproto/syntax';
import { type Collection, isIndexedCollection, nsid } from './collection.ts';
import { didLengthMax, isKeyableDid, parseRecordUri, rkeyLengthMax } from './compact-key.ts';
import { type DagMap, type DagValue, isDagMap } from './dag-value.ts';
import { compileLexicon, type LexiconReason } from './lexicon/check.ts';
import { lexiconDefinitions } from './lexicon/generated/schema.ts';

/** Why a record is dropped. */
export type RecordReason =
  | `lexicon-${LexiconReason}`
  | 'collection-not-indexed'
  | 'did-bad'
  | 'rkey-bad'
  | 'rkey-not-self'
  | 'gate-not-of-own-post'
  | 'list-not-own'
  | 'opt-out-subject-bad'
  | 'subject-unkeyable';

export type RecordCheck = { readonly ok: true } | { readonly ok: false; readonly reason: RecordReason };

const kept: RecordCheck = { ok: true };
const lexiconCheckByNsid = compileLexicon(lexiconDefinitions);
const refusalByReason = new Map<RecordReason, RecordCheck>();

/** Returns one shared object per reason, since untrusted input sets the number of refusals. */
function refusal(reason: RecordReason): RecordCheck {
  let check = refusalByReason.get(reason);
  if (check === undefined) {
    check = { ok: false, reason };
    refusalByReason.set(reason, check);
  }
  return check;
}

/** Authority and key of an AT-URI that its lexicon accepted, without its fragment. */
function authorityAndRkey(uri: string): { authority: string; rkey: string } {
  const [authority = '', , rkey = ''] = uri.slice('at://'.length).split('#', 1)[0]!.split('/');
  return { authority, rkey };
}

/** True when an edge's subject fits storage keys: a DID, or an AT-URI of a record or of a repo. */
function isKeyable(subject: DagValue | undefined): boolean {
  // Most subjects are shorter than the limit of any of their parts.
  if (typeof subject !== 'string' || subject.length <= Math.min(didLengthMax, rkeyLengthMax)) return true;
  if (!subject.startsWith('at://')) return subject.length <= didLengthMax;
  const { authority, rkey } = authorityAndRkey(subject);
  return authority.length <= didLengthMax && rkey.length <= rkeyLengthMax;
}

type Rule = (did: string, rkey: string, record: DagMap) => RecordReason | undefined;

const isSelf: Rule = (_did, rkey) => (rkey === 'self' ? undefined : 'rkey-not-self');

const gatesOwnPost: Rule = (did, rkey, record) => {
  const post = authorityAndRkey(String(record['post']));
  return post.authority === did && post.rkey === rkey ? undefined : 'gate-not-of-own-post';
};

const isOfOwnList: Rule = (did, _rkey, record) => {
  if (authorityAndRkey(String(record['list'])).authority !== did) return 'list-not-own';
  return subjectFits(did, _rkey, record);
};

/** An opt-out must name a list by its DID, in the canonical spelling of the list's own URI. */
const optsOutOfList: Rule = (_did, _rkey, record) => {
  const isList = parseRecordUri(String(record['subject']))?.collection === nsid.list;
  return isList ? undefined : 'opt-out-subject-bad';
};

const subjectFits: Rule = (_did, _rkey, record) => (isKeyable(record['subject']) ? undefined : 'subject-unkeyable');

const strongRefFits: Rule = (_did, _rkey, record) => {
  const { subject } = record;
  return isDagMap(subject) && !isKeyable(subject['uri']) ? 'subject-unkeyable' : undefined;
};

const replyFits: Rule = (_did, _rkey, record) => {
  const { reply } = record;
  if (!isDagMap(reply)) return undefined;
  const { root, parent } = reply;
  const fits = isDagMap(root) && isDagMap(parent) && isKeyable(root['uri']) && isKeyable(parent['uri']);
  return fits ? undefined : 'subject-unkeyable';
};

const ruleByNsid: { readonly [nsid in Collection]?: Rule } = {
  [nsid.profile]: isSelf,
  [nsid.status]: isSelf,
  [nsid.labeler]: isSelf,
  [nsid.notificationDeclaration]: isSelf,
  [nsid.chatDeclaration]: isSelf,
  [nsid.germDeclaration]: isSelf,
  [nsid.threadGate]: gatesOwnPost,
  [nsid.postGate]: gatesOwnPost,
  [nsid.listItem]: isOfOwnList,
  [nsid.listOptOut]: optsOutOfList,
  [nsid.follow]: subjectFits,
  [nsid.block]: subjectFits,
  [nsid.listBlock]: subjectFits,
  [nsid.verification]: subjectFits,
  [nsid.like]: strongRefFits,
  [nsid.repost]: strongRefFits,
  [nsid.post]: replyFits,
};

/** The official plane accepts any object here. */
const uncheckedCollection = nsid.chatDeclaration;

/** Checks one record of the repo of `did`. `value` comes from `decodeDagCbor`. */
export function checkRecord(did: string, collection: string, rkey: string, value: DagValue): RecordCheck {
  if (!isIndexedCollection(collection)) return refusal('collection-not-indexed');
  if (!isKeyableDid(did)) return refusal('did-bad');
  if (!isValidRecordKey(rkey)) return refusal('rkey-bad');
  if (!isDagMap(value)) return refusal('lexicon-not-an-object');
  if (collection !== uncheckedCollection) {
    const fault = lexiconCheckByNsid.get(collection)!(value);
    if (fault !== null) return refusal(`lexicon-${fault}`);
  }
  const fault = ruleByNsid[collection]?.(did, rkey, value);
  return fault === undefined ? kept : refusal(fault);
}
