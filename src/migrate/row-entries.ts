/** Turns rows of the official plane's tables into entries. What cannot be kept has a reason. */
import { isValidHandle } from '@atproto/syntax';
import { isKeyableDid, parseRecordUri } from '../atproto/compact-key.ts';
import { decodeDagCbor } from '../atproto/dag-cbor.ts';
import { inputLimits } from '../atproto/input-limits.ts';
import { readLabel } from '../atproto/label.ts';
import { privateItemProblem, privatePayloadBytesMax } from '../atproto/private-item.ts';
import { privateNamespace } from '../atproto/private-namespace.ts';
import { checkRecord } from '../atproto/record-rules.ts';
import type { IfAbsentEntry, ImportedRecord, PrivateWrite } from '../entry/entry.ts';
import { type SuggestionChange, type SuggestionList, suggestionsMax } from '../entry/suggestion.ts';
import { isTimeAhead } from '../ingest/ahead-watch.ts';
import type { CopyRow } from './copy-rows.ts';
import { type Converted, refused } from './durable-batch.ts';
import { blockOfJson } from './json-block.ts';

/** Returns a column, null for a longer text, which the database then does not send. */
function atMost(column: string, bytesMax: number): string {
  return `CASE WHEN octet_length(${column}) <= ${bytesMax} THEN ${column} END`;
}

/** Returns a column as text, '' for null. */
export function textAt(row: CopyRow, column: number): string {
  return row[column]?.utf8Slice() ?? '';
}

function nullableAt(row: CopyRow, column: number): string | null {
  return row[column]?.utf8Slice() ?? null;
}

/** Times of the official plane are ISO texts; one that cannot be read is as old as can be. */
function timeAt(row: CopyRow, column: number): number {
  const parsed = Date.parse(textAt(row, column));
  return Number.isNaN(parsed) ? 0 : parsed;
}

/** Columns: did, uri, cid, json, indexedAt, takedownRef, tags. */
export const recordColumns = `"did", "uri", "cid", ${atMost('"json"', inputLimits.recordJsonBytesMax)}, "indexedAt", "takedownRef", "tags"::text`;

/** Reads a row of the table `record`: one that the firehose would bring is kept. */
export function recordOfRow(row: CopyRow): Converted<ImportedRecord> {
  const ref = parseRecordUri(textAt(row, 1));
  if (ref === undefined || ref.did !== textAt(row, 0)) return refused('uri-bad');
  if (row[3] === null) return refused('record-json-too-large');
  const made = blockOfJson(textAt(row, 3), textAt(row, 2));
  if (!made.ok) return refused(made.reason);
  const { block, cid } = made;
  if (block.length > inputLimits.recordBytesMax) return refused('record-too-large');
  const read = decodeDagCbor(block);
  if (!read.ok) return refused(`record-${read.reason}`);
  const check = checkRecord(ref.did, ref.collection, ref.rkey, read.value);
  if (!check.ok) return refused(check.reason);
  const op = { action: 'create', collection: ref.collection, rkey: ref.rkey, cid, block } as const;
  const value = { op, indexedMs: timeAt(row, 4), takedownRef: nullableAt(row, 5) || null, tags: tagsOf(row, 6) };
  return { ok: true, value };
}

