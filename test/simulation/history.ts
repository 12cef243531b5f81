/**
 * Seeded random histories of a few repos that refer to each other and do wrong all that the
 * protocol lets them.
 *
 * Shape: entries of a DID are in order and their times ascend; nothing else is regular.
 */
import { cidCodec } from '../../src/atproto/cid.ts';
import { privateKinds } from '../../src/atproto/private-namespace.ts';
import { deleteOp, type RepoOp } from '../../src/atproto/repo-op.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import type { CommitEntry, Entry, PrivateWrite } from '../../src/entry/entry.ts';
import type { LifecycleEntry } from '../../src/entry/lifecycle-entry.ts';
import { recordOp } from '../support/record-op.ts';
import { OperatorMaker } from './history-operators.ts';
import { pick, RecordMaker, tidOf } from './history-record.ts';
import { privateNamespaces } from './model-private.ts';

export type OutsideEntry = Exclude<
  Entry,
  { kind: 'effect' | 'delivered' | 'continue' | 'quarantine' } | LifecycleEntry
>;

export type History = {
  /** Each is settled before the next one begins; most histories have one. */
  readonly parts: readonly (readonly OutsideEntry[])[];
  /** Those of all parts. */
  readonly entries: readonly OutsideEntry[];
  readonly dids: readonly string[];
  readonly handles: readonly string[];
};

export type HistoryOptions = {
  readonly random: SeededRandom;
  /** Makes DIDs and handles unique to this history. */
  readonly name: string;
  readonly steps: number;
  /** Some histories have parts that end with mutes of threads. */
  readonly mutesThreads?: boolean;
  /** Half of the histories have a last part in which all repos are indexed again. */
  readonly reindexes?: boolean;
};

type Actor = {
  readonly did: string;
  rev: string;
  /** Of the last snapshot. Two of one rev would hold the same records. */
  snapshotRev: string;
  timeMs: number;
  readonly past: OutsideEntry[];
  isDeleted: boolean;
};

const startMs = Date.UTC(2024, 0, 1);
const base32 = 'abcdefghijklmnopqrstuvwxyz234567';

function makeDid(random: SeededRandom, name: string, index: number): string {
  const letters = Array.from({ length: 24 }, () => base32[random.below(32)]).join('');
  if (index % 5 === 3) return `did:web:${letters.slice(0, 6)}.${name}.example`;
  if (index % 5 === 4) return `did:key:${name}${'z'.repeat(256 - 8 - name.length - 6)}${letters.slice(0, 6)}`;
  return `did:plc:${letters}`;
}

class HistoryMaker {
  readonly #random: SeededRandom;
  readonly #actors: Actor[];
  readonly #maker: RecordMaker;
  readonly #operators: OperatorMaker;
  readonly handles: string[];
  #entries: OutsideEntry[] = [];
  #nowMs = startMs;
  #number = 1;

  constructor({ random, name }: HistoryOptions) {
    this.#random = random;
    const dids = Array.from({ length: 4 + random.below(5) }, (_unused, index) => makeDid(random, name, index));
    this.#actors = dids.map((did) => ({ did, rev: '', snapshotRev: '', timeMs: startMs, past: [], isDeleted: false }));
    this.handles = Array.from({ length: 3 }, (_unused, index) => `h${index}.${name}.example`);
    this.#maker = new RecordMaker(random, dids);
    this.#operators = new OperatorMaker(random, this.#maker, dids);
  }

  get dids(): string[] {
    return this.#actors.map(({ did }) => did);
  }

