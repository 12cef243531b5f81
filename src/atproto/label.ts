/**
 * Labels: what a labeler says of an account or of one version of a record, or of all versions.
 *
 * Owns: which labels count, by the rules of `com.atproto.label.defs#label`. Their subjects are DIDs
 * and AT-URIs of records with a DID, as nothing else could be found by its subject.
 */
import { isKeyableDid, parseRecordUri, recordUri } from './compact-key.ts';
import type { Decoded } from './decoded.ts';
import { checkByFormat, isDatetime } from './string-format.ts';

/** An account, or one of its records. */
export type LabelSubject = {
  readonly did: string;
  readonly record: { readonly collection: string; readonly rkey: string } | null;
};

/** What tells one label from all others. A later label of the same identity replaces it. */
export type LabelId = {
  readonly subject: LabelSubject;
  /** DID of the labeler. */
  readonly src: string;
  /** The version of the record that is meant, or empty. */
  readonly cid: string;
  readonly val: string;
};

export type Label = LabelId & {
  /** True when it takes back an earlier label. */
  readonly neg: boolean;
  /** Datetimes, as written. */
  readonly cts: string;
  readonly exp: string | null;
};

/** Why a label is dropped. */
export type LabelReason =
  | 'label-malformed'
  | 'label-src-bad'
  | 'label-subject-bad'
  | 'label-cid-bad'
  | 'label-value-bad'
  | 'label-time-bad';

/** Of the lexicon. Units: bytes. */
const valueBytesMax = 128;
/** Longer times are refused, however many digits of a second are allowed. Units: characters. */
const timeLengthMax = 64;

/** Returns the subject of a label's `uri`; undefined for other than a DID or a record's AT-URI. */
export function labelSubject(uri: string): LabelSubject | undefined {
  if (uri.startsWith('did:')) return isKeyableDid(uri) ? { did: uri, record: null } : undefined;
  const ref = parseRecordUri(uri);
  return ref === undefined ? undefined : { did: ref.did, record: { collection: ref.collection, rkey: ref.rkey } };
}

/** Returns the `uri` of a label, the inverse of `labelSubject`. */
export function labelUri({ did, record }: LabelSubject): string {
  return record === null ? did : recordUri({ did, ...record });
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && value.length <= timeLengthMax && isDatetime(value);
}

/** The fields of a label, from DAG-CBOR or JSON. Others, such as `ver` and `sig`, are not read. */
type LabelFields = { readonly [Field in 'src' | 'uri' | 'cid' | 'val' | 'neg' | 'cts' | 'exp']?: unknown };

/** Reads the identity of a label. */
export function readLabelId({ src, uri, cid = '', val }: LabelFields): Decoded<LabelId, LabelReason> {
  if (typeof src !== 'string' || typeof uri !== 'string' || typeof val !== 'string' || typeof cid !== 'string')
    return { ok: false, reason: 'label-malformed' };
  if (!isKeyableDid(src)) return { ok: false, reason: 'label-src-bad' };
  const subject = labelSubject(uri);
  if (subject === undefined) return { ok: false, reason: 'label-subject-bad' };
  if (cid !== '' && !checkByFormat.cid(cid)) return { ok: false, reason: 'label-cid-bad' };
  if (val === '' || Buffer.byteLength(val) > valueBytesMax || !val.isWellFormed())
    return { ok: false, reason: 'label-value-bad' };
  return { ok: true, value: { subject, src, cid, val } };
}

/** Reads a label. */
export function readLabel(fields: LabelFields): Decoded<Label, LabelReason> {
  const id = readLabelId(fields);
  if (!id.ok) return id;
  const { neg = false, cts, exp = null } = fields;
  if (typeof neg !== 'boolean') return { ok: false, reason: 'label-malformed' };
  if (!isTime(cts) || (exp !== null && !isTime(exp))) return { ok: false, reason: 'label-time-bad' };
  return { ok: true, value: { ...id.value, neg, cts, exp } };
}
