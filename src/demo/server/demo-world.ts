/**
 * The demo network without its server: actors, repos and stream of messages, stored in a folder.
 *
 * Owns: seqs, and the order journal, then backlog, then subscribers: a killed process loses at most
 * a message that nobody has seen, which the next commit's `since` reveals.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Collection } from '../../atproto/collection.ts';
import type { DagMap } from '../../atproto/dag-value.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { CommitGrouping } from '../model/commit-grouping.ts';
import { actorFlag, type DemoActors } from '../model/demo-actors.ts';
import { type DemoExamples, ExampleTally } from '../model/demo-examples.ts';
import { GraphAdoption } from '../model/graph-adoption.ts';
import type { GraphCommit, GraphEvent } from '../model/graph-state.ts';
import { SocialGraph } from '../model/social-graph.ts';
import { DemoJournal, type JournalItem } from './demo-journal.ts';
import { DemoRepo, decodeRecord, demoKeypair, type RepoWrite, type StoredRecord } from './demo-repo.ts';
import { encodeAccountFrame, encodeCommitFrame, encodeIdentityFrame, encodeSyncFrame } from './firehose-frame.ts';
import { FrameBacklog } from './frame-backlog.ts';

export type DemoWorldOptions = {
  readonly seed: number;
  readonly actors: number;
  /** Records that exist before the network opens. */
  readonly initialRecords: number;
  /** How long ago the first of them was written. */
  readonly initialSpanMs: number;
  /** Share of events about accounts and handles. */
  readonly accountEvents: number;
  readonly dataDir: string;
  /** Past this many records, each commit also deletes an old one. */
  readonly recordsMax: number;
  /** Bounds the messages that are kept for subscribers. */
  readonly backlogBytesMax: number;
  /** How much the journal may grow, besides doubling, before it is compacted. */
  readonly journalSlackBytes: number;
};

/** How many of the newest records a graph continues from after a restart. */
const adoptedRecordsMax = 20_000;

/** Initial commits that are joined by actor at a time. */
const groupedCommits = 600;

type RepoRecord = StoredRecord & { readonly actor: number; readonly collection: Collection; readonly rkey: string };

function toWrites(event: GraphCommit): RepoWrite[] {
  return event.ops.map((op) => ({ action: op.action, path: `${op.collection}/${op.rkey}`, block: op.block }));
}

export class DemoWorld implements Disposable {
  readonly #options: DemoWorldOptions;
  #graph: SocialGraph;
  readonly #repos: DemoRepo[];
  readonly #journal: DemoJournal;
  readonly backlog: FrameBacklog;
  readonly #actorByDid = new Map<string, number>();
  readonly #actorByHandle = new Map<string, number>();
  readonly #examples = new ExampleTally();
  #seq = 0;
  #lastMs = 0;
  #records = 0;