  step(): void {
    const random = this.#random;
    const actor = pick(random, this.#actors);
    this.#nowMs += random.below(4) === 0 ? 0 : 1 + random.below(5000);
    actor.timeMs = this.#nowMs;
    const draw = random.below(100);
    if (draw < 66) return this.#add(actor, this.#commit(actor));
    if (draw < 73) {
      for (let count = random.below(3); count >= 0; count--) this.#add(actor, this.#operators.entry(this.#nowMs));
      return;
    }
    if (draw < 79) return this.#identity(actor);
    if (draw < 88) {
      const { did } = random.below(2) === 0 ? this.#actors[0]! : actor;
      return this.#add(actor, { kind: 'private', did, write: this.#write(did) });
    }
    if (draw < 91) return this.#account(actor);
    if (draw < 93)
      return this.#add(actor, { kind: 'sync', did: actor.did, rev: this.#nextRev(), eventMs: this.#nowMs });
    if (draw < 96) return this.#resync(actor);
    // A sender that missed the acknowledgement sends the last few entries again.
    for (const entry of actor.past.slice(-1 - random.below(6))) this.#entries.push(entry);
  }

  /** Ends a part with mutes of threads, which hide what comes after them. */
  endPart(): OutsideEntry[][] {
    const part = this.#entries;
    this.#entries = [];
    return [part, this.#operators.threadMutes()];
  }

  /** Indexes every repo again, which changes nothing. */
  reindexes(): OutsideEntry[] {
    return this.dids.map((did) => ({ kind: 'private', did, write: { type: 'reindex' } }));
  }

  /** Returns what was made since the last part. */
  rest(): OutsideEntry[] {
    return this.#entries;
  }

  #add(actor: Actor, entry: OutsideEntry): void {
    actor.past.push(entry);
    this.#entries.push(entry);
  }

  #nextRev(): string {
    this.#number += 2;
    return tidOf(this.#number);
  }

  #commit(actor: Actor): CommitEntry {
    const random = this.#random;
    const ops = Array.from({ length: random.below(5) === 0 ? 3 + random.below(8) : 1 + random.below(2) }, () =>
      this.#op(actor),
    );
    const last = actor.rev;
    const gap = this.#nextRev();
    actor.rev = this.#nextRev();
    const since = random.below(20) === 0 ? gap : last === '' ? null : last;
    return { kind: 'commit', did: actor.did, rev: actor.rev, since, eventMs: this.#nowMs, ops };
  }

  #op(actor: Actor): RepoOp {
    const random = this.#random;
    const { collection, rkey } = this.#maker.nextKey(actor.did);
    if (random.below(4) === 0) return deleteOp(collection, rkey);
    const record = this.#maker.record(actor.did, collection, rkey, this.#nowMs);
    // Some records have a CID that no valid record has.
    const codec = random.below(20) === 0 ? cidCodec.raw : cidCodec.dagCbor;
    return recordOp({ collection, rkey }, record, random.below(5) === 0 ? 'update' : 'create', codec);
  }

