/**
 * The protocol in plain maps: what any data plane must hold after a history of entries.
 *
 * Owns: the effect of each repo's own entries. `model-facts.ts` derives what follows from all
 * repos. Imports nothing from the slots, so as not to share their mistakes.
 */

import { Cid } from '../../src/atproto/cid.ts';
import { deleteOp, type RepoOp } from '../../src/atproto/repo-op.ts';
import type { CommitEntry, Entry, IdentityEntry, PrivateWrite } from '../../src/entry/entry.ts';
import { jsonOfOp } from '../support/record-op.ts';
import { ModelMutes } from './model-mutes.ts';
import { ModelOperators } from './model-operators.ts';
import { ModelPrivate } from './model-private.ts';
import { edgeOf, parsedValue, type Ref, replyRefsOf, type Value } from './model-record.ts';
import { ModelVersions } from './model-versions.ts';

export type ModelRecord = {
  readonly did: string;
  readonly collection: string;
  readonly rkey: string;
  readonly cid: string;
  readonly json: string;
  readonly value: Value;
  readonly indexedMs: number;
  readonly sortMs: number;
  takedownRef: string | null;
  tags: readonly string[];
  /** Of a reply: its author followed that of the root when it was indexed. */
  readonly isFollower: boolean;
};

export type ModelActor = {
  handle: string | null;
  verifiedMs: number;
  identityMs: number;
  accountMs: number;
  status: string;
  takedownRef: string | null;
  isTrusted: boolean;
};

/** A reply in the thread of its claimed root, deleted or not. */
export type ModelReply = {
  readonly root: Ref;
  readonly parent: Ref;
  readonly reply: Ref;
  readonly sortMs: number;
  readonly deletedMs: number | null;
  isTakenDown: boolean;
};

export type ModelNews = {
  readonly recipient: string;
  readonly source: ModelRecord;
  readonly reason: string;
  readonly sortMs: number;
};

type Repo = { rev: string; resync: { readonly rev: string; readonly seen: Set<string> } | null };
type Claim = { readonly timeMs: number; readonly isReleased: boolean };

const yearZeroMs = -62_167_219_200_000;
const knownStatuses = ['deactivated', 'suspended', 'takendown'];

export function uriOf(ref: Ref): string {
  return `at://${ref.did}/${ref.collection}/${ref.rkey}`;
}

export class Model {
  readonly actors = new Map<string, ModelActor>();
  readonly repos = new Map<string, Repo>();
  readonly records = new Map<string, ModelRecord>();
  readonly versions = new ModelVersions();
  /** Records that the end of a snapshot has removed, which is later than all events. */
  readonly swept = new Set<string>();
  /** Records by owner, kind and subject: the one that counts, then its duplicates in order. */
  readonly edges = new Map<string, ModelRecord[]>();
  /** By URI of the claimed root, then of the reply. */
  readonly threads = new Map<string, Map<string, ModelReply>>();
  /** Notifications that outlive their cause. */
  readonly news: ModelNews[] = [];
  readonly #rootByReplyTime = new Map<string, string>();
  /** Replies that claimed two roots at one time: two slots then write one notice, in any order. */
  readonly contested = new Set<string>();
  readonly claims = new Map<string, Map<string, Claim>>();
  readonly resyncNeeded = new Set<string>();
  readonly seenMs = new Map<string, number>();
  readonly mutes = new ModelMutes();
  readonly privateData = new ModelPrivate();
  readonly operators = new ModelOperators();
  /** By URI of a record: the part of the history of each of its changes. */
  readonly changes = new Map<string, number[]>();
  part = 0;
  readonly blobTakedowns = new Map<string, string>();
  /** Actors that were ever deleted: their notifications may have arrived before or after that. */
  readonly deleted = new Set<string>();
  readonly appendMs: number;

  /** Slots lose what they had, and with it when somebody ceased to be on a list. */
  readonly losesFolders: boolean;

  /** `appendMs` is the append time of all entries, later than every event. */
  constructor(appendMs: number, losesFolders = false) {
    this.appendMs = appendMs;
    this.losesFolders = losesFolders;
  }

