/** The bytes of log entries: format version, tag, fields. Tags are stored: append only. */
import { cidBytes, isCidAt } from '../atproto/cid.ts';
import { readCollection, readDid, readRkey, writeCollection, writeDid, writeRkey } from '../atproto/compact-key.ts';
import { deleteOp, type RepoOp } from '../atproto/repo-op.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../base/time-bytes.ts';
import { readEffect, readNullable, type ValueOf, writeEffect, writeNullable } from './effect-codec.ts';
import {
  type Entry,
  type IdentityEntry,
  type IfAbsentEntry,
  type ImportedEntry,
  opsPerEntryMax,
  type QuarantineEntry,
  type RepoEntry,
} from './entry.ts';
import { readLabelEntry, readLabelRemoval, writeLabel, writeLabelId } from './label-codec.ts';
import { slotConditions } from './lifecycle-entry.ts';
import { readPrivate, writePrivate } from './private-codec.ts';

const entryVersion = 5;

const actions = ['create', 'update', 'delete'] as const;

function writeOps(writer: ByteWriter, ops: readonly RepoOp[]): void {
  writer.varint(ops.length);
  for (const op of ops) {
    writer.u8(actions.indexOf(op.action));
    writeCollection(writer, op.collection);
    writeRkey(writer, op.rkey);
    if (op.action !== 'delete') writer.bytes(op.cid).lengthDelimited(op.block);
  }
}

function readOps(reader: ByteReader): RepoOp[] {
  const count = reader.varint();
  if (count > opsPerEntryMax) reader.fail('of more ops than one may have');
  const ops: RepoOp[] = [];
  for (let index = 0; index < count; index++) {
    const action = actions[reader.u8()] ?? reader.fail('an op of an unknown action');
    const collection = readCollection(reader);
    const rkey = readRkey(reader);
    if (action === 'delete') {
      ops.push(deleteOp(collection, rkey));
      continue;
    }
    const cid = reader.bytes(cidBytes);
    if (!isCidAt(cid, 0)) reader.fail('an op with a malformed CID');
    ops.push({ action, collection, rkey, cid, block: reader.lengthDelimited() });
  }
  return ops;
}

function writeImported(writer: ByteWriter, { rev, isLast, records }: ImportedEntry): void {
  writer.text(rev).u8(isLast ? 1 : 0);
  writeOps(
    writer,
    records.map(({ op }) => op),
  );
  for (const { indexedMs, takedownRef, tags } of records) {
    writeEntryTime(writer, indexedMs);
    writeNullable(writer, takedownRef);
    writer.varint(tags.length);
    for (const each of tags) writer.text(each);
  }
}

function readImported(reader: ByteReader): ImportedEntry {
  const head = { kind: 'imported', did: readDid(reader), rev: reader.text(), isLast: reader.u8() === 1 } as const;
  const records = readOps(reader).map((op) => {
    return { op, indexedMs: readEntryTime(reader), takedownRef: readNullable(reader), tags: reader.texts() };
  });
  return { ...head, records };
}

const tag = {
  commit: 1,
  sync: 2,
  identity: 3,
  account: 4,
  'resync-begin': 5,
  'resync-chunk': 6,
  'resync-end': 7,
  private: 8,
  effect: 9,
  delivered: 10,
  continue: 11,
  quarantine: 19,
  'resync-given-up': 12,
  opened: 13,
  'tail-lost': 14,
  completed: 15,
  resend: 16,
  'resend-step': 17,
  label: 20,
  'label-removal': 21,
  imported: 22,
  'if-absent': 23,
  split: 24,
  'target-split': 25,
} as const satisfies Record<Entry['kind'], number>;

/** Appends one entry; `decodeEntry` reads it. */
export function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.u8(entryVersion).u8(tag[entry.kind]);
  if ('did' in entry) writeDid(writer, entry.did);
  switch (entry.kind) {
    case 'commit':
      writer.text(entry.rev);
      writeNullable(writer, entry.since);
      writeEntryTime(writer, entry.eventMs);
      return writeOps(writer, entry.ops);
    case 'sync':
    case 'resync-begin':
    case 'resync-end':
      return writeEntryTime(writer.text(entry.rev), entry.eventMs);
    case 'resync-chunk':
      writeEntryTime(writer.text(entry.rev), entry.eventMs);
      return writeOps(writer, entry.ops);
    case 'identity':
      writeNullable(writer, entry.handle);
      writeEntryTime(writer, entry.verifiedAtMs);
      writer.text(entry.keysJson).text(entry.servicesJson);
      return writeEntryTime(writer, entry.eventMs);
    case 'account':
      writer.u8(entry.active ? 1 : 0).text(entry.status);
      return writeEntryTime(writer, entry.eventMs);
    case 'resync-given-up':
      return writeEntryTime(writer, entry.eventMs);
    case 'imported':
      return writeImported(writer, entry);
    case 'if-absent':
      writer.u8(entry.written === null ? 0 : 1);
      if (entry.written !== null) {
        writeEntryTime(writer, entry.written.createdMs);
        writeEntryTime(writer, entry.written.updatedMs);
      }
      return writeEntry(writer, entry.entry);
    case 'label':
      return writeLabel(writer, entry.label);
    case 'label-removal':
      return writeLabelId(writer, entry.id);
    case 'private':
      return writePrivate(writer, entry.write);
    case 'effect':
      return writeEffect(writer, entry.effect);
    case 'delivered':
      writer.u16(entry.target).varint(entry.mark);
      return;
    case 'quarantine':
      writer
        .u8(entry.action === 'retry' ? 1 : 2)
        .u48(entry.seq)
        .u16(entry.part);
      return;
    case 'continue':
      return;
    case 'opened':
      writer.u32(entry.session).u32(entry.generation).u8(slotConditions.indexOf(entry.condition)).text(entry.cluster);
      return;
    case 'tail-lost':
      writer.u32(entry.lostIn).u32(entry.generation);
      return;
    case 'resend':
      writer.u16(entry.target);
      return;
    case 'split':
      writer.u32(entry.slots);
      return;
    case 'target-split':
      writer.u16(entry.target).u32(entry.slots);
      return;
    case 'completed':
    case 'resend-step':
      return;
  }
}

