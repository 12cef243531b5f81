/**
 * Labels of an account and of its records, one row for each source, value and version.
 *
 * (owner, accountLabel, 1, source, value, cid) and (owner, recordLabel, collection, rkey, source,
 * value, cid) → negated or not, created, expires. (owner, accountLabel, 0) is there once an owner
 * or a record of it has had a label: to find that none has is the most frequent read. A negated
 * label stays as a row, so that an older one that comes late does not return. A deleted account
 * keeps its labels: they are the labelers'.
 */
import { Cid, cidBytes, isCidAt, parseCid } from '../../atproto/cid.ts';
import { readDid, writeCollection, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import type { Label, LabelId, LabelSubject } from '../../atproto/label.ts';
import { ByteReader, type ByteWriter, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, storedTime, writeEntryTime } from '../../base/time-bytes.ts';
import { prefixEnd, type Row } from '../../storage/environment.ts';
import { beginKey, emptyValue, type SlotState, tableCode } from './slot-state.ts';

const flag = { neg: 1, hasExp: 2, plainCts: 4, plainExp: 8 } as const;
const accountRow = { marker: 0, label: 1 } as const;
const cidForm = { none: 0, bytes: 1, text: 2 } as const;
const valueWriter = sharedWriter(160);

function beginSubject(owner: number, record: LabelSubject['record']): ByteWriter {
  if (record === null) return beginKey(owner, tableCode.accountLabel).u8(accountRow.label);
  const writer = beginKey(owner, tableCode.recordLabel);
  writeCollection(writer, record.collection);
  writeRkey(writer, record.rkey);
  return writer;
}

/** Returns what the keys of all labels of a subject begin with. */
export function labelsPrefix(owner: number, record: LabelSubject['record']): Buffer {
  return beginSubject(owner, record).finish();
}

/** Returns what the keys of a subject's labels by one source begin with. */
export function labelsOfSourcePrefix(subject: Buffer, src: string): Buffer {
  const writer = valueWriter.bytes(subject);
  writeDid(writer, src);
  return writer.finish();
}

function markerKey(owner: number): Buffer {
  return beginKey(owner, tableCode.accountLabel).u8(accountRow.marker).finish();
}

/** False while neither an owner nor any of its records has had a label. */
export function mayHaveLabels(state: SlotState, owner: number): boolean {
  return state.rows.has(markerKey(owner));
}

function labelKey(owner: number, { subject, src, cid, val }: LabelId): Buffer {
  const writer = beginSubject(owner, subject.record);
  writeDid(writer, src);
  writer.text(val);
  if (cid === '') return writer.u8(cidForm.none).finish();
  const known = parseCid(cid);
  if (known === undefined) return writer.u8(cidForm.text).text(cid).finish();
  return writer.u8(cidForm.bytes).bytes(known.bytes).finish();
}

/** Nearly all times have milliseconds and a Z, and take six bytes, which end in 8919. */
function isPlain(time: string): boolean {
  const timeMs = Date.parse(time);
  return storedTime(timeMs) === timeMs && new Date(timeMs).toISOString() === time;
}

function writeTime(writer: ByteWriter, time: string): void {
  writeEntryTime(writer, Date.parse(time));
  if (!isPlain(time)) writer.text(time);
}

function readTime(reader: ByteReader, isPlainTime: boolean): { readonly ms: number; readonly text: string } {
  const ms = readEntryTime(reader);
  return { ms, text: isPlainTime ? new Date(ms).toISOString() : reader.text() };
}

/** A stored label; its subject is that of the prefix. Times are also in ms since 1970. */
export type StoredLabel = Omit<Label, 'subject'> & { readonly ctsMs: number; readonly expMs: number | null };

function readValue(value: Buffer): Pick<StoredLabel, 'neg' | 'cts' | 'ctsMs' | 'exp' | 'expMs'> {
  const reader = new ByteReader(value);
  const flags = reader.u8();
  const cts = readTime(reader, (flags & flag.plainCts) !== 0);
  const exp = (flags & flag.hasExp) === 0 ? null : readTime(reader, (flags & flag.plainExp) !== 0);
  const neg = (flags & flag.neg) !== 0;
  return { neg, cts: cts.text, ctsMs: cts.ms, exp: exp?.text ?? null, expMs: exp?.ms ?? null };
}

function readCid(reader: ByteReader): string {
  const form = reader.u8();
  if (form === cidForm.none) return '';
  if (form === cidForm.text) return reader.text();
  const bytes = reader.bytes(cidBytes);
  return isCidAt(bytes, 0) ? new Cid(bytes).text : reader.fail('a label with a malformed CID');
}

/** Reads a row whose key begins with the `prefixBytes` of its subject. */
export function readLabelRow({ key, value }: Row, prefixBytes: number): StoredLabel {
  const reader = new ByteReader(key, prefixBytes);
  const [src, val] = [readDid(reader), reader.text()];
  return { src, val, cid: readCid(reader), ...readValue(value) };
}

/** Yields the labels of a prefix in key order: by source, then by value. */
export function* labelsOf(
  state: SlotState,
  prefix: Buffer,
  subjectBytes: number,
  limit: number,
): Generator<StoredLabel> {
  for (const row of state.rows.scan({ start: prefix, end: prefixEnd(prefix), limit })) {
    yield readLabelRow(row, subjectBytes);
  }
}

/** Stores a label, unless the row has a later one. */
export function putLabel(state: SlotState, owner: number, label: Label): void {
  const key = labelKey(owner, label);
  const before = state.rows.getVolatile(key);
  if (before !== undefined && readValue(before).ctsMs > Date.parse(label.cts)) return;
  const { neg, cts, exp } = label;
  const expFlags = exp === null ? 0 : flag.hasExp | (isPlain(exp) ? flag.plainExp : 0);
  valueWriter.u8((neg ? flag.neg : 0) | (isPlain(cts) ? flag.plainCts : 0) | expFlags);
  writeTime(valueWriter, cts);
  if (exp !== null) writeTime(valueWriter, exp);
  state.rows.put(key, valueWriter.finish());
  if (before === undefined && !mayHaveLabels(state, owner)) state.rows.put(markerKey(owner), emptyValue);
  noteChange(state, owner, label.subject);
}

/** Removes a label, if it is there. */
export function removeLabel(state: SlotState, owner: number, id: LabelId): void {
  state.rows.remove(labelKey(owner, id));
  noteChange(state, owner, id.subject);
}

/** Caches hold all labels of a subject under their prefix. */
function noteChange(state: SlotState, owner: number, { record }: LabelSubject): void {
  state.changedRecords.note(labelsPrefix(owner, record));
}