  apply(entry: Entry): void {
    switch (entry.kind) {
      case 'commit':
        return this.#commit(entry);
      case 'sync':
        this.#actor(entry.did);
        if ((this.repos.get(entry.did)?.rev ?? '') < entry.rev) this.resyncNeeded.add(entry.did);
        return;
      case 'identity':
        return this.#identity(entry);
      case 'account':
        return this.#account(entry.did, entry.active, entry.status, entry.eventMs);
      case 'label':
        return this.operators.putLabel(entry.label);
      case 'label-removal':
        return this.operators.removeLabel(entry.id);
      case 'private':
        return this.#private(entry.did, entry.write);
      case 'resync-begin': {
        this.#actor(entry.did);
        const repo = this.#repo(entry.did);
        repo.resync = repo.rev > entry.rev ? null : { rev: entry.rev, seen: new Set() };
        return;
      }
      case 'resync-chunk': {
        const resync = this.repos.get(entry.did)?.resync;
        if (resync?.rev !== entry.rev) return;
        for (const op of entry.ops) this.#op(entry.did, op, entry.eventMs);
        for (const op of entry.ops) resync.seen.add(`${op.collection}/${op.rkey}`);
        return;
      }
      case 'resync-end':
        return this.#resyncEnd(entry.did, entry.rev);
      default:
        throw new Error(`a history holds no ${entry.kind}`);
    }
  }