  private constructor(options: DemoWorldOptions) {
    this.#options = options;
    const { seed, actors, accountEvents, dataDir } = options;
    this.#graph = new SocialGraph({ seed, actors, accountEvents });
    mkdirSync(dataDir, { recursive: true });
    this.#repos = Array.from(
      { length: actors },
      (_unused, actor) => new DemoRepo(this.actors.did(actor), () => demoKeypair(seed, actor)),
    );
    this.backlog = new FrameBacklog(dataDir, options.backlogBytesMax);
    this.#journal = new DemoJournal(join(dataDir, 'journal'), options.journalSlackBytes, (item) => this.#restore(item));
    this.#seq = Math.max(this.#seq, this.backlog.newestSeq);
    for (let actor = 0; actor < actors; actor++) {
      this.#actorByDid.set(this.actors.did(actor), actor);
      this.#actorByHandle.set(this.actors.handle(actor), actor);
    }
  }

  /** Opens the network of a folder, creating it and its initial records when there is none. */
  static async open(options: DemoWorldOptions, nowMs: number): Promise<DemoWorld> {
    const world = new DemoWorld(options);
    if (world.#journal.isEmpty) {
      world.#journal.append({ kind: 'network', seed: options.seed, actors: options.actors });
    } else world.#resumeGraph();
    await world.#load(nowMs);
    return world;
  }

  get actors(): DemoActors {
    return this.#graph.state.actors;
  }

  get seq(): number {
    return this.#seq;
  }

  /** How many records all repos hold. */
  get records(): number {
    return this.#records;
  }

  /** Returns good examples, as known when the network opened. */
  examples(): DemoExamples {
    return this.#examples.examples(this.actors);
  }

  actorOfDid(did: string): number | undefined {
    return this.#actorByDid.get(did);
  }

  actorOfHandle(handle: string): number | undefined {
    return this.#actorByHandle.get(handle);
  }

  isActive(actor: number): boolean {
    return !this.actors.has(actor, actorFlag.inactive);
  }

  repo(actor: number): DemoRepo {
    return this.#repos[actor]!;
  }

  #restore(item: JournalItem): void {
    if (item.kind === 'network') {
      if (item.seed === this.#options.seed && item.actors === this.#options.actors) return;
      throw new DataPlaneError(
        'ConfigInvalid',
        `${this.#options.dataDir} holds the demo network of seed ${item.seed} with ${item.actors} actors`,
      );
    }
    this.#seq = Math.max(this.#seq, item.seq);
    this.#lastMs = Math.max(this.#lastMs, item.timeMs);
    this.actors.set(item.actor, actorFlag.joined, true);
    if (item.kind === 'actor') {
      this.actors.set(item.actor, actorFlag.inactive, !item.isActive);
      this.actors.setHandleChanges(item.actor, item.handleChanges);
      return;
    }
    const repo = this.repo(item.actor);
    this.#records -= repo.records.size;
    repo.restore(item.head, item.writes);
    this.#records += repo.records.size;
  }

  /** Continues the graph from the state of an earlier run. */
  #resumeGraph(): void {
    const before = this.actors;
    const { seed, actors, accountEvents } = this.#options;
    // Other choices than the earlier run made, or all events would repeat.
    this.#graph = new SocialGraph({ seed, actors, accountEvents, choiceSeed: (seed ^ (this.#seq * 0x9e3779b1)) >>> 0 });
    for (const { head } of this.#repos) if (head !== null) this.#graph.state.passTid(head.rev);
    for (let actor = 0; actor < actors; actor++) {
      this.actors.set(actor, actorFlag.joined, before.has(actor, actorFlag.joined));
      this.actors.set(actor, actorFlag.inactive, before.has(actor, actorFlag.inactive));
      if (before.has(actor, actorFlag.inactive)) this.#graph.state.inactive.push(actor);
      this.actors.setHandleChanges(actor, before.handleChanges(actor));
    }
    const adoption = new GraphAdoption(this.#graph.state);
    for (const record of this.#newestRecords()) {
      const { actor, collection, rkey, cid } = record;
      const value = decodeRecord(record.block) as DagMap;
      adoption.adopt({ actor, collection, rkey, cid, value });
      this.#examples.observe(actor, `at://${this.actors.did(actor)}/${collection}/${rkey}`, collection, value);
    }
  }

  /** Returns all records with a fixed key, then the newest others, oldest first. */
  #newestRecords(): RepoRecord[] {
    const fixed: RepoRecord[] = [];
    const timed: RepoRecord[] = [];
    for (const [actor, repo] of this.#repos.entries()) {
      for (const [path, stored] of repo.records) {
        const slash = path.indexOf('/');
        const rkey = path.slice(slash + 1);
        const record = { ...stored, actor, collection: path.slice(0, slash) as Collection, rkey };
        (rkey.length === 13 ? timed : fixed).push(record);
      }
    }
    timed.sort((a, b) => (a.rkey < b.rkey ? -1 : 1));
    return [...fixed, ...timed.slice(-adoptedRecordsMax)];
  }

  /** Writes those initial records that are missing, up to now. */
  async #load(nowMs: number): Promise<void> {
    const { initialRecords, initialSpanMs, actors } = this.#options;
    // Deletes remove some, so a fully loaded network has slightly fewer.
    const missing = this.#records < initialRecords * 0.9 ? initialRecords - this.#records : 0;
    const startMs = Math.max(this.#lastMs, nowMs - initialSpanMs);
    const spanMs = Math.max(0, nowMs - startMs);
    const grouping = new CommitGrouping();
    for (let made = 0; made < missing; ) {
      const event = this.#graph.next(startMs + Math.floor((spanMs * made) / missing));
      if (event.kind === 'commit') {
        made += event.ops.length;
        this.#observe(event);
      }
      await this.#playGrouped(grouping, event);
    }
    for (const commit of grouping.takeAll()) await this.#play(commit);
    for (let actor = 0; actor < actors; actor++) this.#graph.state.enter(actor);
    for (let event = this.#graph.take(); event !== undefined; event = this.#graph.take()) await this.#play(event);
  }

  async #playGrouped(grouping: CommitGrouping, event: GraphEvent): Promise<void> {
    if (event.kind !== 'commit') {
      const held = grouping.takeActor(event.actor);
      if (held !== null) await this.#play(held);
      await this.#play(event);
      return;
    }
    const first = grouping.add(event);
    if (first !== null) await this.#play(first);
    if (grouping.parts < groupedCommits) return;
    for (const commit of grouping.takeAll()) await this.#play(commit);
  }

  #observe(event: GraphCommit): void {
    const did = this.actors.did(event.actor);
    for (const { collection, rkey, value } of event.ops) {
      if (value !== null) this.#examples.observe(event.actor, `at://${did}/${collection}/${rkey}`, collection, value);
    }
  }

  /**
   * Emits the next event.
   *
   * Returns: how many records it wrote or deleted; 0 for an account event.
   */
  emit(nowMs: number): Promise<number> {
    return this.#play(this.#graph.next(Math.max(nowMs, this.#lastMs)));
  }

  async #play(event: GraphEvent): Promise<number> {
    // Grouped commits come a little out of order.
    this.#lastMs = Math.max(this.#lastMs, event.timeMs);
    switch (event.kind) {
      case 'commit':
        return this.#playCommit(event);
      case 'join':
        this.#journalActor(event.actor);
        this.#sendIdentity(event.actor);
        this.#sendAccount(event.actor, null);
        return 0;
      case 'handle':
        this.#actorByHandle.set(event.handle, event.actor);
        this.#journalActor(event.actor);
        this.#sendIdentity(event.actor);
        return 0;
      case 'account':
        this.#playAccount(event.actor, event.active);
        return 0;
    }
  }

  async #playCommit(event: GraphCommit): Promise<number> {
    const { actor, timeMs } = event;
    const repo = this.repo(actor);
    const writes = toWrites(event);
    if (this.#records >= this.#options.recordsMax) writes.push(...oldestDeletes(repo, writes));
    const sizeBefore = repo.records.size;
    const commit = await repo.commit(event.rev, writes);
    if (commit === null) return 1;
    this.#records += repo.records.size - sizeBefore;
    const seq = ++this.#seq;
    this.#journal.append({ kind: 'commit', actor, seq, timeMs, head: commit.head, writes });
    const { rev, cid } = commit.head;
    const { since, prevData, car: blocks, ops } = commit;
    const time = new Date(timeMs).toISOString();
    const bytes = encodeCommitFrame({ seq, did: repo.did, rev, since, time, commit: cid, prevData, blocks, ops });
    this.backlog.append({ seq, bytes });
    if (this.#journal.isLarge) this.#journal.rewrite(this.#journalItems());
    return ops.length;
  }

  /** Sends a message that is about no actor: kept for subscribers, but not journaled. */
  sendForeign(make: (seq: number, time: string) => Buffer, nowMs: number): void {
    const seq = ++this.#seq;
    this.backlog.append({ seq, bytes: make(seq, new Date(nowMs).toISOString()) });
  }

  #playAccount(actor: number, active: boolean): void {
    this.#journalActor(actor);
    this.#sendAccount(actor, active ? null : 'deactivated');
    if (!active) return;
    // As a PDS does for an account that comes back: its identity, and the state of its repo.
    this.#sendIdentity(actor);
    const repo = this.repo(actor);
    const car = repo.headCar();
    if (car === null) return;
    const frame = this.#nextFrame(actor);
    this.backlog.append({ seq: frame.seq, bytes: encodeSyncFrame(frame, repo.head!.rev, car) });
  }

  #nextFrame(actor: number): { seq: number; did: string; time: string } {
    return { seq: ++this.#seq, did: this.actors.did(actor), time: new Date(this.#lastMs).toISOString() };
  }

  #sendIdentity(actor: number): void {
    const frame = this.#nextFrame(actor);
    this.backlog.append({ seq: frame.seq, bytes: encodeIdentityFrame(frame, this.actors.handle(actor)) });
  }

  #sendAccount(actor: number, status: string | null): void {
    const frame = this.#nextFrame(actor);
    this.backlog.append({ seq: frame.seq, bytes: encodeAccountFrame(frame, status) });
  }

  #actorItem(actor: number): JournalItem {
    const handleChanges = this.actors.handleChanges(actor);
    const isActive = this.isActive(actor);
    return { kind: 'actor', actor, seq: this.#seq, timeMs: this.#lastMs, isActive, handleChanges };
  }

  #journalActor(actor: number): void {
    this.#journal.append(this.#actorItem(actor));
  }

  /** Yields the items of a compact journal of the current state. */
  *#journalItems(): Generator<JournalItem, void, undefined> {
    const { seed, actors } = this.#options;
    yield { kind: 'network', seed, actors };
    for (const [actor, { head, records }] of this.#repos.entries()) {
      if (this.actors.has(actor, actorFlag.joined)) yield this.#actorItem(actor);
      if (head === null) continue;
      const writes = [...records].map(([path, { block }]) => ({ action: 'create' as const, path, block }));
      yield { kind: 'commit', actor, seq: this.#seq, timeMs: this.#lastMs, head, writes };
    }
  }

  [Symbol.dispose](): void {
    this.#journal[Symbol.dispose]();
    this.backlog[Symbol.dispose]();
  }
}

/** Returns a delete of an old record per write, but none of fixed keys or written paths. */
function oldestDeletes(repo: DemoRepo, writes: readonly RepoWrite[]): RepoWrite[] {
  const paths = new Set(writes.map((write) => write.path));
  const deletes: RepoWrite[] = [];
  for (const path of repo.records.keys()) {
    if (deletes.length >= writes.length) break;
    if (!path.endsWith('/self') && !paths.has(path)) deletes.push({ action: 'delete', path, block: null });
  }
  return deletes;
}
