/**
 * Work that is longer than one entry may be, until it is done: (kind, DID, what of it) → how far.
 *
 * One row for one thing to do, so work that is asked for again while it waits is done once. Each
 * step ends at a state that any later entry may change: the work says what must become true, not
 * what to write. The rows are worked on in turn, so that none waits for the end of another.
 */
import { readDid, readRkey, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import { type PrivateKind, privateKinds } from '../../atproto/private-namespace.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { type Gate, gates } from '../../entry/gate.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { type GateFact, readFact, writeFact } from './gate-fact.ts';
import { type MuteSort, muteSorts, readMuteSort } from './mute-clears.ts';
import { beginSlotKey, emptyValue, readKey, type SlotState, tableCode } from './slot-state.ts';
import { type PostRef, readPost, writePost } from './thread-reply.ts';

/**
 * `after` is the last key that was done, empty before the first. `isAgain`: it was asked for once
 * more while it was under way, and begins anew when it ends.
 */
export type LongWork =
  /** Remove what a source has not confirmed between the begin and the end of its bracket. */
  | { readonly type: 'bracket-sweep'; readonly source: number; readonly bracket: number; readonly after: Buffer }
  /** Remove what was noted while an import ran. */
  | { readonly type: 'import-notes' }
  /** Remove what has moved to another slot by a split; what walks over all rows waits for it. */
  | { readonly type: 'split-sweep'; readonly after: Buffer }
  /** Remove the confirmations of a bracket that is over. */
  | { readonly type: 'bracket-clear'; readonly source: number; readonly bracket: number }
  /** Remove what was indexed at or before the account's deletion: records, then notices. */
  | { readonly type: 'delete-account'; readonly did: string; readonly originMs: number; readonly after: Buffer }
  /** Remove the records that the snapshot of this rev did not name. */
  | { readonly type: 'resync-sweep'; readonly did: string; readonly rev: string; readonly after: Buffer }
  /** Put again what the stored records of a repo put elsewhere. */
  | { readonly type: 'reindex'; readonly did: string; readonly after: Buffer }
  /** Remove the notes of snapshots that are over. */
  | { readonly type: 'clear-seen'; readonly did: string; readonly after: Buffer }
  /** Take the notices that were seen out of the count of the unread ones. */
  | { readonly type: 'unread-recount'; readonly did: string }
  /** Remove the mutes that were made before the last clear of their sort. */
  | { readonly type: 'clear-mutes'; readonly did: string; readonly sort: MuteSort; readonly after: Buffer }
  /** Send what a verifier has issued, as it counts now. */
  | { readonly type: 'verifier'; readonly did: string; readonly after: Buffer }
  /** Erase the private data of one kind that was written up to the request. */
  | {
      readonly type: 'erase';
      readonly did: string;
      readonly kind: PrivateKind;
      readonly originMs: number;
      readonly after: Buffer;
    }
  /** Notify the slots of a post's reposters whether it exists. */
  | {
      readonly type: 'post-exists';
      readonly did: string;
      readonly rkey: string;
      readonly isAgain: boolean;
      readonly after: Buffer;
    }
  /** Judge the replies of a thread, or the quotes of a post, again that were indexed since. */
  | {
      readonly type: 'gate-verdicts';
      readonly did: string;
      readonly gate: Gate;
      readonly rkey: string;
      readonly fromMs: number;
      readonly after: Buffer;
    }
  /**
   * Judge the replies again that were judged by a fact of an account and indexed since, or answer
   * for its own. `fromMs` is the time of the reply of `after`, once there is one.
   */
  | {
      readonly type: 'fact-verdicts';
      readonly did: string;
      readonly fact: GateFact;
      readonly fromMs: number;
      readonly after: Buffer;
    }
  /**
   * Notify the ancestors of the replies below a post that came after them, or has moved. `path` are
   * the child keys that lead to the last one done, `left` the replies that may still be done.
   */
  | {
      readonly type: 'thread-notices';
      readonly did: string;
      readonly rootRkey: string;
      readonly post: PostRef;
      readonly isMoved: boolean;
      readonly isAgain: boolean;
      readonly left: number;
      readonly path: readonly Buffer[];
    };

export type LongWorkOf<Type extends LongWork['type']> = Extract<LongWork, { readonly type: Type }>;

const kindCode = {
  'delete-account': 1,
  'resync-sweep': 2,
  'clear-seen': 3,
  'post-exists': 4,
  'thread-notices': 5,
  'unread-recount': 6,
  'bracket-sweep': 7,
  'bracket-clear': 8,
  'clear-mutes': 9,
  verifier: 10,
  erase: 11,
  reindex: 12,
  'gate-verdicts': 13,
  'fact-verdicts': 14,
  'import-notes': 20,
  'split-sweep': 21,
} as const satisfies Record<LongWork['type'], number>;

/** The row with the key of the work that was last worked on. */
const turnCode = 0;

const writer = sharedWriter(1024);

/** Returns the key of the work's row, which is what there is to do. */
function longWorkKey(work: LongWork): Buffer {
  const key = beginSlotKey(tableCode.longWork).u8(kindCode[work.type]);
  if (work.type === 'bracket-sweep' || work.type === 'bracket-clear')
    return key.u16(work.source).u48(work.bracket).finish();
  if (work.type === 'import-notes' || work.type === 'split-sweep') return key.finish();
  writeDid(key, work.did);
  if (work.type === 'post-exists') writeRkey(key, work.rkey);
  if (work.type === 'clear-mutes') key.u8(muteSorts.indexOf(work.sort));
  if (work.type === 'erase') key.u8(privateKinds.indexOf(work.kind));
  if (work.type === 'gate-verdicts') writeRkey(key.u8(gates.indexOf(work.gate)), work.rkey);
  if (work.type === 'fact-verdicts') writeFact(key, work.fact);
  if (work.type === 'thread-notices') {
    writeRkey(key, work.rootRkey);
    writePost(key, work.post);
  }
  return key.finish();
}

function encodeLongWork(work: LongWork): Buffer {
  switch (work.type) {
    case 'delete-account':
    case 'erase':
      writeEntryTime(writer, work.originMs);
      return writer.bytes(work.after).finish();
    case 'gate-verdicts':
    case 'fact-verdicts':
      writeEntryTime(writer, work.fromMs);
      return writer.bytes(work.after).finish();
    case 'resync-sweep':
      return writer.text(work.rev).bytes(work.after).finish();
    case 'clear-seen':
    case 'clear-mutes':
    case 'verifier':
    case 'reindex':
    case 'bracket-sweep':
    case 'split-sweep':
      return writer.bytes(work.after).finish();
    case 'unread-recount':
    case 'bracket-clear':
    case 'import-notes':
      return emptyValue;
    case 'post-exists':
      return writer
        .u8(work.isAgain ? 1 : 0)
        .bytes(work.after)
        .finish();
    case 'thread-notices':
      writer.u8((work.isMoved ? 1 : 0) | (work.isAgain ? 2 : 0)).varint(work.left);
      for (const key of work.path) writer.lengthDelimited(key);
      return writer.finish();
  }
}

/** Reads one row. */
export function readLongWork(key: Buffer, value: Buffer): LongWork {
  const keyReader = readKey(key);
  const code = keyReader.u8() as (typeof kindCode)[LongWork['type']];
  const reader = new ByteReader(value);
  if (code === kindCode['bracket-sweep'] || code === kindCode['bracket-clear']) {
    const [source, bracket] = [keyReader.u16(), keyReader.u48()];
    if (code === kindCode['bracket-clear']) return { type: 'bracket-clear', source, bracket };
    return { type: 'bracket-sweep', source, bracket, after: reader.rest() };
  }
  if (code === kindCode['import-notes']) return { type: 'import-notes' };
  if (code === kindCode['split-sweep']) return { type: 'split-sweep', after: reader.rest() };
  const did = readDid(keyReader);
  switch (code) {
    case kindCode['delete-account']:
      return { type: 'delete-account', did, originMs: readEntryTime(reader), after: reader.rest() };
    case kindCode.erase: {
      const kind = privateKinds[keyReader.u8()] ?? keyReader.fail('an erasure of an unknown kind');
      return { type: 'erase', did, kind, originMs: readEntryTime(reader), after: reader.rest() };
    }
    case kindCode['resync-sweep']:
      return { type: 'resync-sweep', did, rev: reader.text(), after: reader.rest() };
    case kindCode.reindex:
      return { type: 'reindex', did, after: reader.rest() };
    case kindCode['clear-seen']:
      return { type: 'clear-seen', did, after: reader.rest() };
    case kindCode['clear-mutes']:
      return { type: 'clear-mutes', did, sort: readMuteSort(keyReader), after: reader.rest() };
    case kindCode.verifier:
      return { type: 'verifier', did, after: reader.rest() };
    case kindCode['unread-recount']:
      return { type: 'unread-recount', did };
    case kindCode['post-exists']:
      return {
        type: 'post-exists',
        did,
        rkey: readRkey(keyReader),
        isAgain: reader.u8() === 1,
        after: reader.rest(),
      };
    case kindCode['gate-verdicts']: {
      const gate = gates[keyReader.u8()];
      invariant(gate !== undefined, 'stored long work is of a known gate');
      const rkey = readRkey(keyReader);
      const fromMs = readEntryTime(reader);
      return { type: 'gate-verdicts', did, gate, rkey, fromMs, after: reader.rest() };
    }
    case kindCode['fact-verdicts']: {
      const fact = readFact(keyReader);
      return { type: 'fact-verdicts', did, fact, fromMs: readEntryTime(reader), after: reader.rest() };
    }
    case kindCode['thread-notices']: {
      const rootRkey = readRkey(keyReader);
      const post = readPost(keyReader);
      const flags = reader.u8();
      const left = reader.varint();
      const path: Buffer[] = [];
      while (reader.remaining > 0) path.push(reader.lengthDelimited());
      const [isMoved, isAgain] = [(flags & 1) !== 0, (flags & 2) !== 0];
      return { type: 'thread-notices', did, rootRkey, post, isMoved, isAgain, left, path };
    }
    default:
      return reader.fail(`long work of the unknown kind ${code satisfies never}`);
  }
}

/** Stores work, or how far it is. */
export function putLongWork(state: SlotState, work: LongWork): void {
  state.rows.put(longWorkKey(work), encodeLongWork(work));
}

/** Removes work that is done. */
export function removeLongWork(state: SlotState, work: LongWork): void {
  state.rows.remove(longWorkKey(work));
}

/** Returns the work that waits for the same thing, or undefined. */
export function findLongWork<Work extends LongWork>(state: SlotState, work: Work): Work | undefined {
  const key = longWorkKey(work);
  const value = state.rows.get(key);
  return value === undefined ? undefined : (readLongWork(key, value) as Work);
}

const turnKey = (): Buffer => beginSlotKey(tableCode.longWork).u8(turnCode).finish();

/** A row of work with its key. */
export type WaitingWork = { readonly key: Buffer; readonly work: LongWork };

/** True while rows may be there that have moved to another slot. */
export function hasMovedRows(state: SlotState): boolean {
  return state.rows.has(longWorkKey({ type: 'split-sweep', after: emptyValue }));
}

/** Returns all rows of work. */
export function allLongWork(state: SlotState): LongWork[] {
  const start = beginSlotKey(tableCode.longWork)
    .u8(turnCode + 1)
    .finish();
  const end = prefixEnd(beginSlotKey(tableCode.longWork).finish());
  return [...state.rows.scan({ start, end })].map(({ key, value }) => readLongWork(key, value));
}

/** Returns whose turn it is: the work after the one that was last worked on, or else the first. */
export function nextLongWork(state: SlotState): WaitingWork | undefined {
  const next = nextInTurn(state);
  if (next?.work.type !== 'bracket-sweep') return next;
  // It walks over all rows.
  const key = longWorkKey({ type: 'split-sweep', after: emptyValue });
  const moved = state.rows.get(key);
  return moved === undefined ? next : { key, work: readLongWork(key, moved) };
}

function nextInTurn(state: SlotState): WaitingWork | undefined {
  const prefix = beginSlotKey(tableCode.longWork).finish();
  const first = beginSlotKey(tableCode.longWork)
    .u8(turnCode + 1)
    .finish();
  const last = state.rows.get(turnKey());
  for (const start of last === undefined ? [first] : [keyAfter(last), first]) {
    for (const { key, value } of state.rows.scan({ start, end: prefixEnd(prefix), limit: 1 })) {
      return { key, work: readLongWork(key, value) };
    }
  }
  return undefined;
}

/** Notes the work that was last worked on. */
export function putLongWorkTurn(state: SlotState, key: Buffer): void {
  state.rows.put(turnKey(), key);
}