function tagsOf(row: CopyRow, column: number): string[] {
  const text = nullableAt(row, column);
  const tags: unknown = text === null ? [] : JSON.parse(text);
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

/** Returns an entry that is applied where nothing is known. */
export function ifAbsent(entry: IfAbsentEntry['entry'], written: IfAbsentEntry['written'] = null): IfAbsentEntry {
  return { kind: 'if-absent', did: entry.did, entry, written };
}

/** What `actorColumns` are of. */
export const actorTables = '"actor" a LEFT JOIN "actor_sync" y USING ("did") LEFT JOIN "actor_state" s USING ("did")';

export const actorColumns = [
  'a."did"',
  'a."handle"',
  'a."indexedAt"',
  'a."takedownRef"',
  'a."upstreamStatus"',
  'a."trustedVerifier"::text',
  'a."ageAssuranceStatus"',
  'a."ageAssuranceLastInitiatedAt"',
  'a."ageAssuranceAccess"',
  'a."ageAssuranceCountryCode"',
  'a."ageAssuranceRegionCode"',
  'y."repoRev"',
  's."lastSeenNotifs"',
  's."priorityNotifs"::text',
].join(', ');

/** Returns the rev that the official plane had of the actor's repo, or ''. */
export function revOfActor(row: CopyRow): string {
  return textAt(row, 11);
}

/** Returns the entries of a row of the table `actor`. */
export function actorEntries(row: CopyRow): Converted<IfAbsentEntry[]> {
  const did = textAt(row, 0);
  if (!isKeyableDid(did)) return refused('did-bad');
  const eventMs = timeAt(row, 2);
  const given = textAt(row, 1).toLowerCase();
  const handle = isValidHandle(given) ? given : null;
  const identity = { kind: 'identity', did, handle, verifiedAtMs: eventMs, eventMs } as const;
  const writes: PrivateWrite[] = [];
  const [takedownRef, status] = [textAt(row, 3), textAt(row, 4)];
  if (takedownRef !== '') writes.push({ type: 'actor-takedown', ref: takedownRef });
  if (status !== '') writes.push({ type: 'upstream-status', status });
  if (textAt(row, 5) === 'true') writes.push({ type: 'trusted-verifier', isTrusted: true });
  if (row[6] !== null) {
    const [access, countryCode, regionCode] = [nullableAt(row, 8), nullableAt(row, 9), nullableAt(row, 10)];
    const lastInitiatedMs = row[7] === null ? null : timeAt(row, 7);
    const change = { status: textAt(row, 6), access, countryCode, regionCode, lastInitiatedMs };
    writes.push({ type: 'age-assurance', change });
  }
  if (row[12] !== null) writes.push({ type: 'notification-seen', seenMs: timeAt(row, 12) });
  if (textAt(row, 13) === 'true') writes.push({ type: 'notification-priority', isPriority: true });
  const privates = writes.map((write) => ifAbsent({ kind: 'private', did, write }));
  return { ok: true, value: [ifAbsent({ ...identity, keysJson: '', servicesJson: '' }), ...privates] };
}

/** A table that belongs to actors: its query, by DID, and what its rows become. */
export type OwnedTable = {
  readonly name: string;
  /** The owner comes first. */
  readonly columns: string;
  /** When a row was made and changed, where slots keep that; read after the other columns. */
  readonly times: readonly [created: string, updated: string] | null;
  readonly write: (row: CopyRow) => Converted<PrivateWrite>;
};

/** Units: characters. */
const cidLengthMax = 256;

function written(write: PrivateWrite): Converted<PrivateWrite> {
  return { ok: true, value: write };
}

function privateItem(namespace: string, key: string, payload: string | null): Converted<PrivateWrite> {
  if (payload === null) return refused('payload-too-large');
  const problem = privateItemProblem(namespace, key, payload);
  return problem !== null
    ? refused(problem)
    : written({ type: 'private-data', method: 'create', namespace, key, payload });
}

const { bookmark, draft, activitySubscription } = privateNamespace;

/** Returns when a row of a table was made and changed, or null where that is not read. */
export function timesOfRow({ times }: OwnedTable, row: CopyRow): IfAbsentEntry['written'] {
  if (times === null) return null;
  return { createdMs: timeAt(row, row.length - 2), updatedMs: timeAt(row, row.length - 1) };
}

/** In namespaces that have a table of their own, rows of the table `private_data` are left out. */
export const ownedTables: readonly OwnedTable[] = [
  {
    name: 'mute',
    columns: '"mutedByDid", "subjectDid", "onlyReposts"::text, "onlyQuoteposts"::text',
    times: ['"createdAt"', '"createdAt"'],
    write: (row) => {
      const [onlyReposts, onlyQuoteposts] = [textAt(row, 2) === 'true', textAt(row, 3) === 'true'];
      const subject = textAt(row, 1);
      return isKeyableDid(subject)
        ? written({ type: 'mute', subject, onlyReposts, onlyQuoteposts })
        : refused('did-bad');
    },
  },
  {
    name: 'list_mute',
    columns: '"mutedByDid", "listUri"',
    times: null,
    write: (row) => {
      const list = parseRecordUri(textAt(row, 1));
      return list === undefined ? refused('uri-bad') : written({ type: 'list-mute', list });
    },
  },
  {
    name: 'blob_takedown',
    columns: '"did", "cid", "takedownRef"',
    times: null,
    write: (row) => {
      const cid = textAt(row, 1);
      return cid.length > cidLengthMax
        ? refused('cid-bad')
        : written({ type: 'blob-takedown', cid, ref: textAt(row, 2) });
    },
  },
  {
    name: 'bookmark',
    columns: '"creator", "key", "subjectUri", "subjectCid"',
    times: ['"indexedAt"', '"indexedAt"'],
    write: (row) => {
      const subject = { uri: textAt(row, 2), cid: textAt(row, 3) };
      return privateItem(bookmark, textAt(row, 1), JSON.stringify({ subject }));
    },
  },
  {
    name: 'draft',
    columns: `"creator", "key", ${atMost('"payload"', privatePayloadBytesMax)}`,
    times: ['"createdAt"', '"updatedAt"'],
    write: (row) => privateItem(draft, textAt(row, 1), nullableAt(row, 2)),
  },
  {
    name: 'activity_subscription',
    columns: '"creator", "key", "subjectDid", "post"::text, "reply"::text',
    times: ['"indexedAt"', '"indexedAt"'],
    write: (row) => {
      const kinds = { post: textAt(row, 3) === 'true', reply: textAt(row, 4) === 'true' };
      const payload = { subject: textAt(row, 2), activitySubscription: kinds };
      return privateItem(activitySubscription, textAt(row, 1), JSON.stringify(payload));
    },
  },
  {
    name: 'private_data',
    columns: `"actorDid", "namespace", "key", ${atMost('"payload"', privatePayloadBytesMax)}`,
    times: ['"indexedAt"', '"updatedAt"'],
    write: (row) => {
      const namespace = textAt(row, 1);
      const hasTable = [bookmark, draft, activitySubscription].some((each) => each === namespace);
      return hasTable ? refused('in-a-table-of-its-own') : privateItem(namespace, textAt(row, 2), nullableAt(row, 3));
    },
  },
];

/** A table that no index orders by DID: it is read by pages of its key. */
export type KeyedTable = {
  readonly name: string;
  readonly key: readonly string[];
  /** After those of the key. */
  readonly columns: readonly string[];
  readonly entryOf: (row: CopyRow, nowMs: number) => Converted<IfAbsentEntry>;
};

/** Columns: src, uri, cid, val, neg, cts, exp. One from the future would hide all later ones. */
function labelOfRow(row: CopyRow, nowMs: number): Converted<IfAbsentEntry> {
  const [src, uri, cid, val] = [textAt(row, 0), textAt(row, 1), textAt(row, 2), textAt(row, 3)];
  const exp = nullableAt(row, 6);
  const read = readLabel({ src, uri, cid, val, neg: textAt(row, 4) === 'true', cts: textAt(row, 5), exp });
  if (!read.ok) return refused(read.reason);
  if (isTimeAhead(Date.parse(read.value.cts), nowMs)) return refused('label-ahead');
  return { ok: true, value: ifAbsent({ kind: 'label', did: read.value.subject.did, label: read.value }) };
}

function threadMuteOfRow(row: CopyRow): Converted<IfAbsentEntry> {
  const [root, did] = [parseRecordUri(textAt(row, 0)), textAt(row, 1)];
  if (root === undefined) return refused('uri-bad');
  if (!isKeyableDid(did)) return refused('did-bad');
  return { ok: true, value: ifAbsent({ kind: 'private', did, write: { type: 'thread-mute', root } }) };
}

export const keyedTables: readonly KeyedTable[] = [
  { name: 'thread_mute', key: ['"rootUri"', '"mutedByDid"'], columns: [], entryOf: threadMuteOfRow },
  {
    name: 'label',
    key: ['"src"', '"uri"', '"cid"', '"val"'],
    columns: ['"neg"::text', '"cts"', '"exp"'],
    entryOf: labelOfRow,
  },
];

/** The tables of suggestions: subject, order, tag, subject type. More than these are not taken. */
export const suggestionTables: readonly { list: SuggestionList; name: string; query: string }[] = [
  {
    list: 'follows',
    name: 'suggested_follow',
    query: `SELECT "did", "order"::text, '', '' FROM "suggested_follow" ORDER BY "order" LIMIT ${suggestionsMax}`,
  },
  {
    list: 'feeds',
    name: 'suggested_feed',
    query: `SELECT "uri", "order"::text, '', '' FROM "suggested_feed" ORDER BY "order" LIMIT ${suggestionsMax}`,
  },
  {
    list: 'tagged',
    name: 'tagged_suggestion',
    query: `SELECT "subject", NULL, "tag", "subjectType" FROM "tagged_suggestion" LIMIT ${suggestionsMax}`,
  },
];

/** Returns the suggestion of a row of these tables. */
export function suggestionOfRow(row: CopyRow): SuggestionChange {
  const order = row[1] === null ? 'last' : Math.max(0, Number(textAt(row, 1)));
  return { subject: textAt(row, 0), order, tag: textAt(row, 2), subjectType: textAt(row, 3) };
}
