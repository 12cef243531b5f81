/** Actors and their actions as entries for a cluster of slots, and the answers of its node. */
import { Cid, cidOfBlock } from '../../src/atproto/cid.ts';
import { deleteOp, type RepoOp } from '../../src/atproto/repo-op.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import type { PrivateWrite } from '../../src/entry/entry.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import type { MessageByName, MessageName } from '../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../src/proto/schema.ts';
import { createReadHandlers, type Reads } from '../../src/read/handler/read-handlers.ts';
import type { CallContext } from '../../src/wire/node-caller.ts';
import { recordOp } from '../support/record-op.ts';
import type { RowCounter } from '../support/row-counter.ts';
import { SlotCluster, type SlotClusterOptions } from '../support/slot-cluster.ts';

const callContext: CallContext = { method: '', epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER };

/** `did:plc` of a short name: base32 letters only, padded. */
export function didOf(name: string): string {
  return `did:plc:${name.padEnd(24, 'a')}`;
}

/** A DID of its own for each number. */
export function numberedDid(number: number): string {
  return didOf(`n${[...number.toString(8)].map((digit) => 'abcdefgh'[Number(digit)]).join('')}z`);
}

export function cidOfText(text: string): string {
  return cidOfBlock(Buffer.from(text)).text;
}

export type StrongRef = { readonly uri: string; readonly cid: string };

type Request = Extract<MessageName, `${string}Request`>;
type Response<Name extends Request> = Name extends `${infer Method}Request`
  ? Extract<MessageName, `${Method}Response`>
  : never;

/** Writes records, settles, and asks. Times rise by one second with each commit. */
export class ReadsNetwork implements AsyncDisposable {
  readonly cluster: SlotCluster;
  readonly reads: Reads;
  readonly #tids = new TidClock(7);
  readonly #revs = new TidClock(8);
  readonly #revByDid = new Map<string, string>();
  timeMs = Date.UTC(2025, 2, 1);

  /** `counter` counts the rows that reads take; `clock` ends their turns. */
  constructor(options: SlotClusterOptions, prefetchReads = false, counter?: RowCounter, clock: Clock = systemClock) {
    this.cluster = SlotCluster.open(options);
    // Events are never indexed later than they are appended.
    this.cluster.nowMs = this.timeMs + 365 * 86_400_000;
    this.reads = createReadHandlers({
      slots: options.slots,
      stateOf: (slot) => {
        const state = this.cluster.slots[slot]?.state;
        return state === undefined || counter === undefined ? state : counter.counting(state);
      },
      refreshReads: () => {},
      prefetchReads,
      recordCacheBytes: 2 ** 20,
      clock,
    });
  }

  /** The time of the next commit, as records spell it. */
  get now(): string {
    return new Date(this.timeMs).toISOString();
  }

  /** Puts a record into a repo; its rkey is a TID of now unless given. */
  put(did: string, collection: string, record: object, rkey = this.#tids.next(this.timeMs)): StrongRef {
    const op = recordOp({ collection, rkey }, { $type: collection, ...record });
    this.#commit(did, op);
    return { uri: `at://${did}/${collection}/${rkey}`, cid: new Cid(op.cid).text };
  }

  /** Puts many records in one commit, with rkeys that are TIDs of now unless given. */
  putAll(did: string, collection: string, records: readonly object[], rkeyOf?: (index: number) => string): string[] {
    const rkeys = records.map((_record, index) => rkeyOf?.(index) ?? this.#tids.next(this.timeMs));
    const ops = records.map((record, index) =>
      recordOp({ collection, rkey: rkeys[index]! }, { $type: collection, ...record }),
    );
    this.#commit(did, ...ops);
    return rkeys.map((rkey) => `at://${did}/${collection}/${rkey}`);
  }

  /** Deletes many records of one repo in one commit. */
  deleteAll(uris: readonly string[]): void {
    const paths = uris.map((uri) => uri.slice(5).split('/') as [string, string, string]);
    const [did] = paths[0]!;
    this.#commit(did, ...paths.map(([, collection, rkey]) => deleteOp(collection, rkey)));
  }

  delete({ uri }: { readonly uri: string }): void {
    const [did, collection, rkey] = uri.slice(5).split('/') as [string, string, string];
    this.#commit(did, deleteOp(collection, rkey));
  }

  #commit(did: string, ...ops: readonly RepoOp[]): void {
    const rev = this.#revs.next(this.timeMs);
    const since = this.#revByDid.get(did) ?? null;
    this.#revByDid.set(did, rev);
    this.cluster.append({ kind: 'commit', did, rev, since, eventMs: this.timeMs, ops });
    this.timeMs += 1000;
  }

