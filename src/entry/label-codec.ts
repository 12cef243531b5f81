/** The bytes of labels in entries. */
import { readCollection, readDid, readRkey, writeCollection, writeDid, writeRkey } from '../atproto/compact-key.ts';
import type { Label, LabelId } from '../atproto/label.ts';
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { readNullable, writeNullable } from './effect-codec.ts';
import type { LabelEntry, LabelRemovalEntry } from './entry.ts';

/** Writes the identity of a label, but for the DID of its subject: the entry's own. */
export function writeLabelId(writer: ByteWriter, { subject: { record }, src, cid, val }: LabelId): void {
  writer.u8(record === null ? 0 : 1);
  if (record !== null) {
    writeCollection(writer, record.collection);
    writeRkey(writer, record.rkey);
  }
  writeDid(writer, src);
  writer.text(cid).text(val);
}

function readLabelId(reader: ByteReader, did: string): LabelId {
  const record = reader.u8() === 0 ? null : { collection: readCollection(reader), rkey: readRkey(reader) };
  return { subject: { did, record }, src: readDid(reader), cid: reader.text(), val: reader.text() };
}

/** Writes a label, but for the DID of its subject. */
export function writeLabel(writer: ByteWriter, label: Label): void {
  writeLabelId(writer, label);
  writer.u8(label.neg ? 1 : 0).text(label.cts);
  writeNullable(writer, label.exp);
}

/** Reads an entry after its tag. */
export function readLabelEntry(reader: ByteReader): LabelEntry {
  const did = readDid(reader);
  const label = { ...readLabelId(reader, did), neg: reader.u8() === 1, cts: reader.text(), exp: readNullable(reader) };
  return { kind: 'label', did, label };
}

/** Reads an entry after its tag. */
export function readLabelRemoval(reader: ByteReader): LabelRemovalEntry {
  const did = readDid(reader);
  return { kind: 'label-removal', did, id: readLabelId(reader, did) };
}