/** Returns one entry's bytes; `writeEntry` saves this copy where there is a writer. */
export function encodeEntry(entry: Entry): Buffer {
  const writer = new ByteWriter();
  writeEntry(writer, entry);
  return writer.finish();
}

function readRepoEntry<Kind extends string>(reader: ByteReader, kind: Kind): RepoEntry<Kind> {
  return { kind, did: readDid(reader), rev: reader.text(), eventMs: readEntryTime(reader) };
}

function readIdentity(reader: ByteReader): IdentityEntry {
  return {
    kind: 'identity',
    did: readDid(reader),
    handle: readNullable(reader),
    verifiedAtMs: readEntryTime(reader),
    keysJson: reader.text(),
    servicesJson: reader.text(),
    eventMs: readEntryTime(reader),
  };
}

/** Reads one entry. Strings are copies; blocks and CIDs alias `bytes`. Errors: MalformedBytes. */
export function decodeEntry(bytes: Uint8Array): Entry {
  return readEntry(new ByteReader(bytes, 0, 'an entry'));
}

function readEntry(reader: ByteReader): Entry {
  if (reader.u8() !== entryVersion) reader.failVersion();
  const code = reader.u8() as ValueOf<typeof tag>;
  switch (code) {
    case tag.commit:
      return {
        kind: 'commit',
        did: readDid(reader),
        rev: reader.text(),
        since: readNullable(reader),
        eventMs: readEntryTime(reader),
        ops: readOps(reader),
      };
    case tag.sync:
      return readRepoEntry(reader, 'sync');
    case tag.identity:
      return readIdentity(reader);
    case tag.account:
      return {
        kind: 'account',
        did: readDid(reader),
        active: reader.u8() === 1,
        status: reader.text(),
        eventMs: readEntryTime(reader),
      };
    case tag['resync-begin']:
      return readRepoEntry(reader, 'resync-begin');
    case tag['resync-chunk']:
      return { ...readRepoEntry(reader, 'resync-chunk'), ops: readOps(reader) };
    case tag['resync-end']:
      return readRepoEntry(reader, 'resync-end');
    case tag.imported:
      return readImported(reader);
    case tag['if-absent']:
      return readIfAbsent(reader);
    case tag['resync-given-up']:
      return { kind: 'resync-given-up', did: readDid(reader), eventMs: readEntryTime(reader) };
    case tag.label:
      return readLabelEntry(reader);
    case tag['label-removal']:
      return readLabelRemoval(reader);
    case tag.private:
      return { kind: 'private', did: readDid(reader), write: readPrivate(reader) };
    case tag.effect:
      return { kind: 'effect', effect: readEffect(reader) };
    case tag.delivered:
      return { kind: 'delivered', target: reader.u16(), mark: reader.varint() };
    case tag.continue:
      return { kind: 'continue' };
    case tag.opened:
      return {
        kind: 'opened',
        session: reader.u32(),
        generation: reader.u32(),
        condition: slotConditions[reader.u8()] ?? reader.fail('an opening in an unknown condition'),
        cluster: reader.text(),
      };
    case tag['tail-lost']:
      return { kind: 'tail-lost', lostIn: reader.u32(), generation: reader.u32() };
    case tag.completed:
      return { kind: 'completed' };
    case tag.resend:
      return { kind: 'resend', target: reader.u16() };
    case tag['resend-step']:
      return { kind: 'resend-step' };
    case tag.split:
      return { kind: 'split', slots: reader.u32() };
    case tag['target-split']:
      return { kind: 'target-split', target: reader.u16(), slots: reader.u32() };
    case tag.quarantine:
      return { kind: 'quarantine', action: readAction(reader), seq: reader.u48(), part: reader.u16() };
    default:
      return reader.fail(`of the unknown kind ${code satisfies never}`);
  }
}

function readIfAbsent(reader: ByteReader): IfAbsentEntry {
  const did = readDid(reader);
  const isTimed = reader.u8() === 1;
  const written = isTimed ? { createdMs: readEntryTime(reader), updatedMs: readEntryTime(reader) } : null;
  // Looked at before it is read, so that none holds another of its kind.
  if (reader.buffer[reader.position + 1] === tag['if-absent']) reader.fail('within another');
  const entry = readEntry(reader);
  const isHeld = entry.kind === 'identity' || entry.kind === 'private' || entry.kind === 'label';
  if (!isHeld || entry.did !== did) return reader.fail('imported, and of an unknown kind');
  return { kind: 'if-absent', did, entry, written };
}

function readAction(reader: ByteReader): QuarantineEntry['action'] {
  const code = reader.u8();
  if (code === 1) return 'retry';
  return code === 2 ? 'drop' : reader.fail('of an unknown action on what is kept');
}
