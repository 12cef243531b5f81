/** The bytes of effects. Tags are part of the stored format: append only. */
import { readDid, readRecordRef, writeDid, writeRecordRef } from '../atproto/compact-key.ts';
import { edgeByKind, edgeOfCode } from '../atproto/edge-kind.ts';
import { isNoticeReason } from '../atproto/notice-reason.ts';
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../base/time-bytes.ts';
import type { Effect, EffectOf, SentEffect } from './entry.ts';
import { gates, type Judged } from './gate.ts';

/** A tag of a table. A byte that was read is one only after a switch has refused all others. */
export type ValueOf<Table> = Table[keyof Table];

/** Writes a string that may be null. */
export function writeNullable(writer: ByteWriter, value: string | null): void {
  if (value === null) writer.u8(0);
  else writer.u8(1).text(value);
}

/** Reads what `writeNullable` wrote. */
export function readNullable(reader: ByteReader): string | null {
  return reader.u8() === 0 ? null : reader.text();
}

const effectTag = {
  edge: 1,
  thread: 2,
  notice: 3,
  'notice-takedown': 4,
  'post-exists': 5,
  'handle-claim': 6,
  'handle-loss': 7,
  'resend-begin': 8,
  'resend-end': 9,
  'verified-by': 10,
  verdict: 11,
  'gate-question': 12,
  'gate-answer': 13,
  split: 14,
} as const satisfies Record<SentEffect['type'], number>;

/** Appends one effect; `readEffect` reads it. */
export function writeEffect(writer: ByteWriter, effect: SentEffect): void {
  writer.u8(effectTag[effect.type]);
  switch (effect.type) {
    case 'edge':
      return writeEdge(writer, effect);
    case 'thread':
      writer.u8((effect.present ? 1 : 0) | (effect.isTakenDown ? 2 : 0) | (effect.isFollower ? 4 : 0));
      writeRecordRef(writer, effect.root);
      writeRecordRef(writer, effect.parent);
      writeRecordRef(writer, effect.reply);
      writeEntryTime(writer, effect.sortMs);
      return writeJudged(writer, effect.judged);
    case 'notice':
      return writeNotice(writer, effect);
    case 'notice-takedown':
      writeDid(writer.u8(effect.isTakenDown ? 1 : 0), effect.recipient);
      writeRecordRef(writer, effect.source);
      return writeEntryTime(writer, effect.sortMs);
    case 'post-exists':
      writeDid(writer.u8(effect.exists ? 1 : 0), effect.reposter);
      return writeRecordRef(writer, effect.post);
    case 'verified-by':
      writeDid(writer.u8(effect.present ? 1 : 0), effect.subject);
      writeRecordRef(writer, effect.source);
      writeEntryTime(writer, effect.sortMs);
      writer.text(effect.handle).text(effect.displayName);
      return;
    case 'handle-claim':
      writeDid(writer.u8(effect.present ? 1 : 0).text(effect.handle), effect.did);
      return writeEntryTime(writer, effect.verifiedAtMs);
    case 'handle-loss':
      writeDid(writer.text(effect.handle), effect.did);
      return writeEntryTime(writer, effect.lostVerifiedAtMs);
    case 'verdict':
      writer.u8((effect.isViolating ? 1 : 0) | (gates.indexOf(effect.gate) << 1));
      writeRecordRef(writer, effect.post);
      writer.u48(effect.version);
      return;
    case 'gate-question':
      writeRecordRef(writer, effect.root);
      writeRecordRef(writer, effect.reply);
      writeEntryTime(writer.u48(effect.version), effect.indexedMs);
      writer.u8(effect.allowsFollowers ? 1 : 0).u8(effect.lists.length);
      for (const list of effect.lists) writeRecordRef(writer, list);
      return;
    case 'gate-answer':
      writeRecordRef(writer.u8(effect.isAllowed ? 1 : 0), effect.root);
      writeRecordRef(writer, effect.reply);
      writer.u48(effect.version);
      return;
    case 'split':
      writer.u32(effect.slots).u32(effect.generation).u32(effect.session);
      return;
    case 'resend-begin':
    case 'resend-end':
      return;
  }
}

const noticeBit = { present: 1, takenDown: 2, rootHash: 4 } as const;

function writeNotice(writer: ByteWriter, effect: EffectOf<'notice'>): void {
  const { rootHash } = effect;
  const flags = (effect.present ? noticeBit.present : 0) | (effect.isTakenDown ? noticeBit.takenDown : 0);
  writeDid(writer.u8(flags | (rootHash === undefined ? 0 : noticeBit.rootHash)), effect.recipient);
  writeRecordRef(writer, effect.source);
  writer.text(effect.reason);
  writeNullable(writer, effect.reasonSubject);
  writeEntryTime(writer, effect.sortMs);
  if (rootHash !== undefined) writer.u16(rootHash);
}

function writeJudged(writer: ByteWriter, { isViolating, eventMs, version }: Judged): void {
  writeEntryTime(writer.u8(isViolating ? 1 : 0), eventMs);
  writer.u48(version);
}

function readJudged(reader: ByteReader): Judged {
  return { isViolating: reader.u8() === 1, eventMs: readEntryTime(reader), version: reader.u48() };
}

const edgeFlag = { present: 1, hasSubject: 2, hasSubjectDid: 4, judged: 8 } as const;

