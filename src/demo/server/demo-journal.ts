/**
 * The demo network's durable state: each commit's head and writes, and each change of an account.
 *
 * Owns: one file of items, whose replay restores the repos. Compaction rewrites each repo as one
 * commit of all its records.
 */
import { cidOfBlock } from '../../atproto/cid.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import type { RepoHead, RepoWrite } from './demo-repo.ts';
import { ItemFile } from './item-file.ts';

/** A folder belongs to one network. */
export type NetworkIdentity = { readonly seed: number; readonly actors: number };

/** `seq` is the last one issued so far. */
export type JournalItem =
  | ({ readonly kind: 'network' } & NetworkIdentity)
  | {
      readonly kind: 'commit';
      readonly actor: number;
      readonly seq: number;
      readonly timeMs: number;
      readonly head: RepoHead;
      readonly writes: readonly RepoWrite[];
    }
  | {
      readonly kind: 'actor';
      readonly actor: number;
      readonly seq: number;
      readonly timeMs: number;
      readonly isActive: boolean;
      readonly handleChanges: number;
    };

const version = 1;
const kindCode = { network: 1, commit: 2, actor: 3 } as const;
const actions = ['create', 'update', 'delete'] as const;

const writer = new ByteWriter(4096);

function encodeItem(item: JournalItem): Buffer {
  writer.u8(version).u8(kindCode[item.kind]);
  if (item.kind === 'network') return writer.u32(item.seed).u32(item.actors).finish();
  writer.varint(item.actor).u48(item.seq).u48(item.timeMs);
  if (item.kind === 'actor') {
    return writer
      .u8(item.isActive ? 1 : 0)
      .varint(item.handleChanges)
      .finish();
  }
  writer.text(item.head.rev).lengthDelimited(item.head.block).varint(item.writes.length);
  for (const write of item.writes) {
    writer.u8(actions.indexOf(write.action)).text(write.path);
    if (write.block !== null) writer.lengthDelimited(write.block);
  }
  return writer.finish();
}

function decodeItem(bytes: Buffer): JournalItem {
  const reader = new ByteReader(bytes);
  const itemVersion = reader.u8();
  if (itemVersion !== version) throw new Error(`the demo's folder is of version ${itemVersion}; remove it`);
  const kind = reader.u8();
  if (kind === kindCode.network) return { kind: 'network', seed: reader.u32(), actors: reader.u32() };
  const actor = reader.varint();
  const seq = reader.u48();
  const timeMs = reader.u48();
  if (kind === kindCode.actor) {
    return { kind: 'actor', actor, seq, timeMs, isActive: reader.u8() === 1, handleChanges: reader.varint() };
  }
  const rev = reader.text();
  const block = reader.lengthDelimited();
  const writes: RepoWrite[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const action = actions[reader.u8()]!;
    const path = reader.text();
    writes.push({ action, path, block: action === 'delete' ? null : reader.lengthDelimited() });
  }
  return { kind: 'commit', actor, seq, timeMs, head: { rev, block, cid: cidOfBlock(block).bytes }, writes };
}

export class DemoJournal implements Disposable {
  readonly #path: string;
  #file: ItemFile;
  /** Size after the last compaction, or at opening. */
  #compactBytes: number;

  readonly #slackBytes: number;

  /** Opens a journal, passing its items to `take` in order. Growth by `slackBytes` is tolerated. */
  constructor(path: string, slackBytes: number, take: (item: JournalItem) => void) {
    this.#path = path;
    this.#slackBytes = slackBytes;
    this.#file = ItemFile.open(path, (bytes) => take(decodeItem(bytes)));
    this.#compactBytes = this.#file.bytes;
  }

  get isEmpty(): boolean {
    return this.#file.bytes === 0;
  }

  append(item: JournalItem): void {
    this.#file.append(encodeItem(item));
  }

  /** True when much of the file is likely to be garbage. */
  get isLarge(): boolean {
    return this.#file.bytes > 2 * this.#compactBytes + this.#slackBytes;
  }

  /** Atomically replaces the file by one with these items. */
  rewrite(items: Iterable<JournalItem>): void {
    const encoded = function* (): Generator<Buffer, void, undefined> {
      for (const item of items) yield encodeItem(item);
    };
    const file = ItemFile.replace(this.#path, encoded());
    this.#file.close();
    this.#file = file;
    this.#compactBytes = file.bytes;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
