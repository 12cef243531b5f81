/**
 * Answers of GetLabels: for each subject the labels that the issuers asked for have set, those that
 * are negated included and those that have expired left out, by source and value.
 *
 * Most subjects have no label, so what a subject has is cached with the records: rendered, as
 * `labelHead`, DID of the source, JSON. Subjects with more labels are read again each time.
 */
import { labelSubject } from '../../atproto/label.ts';
import type { Clock } from '../../base/clock.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import {
  labelsOf,
  labelsOfSourcePrefix,
  labelsPrefix,
  mayHaveLabels,
  type StoredLabel,
} from '../../slot/table/label.ts';
import { keyHeadOf, type SlotState, tableCode } from '../../slot/table/slot-state.ts';
import type { RowFinder } from '../lookup/row-finder.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { RecordReads } from './records.ts';

const { subjects, issuers } = fieldNumber.GetLabelsRequest;
const { labels: labelsField } = fieldNumber.GetLabelsResponse;
/** See `nodeCalls.labels`. */
const subjectField = 1;

/** Subjects with more labels are read by issuer, so that no issuer can hide another's labels. */
const labelsReadAtOnceMax = 64;
/** Then so many are answered, of each issuer the same number, in the order of their values. */
export const labelsOfSubjectMax = 1_000;
/** An API tier lets a client name 20. */
export const issuersMax = 100;
/** About what an item takes, and how many bytes are written in a microsecond. */
const cost = { micros: 2, bytesPerMicro: 200 } as const;

/** Before each cached label: bytes of its source and of its JSON, and when it expires (ms). */
const labelHead = { sourceBytes: 2, jsonBytes: 4, expMs: 6 } as const;
const headBytes = labelHead.sourceBytes + labelHead.jsonBytes + labelHead.expMs;
const neverMs = 2 ** 48 - 1;

const letterD = 0x64;
const noLabels = Buffer.alloc(0);
const rendered = new MessageWriter(4096);

export type LabelReads = RecordReads & { readonly clock: Clock };

/** The fields are those of the official plane's rows, without defaults. */
function jsonOf({ src, val, cid, neg, cts, exp }: StoredLabel, uri: string): string {
  return JSON.stringify({
    src,
    uri,
    cid: cid === '' ? undefined : cid,
    val,
    neg: neg ? true : undefined,
    cts,
    exp: exp ?? undefined,
  });
}

function issuersOf(request: Buffer): Set<string> {
  const found = new Set<string>();
  const scanner = new FieldScanner(request, 'issuers');
  while (scanner.nextOf(issuers)) found.add(request.utf8Slice(scanner.start, scanner.end));
  if (found.size > issuersMax)
    throw new DataPlaneError('ResourceExhausted', `GetLabelsRequest.issuers: more than ${issuersMax} issuers`);
  return found;
}

/** Returns what the keys of a subject's labels begin with; undefined for one that is not known. */
function prefixOf(finder: RowFinder, request: Buffer, start: number, end: number): Buffer | undefined {
  if (request[start] !== letterD) return finder.anyKeyOf(request, start, end, tableCode.recordLabel);
  return finder.findOwner(request, start, end) ? labelsPrefix(finder.owner, null) : undefined;
}

function isExpired(expMs: number | null, nowMs: number): boolean {
  return expMs !== null && expMs <= nowMs;
}

/** Renders up to `labelsReadAtOnceMax` labels for the cache; undefined when there are more. */
function renderLabels(state: SlotState, prefix: Buffer, uri: () => string): Buffer | undefined {
  const into = rendered.clear();
  let count = 0;
  for (const label of labelsOf(state, prefix, prefix.length, labelsReadAtOnceMax + 1)) {
    if (count++ === labelsReadAtOnceMax) return undefined;
    const json = jsonOf(label, uri());
    into
      .u16(label.src.length)
      .u32(Buffer.byteLength(json))
      .u48(Math.max(0, label.expMs ?? neverMs));
    into.ascii(label.src);
    into.utf8(json, Buffer.byteLength(json));
  }
  return count === 0 ? noLabels : into.view();
}

type Asked = { readonly issuers: ReadonlySet<string>; readonly nowMs: number };