  #actor(did: string): ModelActor {
    let actor = this.actors.get(did);
    if (actor === undefined) {
      actor = {
        handle: null,
        verifiedMs: 0,
        identityMs: 0,
        accountMs: 0,
        status: '',
        takedownRef: null,
        isTrusted: false,
      };
      this.actors.set(did, actor);
    }
    return actor;
  }

  #repo(did: string): Repo {
    let repo = this.repos.get(did);
    if (repo === undefined) {
      repo = { rev: '', resync: null };
      this.repos.set(did, repo);
    }
    return repo;
  }

  #commit(entry: CommitEntry): void {
    const known = this.repos.get(entry.did);
    if (known !== undefined && entry.rev <= known.rev) return;
    this.#actor(entry.did);
    const isGap = known !== undefined && entry.since !== null && entry.since > known.rev;
    if (isGap) this.resyncNeeded.add(entry.did);
    const repo = this.#repo(entry.did);
    for (const op of entry.ops) {
      this.#op(entry.did, op, entry.eventMs);
      repo.resync?.seen.add(`${op.collection}/${op.rkey}`);
    }
    repo.rev = entry.rev;
  }

  #resyncEnd(did: string, rev: string): void {
    const repo = this.repos.get(did);
    if (repo?.resync?.rev !== rev) return;
    for (const record of this.recordsOf(did)) {
      if (!repo.resync.seen.has(`${record.collection}/${record.rkey}`)) this.#remove(record, this.appendMs);
    }
    repo.rev = repo.rev > rev ? repo.rev : rev;
    repo.resync = null;
    this.resyncNeeded.delete(did);
  }

  /** In rkey order, the order of sweeps: it decides which duplicates notify on their way out. */
  recordsOf(did: string): ModelRecord[] {
    const records = [...this.records.values()].filter((record) => record.did === did);
    return records.sort((a, b) => (orderOf(a.rkey) < orderOf(b.rkey) ? -1 : 1));
  }

  #identity(entry: IdentityEntry): void {
    const actor = this.#actor(entry.did);
    if (entry.eventMs < actor.identityMs) return;
    if (actor.handle !== null && actor.handle !== entry.handle) this.#release(entry.did, actor);
    actor.handle = entry.handle;
    actor.verifiedMs = entry.verifiedAtMs;
    actor.identityMs = entry.eventMs;
    if (entry.handle === null) return;
    const claims = this.claims.get(entry.handle) ?? new Map<string, Claim>();
    claims.set(entry.did, { timeMs: entry.verifiedAtMs, isReleased: false });
    this.claims.set(entry.handle, claims);
  }

  #release(did: string, actor: ModelActor): void {
    this.claims.get(actor.handle!)!.set(did, { timeMs: actor.verifiedMs, isReleased: true });
  }

  #account(did: string, active: boolean, status: string, timeMs: number): void {
    const actor = this.#actor(did);
    if (timeMs < actor.accountMs) return;
    actor.accountMs = timeMs;
    if (active) actor.status = '';
    else if (knownStatuses.includes(status)) actor.status = status;
    if (active || status !== 'deleted') return;
    if (actor.handle !== null) this.#release(did, actor);
    for (const record of this.recordsOf(did)) if (record.indexedMs <= timeMs) this.#remove(record, timeMs);
    this.actors.delete(did);
    this.repos.delete(did);
    this.resyncNeeded.delete(did);
    this.operators.removeAccount(did);
    this.deleted.add(did);
  }

  #private(did: string, write: PrivateWrite): void {
    const actor = this.actors.get(did);
    switch (write.type) {
      case 'actor-takedown':
        if (actor !== undefined) actor.takedownRef = write.ref;
        return;
      case 'upstream-status':
        if (actor !== undefined) actor.status = write.status;
        return;
      case 'trusted-verifier':
        if (actor !== undefined) actor.isTrusted = write.isTrusted;
        return;
      case 'record-takedown': {
        const record = this.records.get(uriOf({ did, collection: write.collection, rkey: write.rkey }));
        if (record === undefined) return;
        record.takedownRef = write.ref;
        this.#threadRow(record, (row) => ({ ...row, isTakenDown: write.ref !== null }));
        return;
      }
      case 'blob-takedown':
        if (write.ref === null) this.blobTakedowns.delete(`${did} ${write.cid}`);
        else this.blobTakedowns.set(`${did} ${write.cid}`, write.ref);
        return;
      case 'notification-seen':
        this.seenMs.set(did, Math.max(write.seenMs, this.seenMs.get(did) ?? write.seenMs));
        return;
      case 'private-data':
      case 'erase':
        return this.privateData.apply(did, write);
      case 'suggestions':
        return this.operators.suggest(write);
      case 'actor-tags':
        return this.operators.putTags(did, write.tags);
      case 'age-assurance':
        return this.operators.changeAge(did, write.change);
      case 'notification-priority':
        // Who never looked has then seen all.
        if (!this.seenMs.has(did)) this.seenMs.set(did, this.appendMs);
        return this.operators.putPriority(did, write.isPriority);
      case 'record-tags': {
        const record = this.records.get(uriOf({ did, ...write }));
        if (record !== undefined) record.tags = write.tags;
        return;
      }
      case 'record-put':
        this.#actor(did);
        return this.#op(did, { ...write, action: 'update' }, this.appendMs);
      case 'record-delete':
        return this.#op(did, deleteOp(write.collection, write.rkey), this.appendMs);
      case 'reindex':
        return;
      default:
        return this.mutes.apply(did, write);
    }
  }

  #op(did: string, op: RepoOp, timeMs: number): void {
    const uri = uriOf({ did, collection: op.collection, rkey: op.rkey });
    const before = this.records.get(uri);
    const eventMs = Math.min(timeMs, this.appendMs);
    if (op.action === 'delete') {
      if (before !== undefined) this.#remove(before, eventMs);
      return;
    }
    const cid = new Cid(op.cid).text;
    if (before?.cid === cid) return;
    if (before !== undefined) this.#remove(before, eventMs);
    const json = jsonOfOp(op);
    const value = parsedValue(json);
    const createdMs = typeof value['createdAt'] === 'string' ? Date.parse(value['createdAt']) : Number.NaN;
    const sortMs = Number.isNaN(createdMs) ? eventMs : Math.max(yearZeroMs, Math.min(createdMs, eventMs));
    const { collection, rkey } = op;
    const { takedownRef = null, tags = [] } = before ?? {};
    const record = { did, collection, rkey, cid, json, value, indexedMs: eventMs, sortMs, takedownRef, tags };
    const rootDid = collection === 'app.bsky.feed.post' ? replyRefsOf(record)?.root.did : undefined;
    const isFollower = rootDid !== undefined && rootDid !== did && this.edges.has(`${did} follow ${rootDid}`);
    this.#put({ ...record, isFollower });
  }

  #version(uri: string, fromMs: number, record: ModelRecord | null): void {
    if (record === null && fromMs === this.appendMs) this.swept.add(uri);
    this.versions.add(uri, fromMs, record);
    this.changes.set(uri, [...(this.changes.get(uri) ?? []), this.part]);
  }

  #put(record: ModelRecord): void {
    this.records.set(uriOf(record), record);
    this.#version(uriOf(record), record.indexedMs, record);
    this.#threadRow(record, (row) => row);
    const edge = edgeOf(record);
    if (edge === undefined) return;
    const line = this.edges.get(edge.key) ?? [];
    // No later opt-out takes the place of the one that counts.
    if (edge.kind === 'list-opt-out' && line.length > 0) return;
    this.edges.set(edge.key, line);
    const later = line.findIndex((other, index) => index > 0 && isLater(other, record));
    if (line.length === 0 || later < 0) line.push(record);
    else line.splice(later, 0, record);
    if (line.length === 1) this.#verificationNews(record, 'verified', record.sortMs);
  }

  #remove(record: ModelRecord, eventMs: number): void {
    this.records.delete(uriOf(record));
    this.#version(uriOf(record), eventMs, null);
    this.#threadRow(record, (row) => ({ ...row, deletedMs: eventMs }));
    const edge = edgeOf(record);
    if (edge === undefined) return;
    const line = this.edges.get(edge.key) ?? [];
    const index = line.indexOf(record);
    if (index < 0) return;
    line.splice(index, 1);
    if (line.length === 0) this.edges.delete(edge.key);
    if (index > 0) return;
    this.#verificationNews(record, 'unverified', eventMs);
    if (line[0] !== undefined) this.#verificationNews(line[0], 'verified', line[0].sortMs);
  }

  #verificationNews(source: ModelRecord, reason: 'verified' | 'unverified', sortMs: number): void {
    if (source.collection !== 'app.bsky.graph.verification') return;
    const recipient = String(source.value['subject']);
    this.news.push({ recipient, source, reason, sortMs });
  }

  #threadRow(record: ModelRecord, change: (row: ModelReply) => ModelReply): void {
    if (record.collection !== 'app.bsky.feed.post') return;
    const refs = replyRefsOf(record);
    if (refs === undefined) return;
    const { root, parent } = refs;
    const isIndexed = [root, parent, record].every(
      (ref) => ref.collection === record.collection && ref.rkey.length <= 256,
    );
    if (!isIndexed) return;
    const thread = this.threads.get(uriOf(root)) ?? new Map<string, ModelReply>();
    this.threads.set(uriOf(root), thread);
    const isTakenDown = record.takedownRef !== null;
    const replyTime = `${uriOf(record)} ${record.sortMs}`;
    const rootBefore = this.#rootByReplyTime.get(replyTime);
    if (rootBefore !== undefined && rootBefore !== uriOf(root)) this.contested.add(uriOf(record));
    this.#rootByReplyTime.set(replyTime, uriOf(root));
    thread.set(
      uriOf(record),
      change({ root, parent, reply: record, sortMs: record.sortMs, deletedMs: null, isTakenDown }),
    );
  }
}

/** Orders duplicates by time, then by rkey: TIDs first, then shorter keys. */
function isLater(a: ModelRecord, b: ModelRecord): boolean {
  if (a.indexedMs !== b.indexedMs) return a.indexedMs > b.indexedMs;
  const [left, right] = [orderOf(a.rkey), orderOf(b.rkey)];
  return left > right;
}

function orderOf(rkey: string): string {
  if (/^[234567ab][234567a-z]{12}$/.test(rkey)) return `0${rkey}`;
  if (rkey === 'self') return '1';
  return `2${String(rkey.length).padStart(4, '0')}${rkey}`;
}
