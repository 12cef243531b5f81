/** Single edges: does an owner's record point at this subject, and whom does an owner follow. */
import { didLengthMax, parseRecordUri, recordUri } from '../../atproto/compact-key.ts';
import type { EdgeKind } from '../../atproto/entry.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { collectionOfEdge } from '../edge-collection.ts';

import type { EdgeSubject } from '../edge-subject.ts';
import { edgeBySubjectPrefix, findEdge } from '../outgoing-edge.ts';
import type { SlotState } from '../slot-state.ts';
import type { AnswerWriter } from './answer-writer.ts';
import { appendDid } from './key-text.ts';
import { refuseToken } from './page.ts';
import { ownerOfDid } from './slot-lookup.ts';

/** Returns the rkey of the record by which `did` points at an actor, or '' when there is none. */
export function rkeyOfActorEdge(state: SlotState, did: string, kind: EdgeKind, subjectDid: string): string {
  const owner = ownerOfDid(state, did);
  if (owner === undefined || subjectDid.length > didLengthMax) return '';
  return findEdge(state, owner, kind, { did: subjectDid, ref: null }) ?? '';
}

/** Writes, for each subject, the URI of the record of `did` that points at it, or ''. */
export function writeEdgesToSubjects(
  into: AnswerWriter,
  state: SlotState,
  did: string,
  kind: EdgeKind,
  subjects: readonly (EdgeSubject | undefined)[],
): void {
  const owner = ownerOfDid(state, did);
  for (const subject of subjects) {
    const rkey = owner === undefined || subject === undefined ? undefined : findEdge(state, owner, kind, subject);
    into.textField(1, rkey === undefined ? '' : recordUri({ did, collection: collectionOfEdge[kind], rkey }));
  }
}

/** Returns an actor as the subject of an edge, or undefined when none can point at it. */
export function actorSubject(did: string): EdgeSubject | undefined {
  return did.length > didLengthMax ? undefined : { did, ref: null };
}

/** Returns a record as the subject of an edge, or undefined for what is no record's URI. */
export function recordSubject(uri: string): EdgeSubject | undefined {
  const ref = parseRecordUri(uri);
  return ref === undefined ? undefined : { did: ref.did, ref };
}

/** Follows in one page beyond this are left to the next. */
const followsPageMax = 50_000;

/** One page of followed DIDs: `count` sized texts in `texts`. `next` is '' on the last page. */
export type FollowsPage = { readonly count: number; readonly next: string };

/**
 * Writes the DIDs that `did` follows into `texts` as sized texts, in the order of their keys, which is no order that means anything.
 *
 * Errors: DataPlaneError `InvalidArgument` for an `after` that is not the `next` of a page before.
 */
export function writeFollowedDids(
  texts: AnswerWriter,
  state: SlotState,
  did: string,
  after: string,
  limit: number,
): FollowsPage {
  const owner = ownerOfDid(state, did);
  if (owner === undefined) return { count: 0, next: '' };
  const prefix = edgeBySubjectPrefix(owner, 'follow');
  const start = after === '' ? prefix : Buffer.concat([prefix, restOfToken(after), Buffer.from([0])]);
  const max = Math.min(limit, followsPageMax);
  let last: Buffer | null = null;
  let count = 0;
  for (const key of state.rows.scanKeys({ start, end: prefixEnd(prefix), limit: max + 1 })) {
    if (count === max) return { count, next: last === null ? '' : last.toString('base64url', prefix.length) };
    const begun = texts.beginSized();
    appendDid(texts, key, prefix.length);
    texts.end(begun, 1);
    last = key;
    count++;
  }
  return { count, next: '' };
}

function restOfToken(after: string): Buffer {
  if (!/^[A-Za-z0-9_-]{1,1024}$/.test(after)) refuseToken('slot.followsOf.after');
  return Buffer.from(after, 'base64url');
}