function writeEdge(writer: ByteWriter, effect: EffectOf<'edge'>): void {
  const { subject } = effect;
  const needsDid = subject === null || subject.did !== effect.subjectDid;
  const flags = (effect.present ? edgeFlag.present : 0) | (subject === null ? 0 : edgeFlag.hasSubject);
  const judged = effect.judged === undefined ? 0 : edgeFlag.judged;
  writer.u8(edgeByKind[effect.edge].code).u8(flags | (needsDid ? edgeFlag.hasSubjectDid : 0) | judged);
  writeRecordRef(writer, effect.source);
  if (subject !== null) writeRecordRef(writer, subject);
  if (needsDid) writeDid(writer, effect.subjectDid);
  writeEntryTime(writer, effect.sortMs);
  if (effect.judged !== undefined) writeJudged(writer, effect.judged);
}

function readEdge(reader: ByteReader): Effect {
  const edge = edgeOfCode(reader.u8()) ?? reader.fail('an edge of an unknown kind');
  const flags = reader.u8();
  const source = readRecordRef(reader);
  const subject = (flags & edgeFlag.hasSubject) === 0 ? null : readRecordRef(reader);
  const subjectDid = (flags & edgeFlag.hasSubjectDid) === 0 ? subject?.did : readDid(reader);
  if (subjectDid === undefined) return reader.fail('an edge that names no actor');
  const present = (flags & edgeFlag.present) !== 0;
  const effect = { type: 'edge', edge, present, source, subjectDid, subject, sortMs: readEntryTime(reader) } as const;
  return (flags & edgeFlag.judged) === 0 ? effect : { ...effect, judged: readJudged(reader) };
}

function readThread(reader: ByteReader): Effect {
  const flags = reader.u8();
  return {
    type: 'thread',
    present: (flags & 1) === 1,
    isTakenDown: (flags & 2) === 2,
    isFollower: (flags & 4) === 4,
    root: readRecordRef(reader),
    parent: readRecordRef(reader),
    reply: readRecordRef(reader),
    sortMs: readEntryTime(reader),
    judged: readJudged(reader),
  };
}

function readVerdict(reader: ByteReader): Effect {
  const flags = reader.u8();
  const gate = gates[flags >>> 1] ?? reader.fail('a verdict of an unknown gate');
  const isViolating = (flags & 1) === 1;
  return { type: 'verdict', gate, isViolating, post: readRecordRef(reader), version: reader.u48() };
}

function readQuestion(reader: ByteReader): Effect {
  const [root, reply] = [readRecordRef(reader), readRecordRef(reader)];
  const version = reader.u48();
  const indexedMs = readEntryTime(reader);
  const allowsFollowers = reader.u8() === 1;
  const lists = Array.from({ length: reader.u8() }, () => readRecordRef(reader));
  return { type: 'gate-question', root, reply, version, indexedMs, allowsFollowers, lists };
}

function readNotice(reader: ByteReader): Effect {
  const flags = reader.u8();
  const recipient = readDid(reader);
  const source = readRecordRef(reader);
  const reason = reader.text();
  if (!isNoticeReason(reason)) return reader.fail('a notice of an unknown reason');
  const notice = {
    type: 'notice',
    present: (flags & noticeBit.present) !== 0,
    isTakenDown: (flags & noticeBit.takenDown) !== 0,
    recipient,
    source,
    reason,
    reasonSubject: readNullable(reader),
    sortMs: readEntryTime(reader),
  } as const;
  return (flags & noticeBit.rootHash) === 0 ? notice : { ...notice, rootHash: reader.u16() };
}

/** Reads one effect. Errors: MalformedBytes. */
export function readEffect(reader: ByteReader): SentEffect {
  const code = reader.u8() as ValueOf<typeof effectTag>;
  switch (code) {
    case effectTag.edge:
      return readEdge(reader);
    case effectTag.thread:
      return readThread(reader);
    case effectTag.verdict:
      return readVerdict(reader);
    case effectTag['gate-question']:
      return readQuestion(reader);
    case effectTag['gate-answer']:
      return {
        type: 'gate-answer',
        isAllowed: reader.u8() === 1,
        root: readRecordRef(reader),
        reply: readRecordRef(reader),
        version: reader.u48(),
      };
    case effectTag.notice:
      return readNotice(reader);
    case effectTag['notice-takedown']:
      return {
        type: 'notice-takedown',
        isTakenDown: reader.u8() === 1,
        recipient: readDid(reader),
        source: readRecordRef(reader),
        sortMs: readEntryTime(reader),
      };
    case effectTag['post-exists']:
      return { type: 'post-exists', exists: reader.u8() === 1, reposter: readDid(reader), post: readRecordRef(reader) };
    case effectTag['verified-by']:
      return {
        type: 'verified-by',
        present: reader.u8() === 1,
        subject: readDid(reader),
        source: readRecordRef(reader),
        sortMs: readEntryTime(reader),
        handle: reader.text(),
        displayName: reader.text(),
      };
    case effectTag['handle-claim']:
      return {
        type: 'handle-claim',
        present: reader.u8() === 1,
        handle: reader.text(),
        did: readDid(reader),
        verifiedAtMs: readEntryTime(reader),
      };
    case effectTag['handle-loss']:
      return {
        type: 'handle-loss',
        handle: reader.text(),
        did: readDid(reader),
        lostVerifiedAtMs: readEntryTime(reader),
      };
    case effectTag['resend-begin']:
      return { type: 'resend-begin' };
    case effectTag['resend-end']:
      return { type: 'resend-end' };
    case effectTag.split:
      return { type: 'split', slots: reader.u32(), generation: reader.u32(), session: reader.u32() };
    default:
      return reader.fail(`an effect of the unknown type ${code satisfies never}`);
  }
}