  revOf(did: string): string {
    return this.#revByDid.get(did) ?? '';
  }

  identity(did: string, handle: string | null): void {
    const eventMs = this.timeMs;
    this.timeMs += 1000;
    const keysJson = '{"atproto":{"Type":"Multikey","PublicKeyMultibase":"zQ3sh"}}';
    this.cluster.append({
      kind: 'identity',
      did,
      handle,
      verifiedAtMs: eventMs,
      keysJson,
      servicesJson: '{}',
      eventMs,
    });
  }

  account(did: string, active: boolean, status = ''): void {
    this.cluster.append({ kind: 'account', did, active, status, eventMs: this.timeMs });
    this.timeMs += 1000;
  }

  write(did: string, write: PrivateWrite): void {
    this.cluster.append({ kind: 'private', did, write });
  }

  profile(did: string, handle: string): StrongRef {
    this.identity(did, handle);
    return this.put(did, 'app.bsky.actor.profile', { displayName: handle, createdAt: this.now }, 'self');
  }

  post(did: string, text: string, more: object = {}): StrongRef {
    return this.put(did, 'app.bsky.feed.post', { text, createdAt: this.now, ...more });
  }

  reply(did: string, text: string, root: StrongRef, parent: StrongRef = root): StrongRef {
    return this.post(did, text, { reply: { root, parent } });
  }

  like(did: string, subject: StrongRef, more: object = {}): StrongRef {
    return this.put(did, 'app.bsky.feed.like', {
      subject: { cid: subject.cid, uri: subject.uri },
      createdAt: this.now,
      ...more,
    });
  }

  repost(did: string, subject: StrongRef, more: object = {}): StrongRef {
    return this.put(did, 'app.bsky.feed.repost', {
      subject: { cid: subject.cid, uri: subject.uri },
      createdAt: this.now,
      ...more,
    });
  }

  follow(did: string, subject: string): StrongRef {
    return this.put(did, 'app.bsky.graph.follow', { subject, createdAt: this.now });
  }

  block(did: string, subject: string): StrongRef {
    return this.put(did, 'app.bsky.graph.block', { subject, createdAt: this.now });
  }

  /** Applies everything and invalidates what it changed, as a node's apply threads do. */
  settle(): this {
    this.cluster.settle();
    for (const { state, index } of this.cluster.slots) {
      this.reads.invalidate(index, state.takeChanges());
    }
    return this;
  }

  /** Calls one handler with bytes. Returns a copy of its answer, as a node's caller gets it. */
  async call(method: string, payload: Uint8Array): Promise<Uint8Array> {
    const answer = this.callNow(method, payload);
    return answer instanceof Uint8Array ? Buffer.from(answer) : answer;
  }

  /** Calls one handler with bytes. Returns its answer, or the promise of one that yields. */
  callNow(method: string, payload: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const handler = this.reads.handlers.get(method);
    if (handler === undefined) throw new Error(`no handler of ${method}`);
    return handler(payload, callContext);
  }

  /** Asks a method of bsky.Service. */
  async ask<Name extends Request>(
    name: Name,
    request: MessageInput<MessageByName[Name]>,
  ): Promise<MessageByName[Response<Name>]> {
    const method = name.slice(0, -'Request'.length);
    const answer = await this.call(`bsky.${method}`, encodeMessage(name, request));
    return decodeMessage(`${method}Response` as MessageName, answer) as unknown as MessageByName[Response<Name>];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** Follows page tokens to the end. Returns the items of each page. */
export async function pagesOf<Item>(
  read: (cursor: string) => Promise<{ readonly items: readonly Item[]; readonly cursor: string }>,
  pagesMax = 500,
): Promise<Item[][]> {
  const pages: Item[][] = [];
  let cursor = '';
  do {
    const page = await read(cursor);
    pages.push([...page.items]);
    cursor = page.cursor;
    if (pages.length > pagesMax) throw new Error('the pages do not end');
  } while (cursor !== '');
  return pages;
}
