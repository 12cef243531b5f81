/** The bytes of private writes within entries. Tags are stored: append only. */
import { cidBytes, isCidAt } from '../atproto/cid.ts';
import {
  readCollection,
  readDid,
  readRecordRef,
  readRkey,
  writeCollection,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../atproto/compact-key.ts';
import { privateKinds, readNamespace, writeNamespace } from '../atproto/private-namespace.ts';
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../base/time-bytes.ts';
import { readNullable, type ValueOf, writeNullable } from './effect-codec.ts';
import { type AgeAssuranceChange, type PrivateWrite, privateMethods } from './entry.ts';
import { type SuggestionChange, suggestionChangesMax, suggestionLists } from './suggestion.ts';

const privateTag = {
  'actor-takedown': 1,
  'record-takedown': 2,
  'blob-takedown': 3,
  'notification-seen': 4,
  'upstream-status': 5,
  suggestions: 6,
  'age-assurance': 7,
  mute: 8,
  unmute: 9,
  'clear-mutes': 10,
  'list-mute': 11,
  'list-unmute': 12,
  'clear-list-mutes': 13,
  'record-tags': 14,
  'actor-tags': 15,
  'trusted-verifier': 16,
  'thread-mute': 17,
  'thread-unmute': 18,
  'clear-thread-mutes': 19,
  'notification-priority': 20,
  'private-data': 21,
  erase: 22,
  'record-put': 23,
  'record-delete': 24,
  reindex: 25,
  import: 30,
} as const satisfies Record<PrivateWrite['type'], number>;

const muteScope = { onlyReposts: 1, onlyQuoteposts: 2 } as const;

/** Appends one private write; `readPrivate` reads it. */
export function writePrivate(writer: ByteWriter, write: PrivateWrite): void {
  writer.u8(privateTag[write.type]);
  switch (write.type) {
    case 'actor-takedown':
      return writeNullable(writer, write.ref);
    case 'record-takedown':
      writeCollection(writer, write.collection);
      writeRkey(writer, write.rkey);
      return writeNullable(writer, write.ref);
    case 'blob-takedown':
      return writeNullable(writer.text(write.cid), write.ref);
    case 'notification-seen':
      return writeEntryTime(writer, write.seenMs);
    case 'upstream-status':
      writer.text(write.status);
      return;
    case 'suggestions':
      writer.u8(suggestionLists.indexOf(write.list)).varint(write.changes.length);
      for (const change of write.changes) writeSuggestion(writer, change);
      return;
    case 'record-tags':
      writeCollection(writer, write.collection);
      writeRkey(writer, write.rkey);
      return writeTags(writer, write.tags);
    case 'actor-tags':
      return writeTags(writer, write.tags);
    case 'trusted-verifier':
      writer.u8(write.isTrusted ? 1 : 0);
      return;
    case 'age-assurance':
      return writeAgeAssurance(writer, write.change);
    case 'mute': {
      const { onlyReposts, onlyQuoteposts } = write;
      writeDid(writer, write.subject);
      writer.u8((onlyReposts ? muteScope.onlyReposts : 0) | (onlyQuoteposts ? muteScope.onlyQuoteposts : 0));
      return;
    }
    case 'unmute':
      return writeDid(writer, write.subject);
    case 'list-mute':
    case 'list-unmute':
      return writeRecordRef(writer, write.list);
    case 'thread-mute':
    case 'thread-unmute':
      return writeRecordRef(writer, write.root);
    case 'record-put':
    case 'record-delete':
      writeCollection(writer, write.collection);
      writeRkey(writer, write.rkey);
      if (write.type === 'record-put') writer.bytes(write.cid).lengthDelimited(write.block);
      return;
    case 'clear-mutes':
    case 'clear-list-mutes':
    case 'clear-thread-mutes':
    case 'reindex':
      return;
    case 'notification-priority':
      writer.u8(write.isPriority ? 1 : 0);
      return;
    case 'private-data':
      writeNamespace(writer.u8(privateMethods.indexOf(write.method)), write.namespace);
      writer.text(write.key).text(write.payload);
      return;
    case 'import':
      writer.u8(write.runs ? 1 : 0);
      return;
    case 'erase':
      writer.u8(privateKinds.indexOf(write.kind));
      return;
  }
}

function writeTags(writer: ByteWriter, tags: readonly string[]): void {
  writer.varint(tags.length);
  for (const tag of tags) writer.text(tag);
}

const orderTag = { given: 0, last: 1, gone: 2 } as const;

function writeSuggestion(writer: ByteWriter, { tag, subject, subjectType, order }: SuggestionChange): void {
  writer.text(tag).text(subject).text(subjectType);
  if (typeof order === 'number') writer.u8(orderTag.given).u32(order);
  else writer.u8(orderTag[order]);
}

function readSuggestions(reader: ByteReader): SuggestionChange[] {
  const count = reader.varint();
  if (count > suggestionChangesMax) reader.fail('of more suggestions than one may change');
  return Array.from({ length: count }, () => {
    const texts = { tag: reader.text(), subject: reader.text(), subjectType: reader.text() };
    const code = reader.u8() as ValueOf<typeof orderTag>;
    switch (code) {
      case orderTag.given:
        return { ...texts, order: reader.u32() };
      case orderTag.last:
        return { ...texts, order: 'last' };
      case orderTag.gone:
        return { ...texts, order: 'gone' };
      default:
        return reader.fail(`a suggestion of the unknown order ${code satisfies never}`);
    }
  });
}

function writeAgeAssurance(writer: ByteWriter, change: AgeAssuranceChange | null): void {
  if (change === null) {
    writer.u8(0);
    return;
  }
  writer.u8(change.lastInitiatedMs === null ? 1 : 2).text(change.status);
  for (const text of [change.access, change.countryCode, change.regionCode]) writeNullable(writer, text);
  if (change.lastInitiatedMs !== null) writeEntryTime(writer, change.lastInitiatedMs);
}

function readAgeAssurance(reader: ByteReader): AgeAssuranceChange | null {
  const code = reader.u8();
  if (code > 2) reader.fail('age assurance of an unknown form');
  if (code === 0) return null;
  return {
    status: reader.text(),
    access: readNullable(reader),
    countryCode: readNullable(reader),
    regionCode: readNullable(reader),
    lastInitiatedMs: code === 1 ? null : readEntryTime(reader),
  };
}

function readName(reader: ByteReader): { collection: string; rkey: string } {
  return { collection: readCollection(reader), rkey: readRkey(reader) };
}

function readCid(reader: ByteReader): Buffer {
  const cid = reader.bytes(cidBytes);
  return isCidAt(cid, 0) ? cid : reader.fail('a record with a malformed CID');
}

/** Reads one private write. */
export function readPrivate(reader: ByteReader): PrivateWrite {
  const code = reader.u8() as ValueOf<typeof privateTag>;
  switch (code) {
    case privateTag['actor-takedown']:
      return { type: 'actor-takedown', ref: readNullable(reader) };
    case privateTag['record-takedown']:
      return { type: 'record-takedown', ...readName(reader), ref: readNullable(reader) };
    case privateTag['blob-takedown']:
      return { type: 'blob-takedown', cid: reader.text(), ref: readNullable(reader) };
    case privateTag['notification-seen']:
      return { type: 'notification-seen', seenMs: readEntryTime(reader) };
    case privateTag['upstream-status']:
      return { type: 'upstream-status', status: reader.text() };
    case privateTag.suggestions:
      return {
        type: 'suggestions',
        list: suggestionLists[reader.u8()] ?? reader.fail('suggestions of an unknown list'),
        changes: readSuggestions(reader),
      };
    case privateTag['record-tags']:
      return { type: 'record-tags', ...readName(reader), tags: reader.texts() };
    case privateTag['actor-tags']:
      return { type: 'actor-tags', tags: reader.texts() };
    case privateTag['age-assurance']:
      return { type: 'age-assurance', change: readAgeAssurance(reader) };
    case privateTag.mute: {
      const subject = readDid(reader);
      const scope = reader.u8();
      const onlyReposts = (scope & muteScope.onlyReposts) !== 0;
      return { type: 'mute', subject, onlyReposts, onlyQuoteposts: (scope & muteScope.onlyQuoteposts) !== 0 };
    }
    case privateTag.unmute:
      return { type: 'unmute', subject: readDid(reader) };
    case privateTag['clear-mutes']:
      return { type: 'clear-mutes' };
    case privateTag['list-mute']:
      return { type: 'list-mute', list: readRecordRef(reader) };
    case privateTag['list-unmute']:
      return { type: 'list-unmute', list: readRecordRef(reader) };
    case privateTag['trusted-verifier']:
      return { type: 'trusted-verifier', isTrusted: reader.u8() === 1 };
    case privateTag['clear-list-mutes']:
      return { type: 'clear-list-mutes' };
    case privateTag['thread-mute']:
      return { type: 'thread-mute', root: readRecordRef(reader) };
    case privateTag['thread-unmute']:
      return { type: 'thread-unmute', root: readRecordRef(reader) };
    case privateTag['clear-thread-mutes']:
      return { type: 'clear-thread-mutes' };
    case privateTag['notification-priority']:
      return { type: 'notification-priority', isPriority: reader.u8() === 1 };
    case privateTag['private-data']:
      return {
        type: 'private-data',
        method: privateMethods[reader.u8()] ?? reader.fail('a write of an unknown method'),
        namespace: readNamespace(reader),
        key: reader.text(),
        payload: reader.text(),
      };
    case privateTag.erase:
      return { type: 'erase', kind: privateKinds[reader.u8()] ?? reader.fail('an erasure of an unknown kind') };
    case privateTag['record-put']:
      return { type: 'record-put', ...readName(reader), cid: readCid(reader), block: reader.lengthDelimited() };
    case privateTag['record-delete']:
      return { type: 'record-delete', ...readName(reader) };
    case privateTag.reindex:
      return { type: 'reindex' };
    case privateTag.import:
      return { type: 'import', runs: reader.u8() === 1 };
    default:
      return reader.fail(`a private write of the unknown type ${code satisfies never}`);
  }
}