  #identity(actor: Actor): void {
    const random = this.#random;
    const handle = random.below(4) === 0 ? null : pick(random, this.handles);
    const isStale = random.below(8) === 0;
    const eventMs = isStale ? this.#nowMs - 50_000 : this.#nowMs;
    const entry = {
      kind: 'identity',
      did: actor.did,
      handle,
      verifiedAtMs: this.#nowMs,
      keysJson: '',
      servicesJson: '',
      eventMs,
    } as const;
    this.#add(actor, entry);
  }

  #account(actor: Actor): void {
    const random = this.#random;
    const status = pick(random, [
      '',
      'deactivated',
      'suspended',
      'takendown',
      'desynchronized',
      'throttled',
      'deleted',
    ]);
    this.#add(actor, { kind: 'account', did: actor.did, active: status === '', status, eventMs: this.#nowMs });
    if (status === 'deleted') actor.isDeleted = true;
  }

  #write(did: string): PrivateWrite {
    const random = this.#random;
    const ref = random.below(2) === 0 ? null : `mod-${random.below(3)}`;
    switch (random.below(14)) {
      case 6:
      case 7:
      case 8:
        return this.#muteWrite();
      case 10:
      case 11:
      case 12:
        return this.#privateWrite();
      case 0:
        return { type: 'actor-takedown', ref };
      case 1:
        return { type: 'blob-takedown', cid: `blob-${random.below(2)}`, ref };
      case 2:
        return { type: 'notification-seen', seenMs: this.#nowMs - random.below(100_000) };
      case 3:
        return { type: 'upstream-status', status: pick(random, ['', 'suspended']) };
      case 9:
        return { type: 'trusted-verifier', isTrusted: random.below(3) > 0 };
      default: {
        const { collection, rkey } = this.#maker.nextKey(did);
        // How a takedown changes a verification's notice depends on when it arrives.
        const isMarked = collection !== 'app.bsky.graph.verification';
        return { type: 'record-takedown', collection: isMarked ? collection : 'app.bsky.feed.post', rkey, ref };
      }
    }
  }

  /** A few keys and subjects, so that they meet; erasures are rare. */
  #privateWrite(): PrivateWrite {
    const random = this.#random;
    if (random.below(20) === 0) return { type: 'erase', kind: pick(random, privateKinds) };
    const namespace = pick(random, Object.values(privateNamespaces));
    const item = { type: 'private-data', namespace, key: tidOf(random.below(4)) } as const;
    const method = pick(random, ['create', 'create', 'update', 'delete'] as const);
    if (method === 'delete') return { ...item, method, payload: '' };
    if (namespace === privateNamespaces.subscription) {
      const activitySubscription = { post: true, reply: random.below(2) === 0 };
      return { ...item, method, payload: JSON.stringify({ subject: pick(random, this.dids), activitySubscription }) };
    }
    const uri = `at://${pick(random, this.dids)}/app.bsky.feed.post/${tidOf(1000 + random.below(3))}`;
    return { ...item, method, payload: JSON.stringify({ subject: { uri, cid: 'bafy' } }) };
  }

  /** Clears are rare, so that there is something to clear. */
  #muteWrite(): PrivateWrite {
    const random = this.#random;
    const subject = pick(random, this.dids);
    const list = { did: subject, collection: 'app.bsky.graph.list', rkey: tidOf(random.below(2)) };
    switch (random.below(12)) {
      case 0:
        return { type: random.below(2) === 0 ? 'clear-mutes' : 'clear-list-mutes' };
      case 1:
      case 2:
        return { type: 'unmute', subject };
      case 3:
      case 4:
        return { type: 'list-unmute', list };
      case 5:
      case 6:
      case 7:
        return { type: 'list-mute', list };
      default:
        return { type: 'mute', subject, onlyReposts: random.below(2) === 0, onlyQuoteposts: random.below(3) === 0 };
    }
  }

  /** A snapshot of the repo, sometimes outdated, with live commits held or ahead of it. */
  #resync(actor: Actor): void {
    const random = this.#random;
    const { did } = actor;
    const eventMs = this.#nowMs;
    const rev = random.below(4) === 0 && actor.rev !== actor.snapshotRev ? actor.rev : this.#nextRev();
    const isStale = rev === actor.rev;
    actor.snapshotRev = rev;
    this.#add(actor, { kind: 'resync-begin', did, rev, eventMs });
    if (random.below(5) === 0) this.#add(actor, this.#commit(actor));
    const isOvertaken = actor.rev > rev;
    const opByPath = new Map<string, RepoOp>();
    for (let count = random.below(12); count > 0; count--) {
      const op = this.#op(actor);
      if (op.action !== 'delete') opByPath.set(`${op.collection}/${op.rkey}`, { ...op, action: 'create' });
    }
    const ops = isOvertaken ? [] : [...opByPath.values()];
    const half = random.below(ops.length + 1);
    this.#add(actor, { kind: 'resync-chunk', did, rev, eventMs, ops: ops.slice(0, half) });
    if (half < ops.length) this.#add(actor, { kind: 'resync-chunk', did, rev, eventMs, ops: ops.slice(half) });
    if (random.below(6) !== 0) this.#add(actor, { kind: 'resync-end', did, rev, eventMs });
    if (!isStale && !isOvertaken) actor.rev = rev;
  }
}

/** Makes a history; the same seed gives the same one. */
export function makeHistory(options: HistoryOptions): History {
  const maker = new HistoryMaker(options);
  const { random, steps, mutesThreads = false, reindexes = false } = options;
  const parts: OutsideEntry[][] = [];
  const partCount = mutesThreads && random.below(2) > 0 ? 3 : 1;
  for (let step = 0; step < steps; step++) {
    maker.step();
    if ((step + 1) % Math.ceil(steps / partCount) === 0 && step + 1 < steps) parts.push(...maker.endPart());
  }
  parts.push(maker.rest());
  if (reindexes && random.below(2) === 0) parts.push(maker.reindexes());
  return { parts, entries: parts.flat(), dids: maker.dids, handles: maker.handles };
}