function writeRendered(into: MessageWriter, source: Buffer, start: number, end: number, asked: Asked): void {
  for (let at = start; at < end; ) {
    const srcAt = at + headBytes;
    const jsonAt = srcAt + source.readUInt16BE(at);
    const jsonEnd = jsonAt + source.readUInt32BE(at + labelHead.sourceBytes);
    const expMs = source.readUIntBE(at + labelHead.sourceBytes + labelHead.jsonBytes, labelHead.expMs);
    at = jsonEnd;
    if (expMs <= asked.nowMs || !asked.issuers.has(source.latin1Slice(srcAt, jsonAt))) continue;
    into.bytesField(labelsField, source, jsonAt, jsonEnd);
  }
}

function writeByIssuer(into: MessageWriter, state: SlotState, prefix: Buffer, uri: string, asked: Asked): void {
  const limit = Math.floor(labelsOfSubjectMax / asked.issuers.size);
  for (const issuer of asked.issuers) {
    const start = labelsOfSourcePrefix(prefix, issuer);
    for (const label of labelsOf(state, start, prefix.length, limit)) {
      if (!isExpired(label.expMs, asked.nowMs)) into.textField(labelsField, jsonOf(label, uri));
    }
  }
}

function writeSubject(
  into: MessageWriter,
  { group, records: { cache } }: RecordReads,
  request: Buffer,
  item: number,
  asked: Asked,
): void {
  const state = group.state(item);
  const prefix = group.key(item)!;
  const hit = cache.get(state, prefix, group.hash(item));
  if (hit !== undefined) return writeRendered(into, hit.source, hit.start, hit.end, asked);
  const { shouldAdmit } = cache;
  const { owner } = keyHeadOf(prefix);
  const uri = (): string => request.utf8Slice(group.starts[item], group.ends[item]);
  const source = mayHaveLabels(state, owner) ? renderLabels(state, prefix, uri) : noLabels;
  if (source === undefined) return writeByIssuer(into, state, prefix, uri(), asked);
  if (source.length === 0) requireWhole(state);
  writeRendered(into, source, 0, source.length, asked);
  if (!shouldAdmit) return;
  cache.set(state, prefix, { source, start: 0, end: source.length, jsonStart: 0, jsonEnd: 0, postFlags: 0 });
}

/** Returns all labels of a subject, as JSON. */
export function labelsOfSubject(lookup: SlotLookup, uri: string): string[] {
  const subject = labelSubject(uri);
  if (subject === undefined) return [];
  const state = lookup.stateOf(subject.did);
  const owner = ownerOfDid(state, subject.did);
  if (owner === undefined) return [];
  const prefix = labelsPrefix(owner, subject.record);
  return Array.from(labelsOf(state, prefix, prefix.length, labelsOfSubjectMax), (label) => jsonOf(label, uri));
}

/** Yields where the labels of a request's subjects begin that are not cached. */
export function* labelKeys(
  { finder, records }: LabelReads,
  request: Buffer,
): Generator<{ readonly state: SlotState; readonly key: Buffer }> {
  const scanner = new FieldScanner(request, 'subjects');
  while (scanner.nextOf(subjects)) {
    const key = prefixOf(finder, request, scanner.start, scanner.end);
    if (key !== undefined && !records.cache.has(finder.state, key))
      yield { state: finder.state, key: Buffer.from(key) };
  }
}

/** Writes the labels of a request's subjects. Returns as an ItemsWriter does. */
export function writeLabels(into: MessageWriter, reads: LabelReads, request: Buffer): number | null {
  const { finder, group, turn, clock } = reads;
  const asked = { issuers: issuersOf(request), nowMs: clock.nowMs() };
  const scanner = new FieldScanner(request, 'subjects');
  const hasIssuers = asked.issuers.size > 0;
  const keyOf = (start: number, end: number): Buffer | undefined =>
    hasIssuers ? prefixOf(finder, request, start, end) : undefined;
  let count = 0;
  let isEnd = false;
  while (group.take(request, scanner, subjects, keyOf)) {
    for (let item = 0; item < group.size; item++) {
      if (isEnd) return count;
      const before = into.length;
      const start = into.begin(subjectField, 1);
      if (group.key(item) !== undefined) writeSubject(into, reads, request, item, asked);
      into.end(start, 1);
      count++;
      isEnd = turn.isItemsEnd(cost.micros + Math.trunc((into.length - before) / cost.bytesPerMicro), into.length);
    }
  }
  return null;
}
