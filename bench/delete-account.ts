/**
 * How long does the deletion of an account take, and how long does it hold its slot?
 *
 * Two slots in one process, without the wire: the account's, and one that holds half of whom it
 * likes and follows. Most records of the account are likes, the rest follows, reposts and posts.
 * Between the steps of the deletion a neighbour in the same slot writes: `wait` is from its write
 * to the end of the transaction that holds it. `cpu_us_per_record` by quarters of all transactions
 * shows whether the time grows with what is left or was freed, once read beside that by kind: one
 * kind goes after the other.
 *
 * Arguments: the number of records; a million by default. Then the only kind, if not all.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RepoOp } from '../src/atproto/repo-op.ts';
import { systemClock } from '../src/base/clock.ts';
import { getActor } from '../src/slot/table/actor-row.ts';
import { readRecordRefOfKey, recordPrefix } from '../src/slot/table/record-row.ts';
import { prefixEnd } from '../src/storage/environment.ts';
import { tidOf } from '../test/simulation/history-record.ts';
import { makeMemoryFolder } from '../test/support/memory-folder.ts';
import { recordOp } from '../test/support/record-op.ts';
import { SlotCluster } from '../test/support/slot-cluster.ts';
import { type BenchOptions, type BenchResult, LatencyRecorder } from './report.ts';

export const question = 'How long does the deletion of an account with a million records take, and its slot hold?';

const opsPerCommit = 500;
const commitsPerSettle = 20;
const neighbourEveryRuns = 8;
const eventMs = Date.UTC(2025, 0, 1);
const createdAt = new Date(eventMs).toISOString();

/** Returns the first DID of a series that is in a slot. */
function didIn(cluster: SlotCluster, slot: number, from: number): string {
  for (let number = from; ; number++) {
    const did = `did:plc:${String(number)
      .padStart(24, 'a')
      .replace(/[0189]/g, (digit) => 'bcde'['0189'.indexOf(digit)]!)}`;
    if (cluster.slotOf(did) === slot) return did;
  }
}

const mixedKinds = ['like', 'like', 'follow', 'like', 'post', 'like', 'repost', 'like'] as const;
type Kind = (typeof mixedKinds)[number];

function opOf(index: number, dids: readonly string[], kinds: readonly Kind[]): RepoOp {
  const rkey = tidOf(index + 1);
  const did = dids[index % dids.length]!;
  const subject = { uri: `at://${did}/app.bsky.feed.post/${tidOf(index % 50_000)}`, cid };
  const kind = kinds[index % kinds.length]!;
  if (kind === 'follow') return write('app.bsky.graph.follow', { subject: `did:web:f${index}.example` });
  if (kind === 'post') return write('app.bsky.feed.post', { text: `post ${index}` });
  return write(`app.bsky.feed.${kind}`, { subject });

  function write(collection: string, record: object): RepoOp {
    return recordOp({ collection, rkey }, { $type: collection, ...record, createdAt });
  }
}

const cid = 'bafyreigq4zsipbk5w3uqkbmh2w2633c5tcwudqu5ae3yvwr2hkgw2bkgfe';

/** An account to fill. */
type Account = { readonly did: string; readonly records: number; readonly kinds: readonly Kind[] };

function fill(cluster: SlotCluster, { did, records, kinds }: Account, others: readonly string[]): void {
  let rev = '';
  for (let first = 0, commits = 0; first < records; first += opsPerCommit, commits++) {
    const ops = Array.from({ length: Math.min(opsPerCommit, records - first) }, (_unused, at) =>
      opOf(first + at, others, kinds),
    );
    const since = rev === '' ? null : rev;
    rev = tidOf(2_000_000_000 + first);
    cluster.append({ kind: 'commit', did, rev, since, eventMs, ops });
    if (commits % commitsPerSettle === 0) cluster.settle();
  }
  cluster.settle();
}

/** Yields the collections of an account's records, in the order in which they are removed. */
function* collectionsLeft(cluster: SlotCluster, did: string): Generator<string> {
  const state = cluster.stateOf(did);
  const owner = state.ownerOf(did);
  if (owner === undefined) return;
  const start = recordPrefix(owner);
  for (const key of state.rows.scanKeys({ start, end: prefixEnd(start) }))
    yield readRecordRefOfKey(did, key).collection;
}

/** Returns how many records are left of each collection. */
function recordsLeft(cluster: SlotCluster, did: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const collection of collectionsLeft(cluster, did)) counts.set(collection, (counts.get(collection) ?? 0) + 1);
  return counts;
}

function cpuMsNow(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

class Watch {
  readonly runs = new LatencyRecorder();
  readonly waits = new LatencyRecorder();
  readonly stepCpuMs: number[] = [];
  /** By the collection of the first record that was left before a step. */
  readonly cpuMsByCollection = new Map<string, number>();
  readonly #nextCollection: () => string;
  #collection: string;
  #lastCpuMs = cpuMsNow();
  #lastMs = systemClock.monotonicMs();
  #writtenMs: number | null = null;
  #count = 0;

  constructor(nextCollection: () => string) {
    this.#nextCollection = nextCollection;
    this.#collection = nextCollection();
  }

  /** Notes a transaction of the account's slot. Returns whether a neighbour should write now. */
  note(): boolean {
    const nowMs = systemClock.monotonicMs();
    this.runs.record(nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    if (this.#writtenMs !== null) this.waits.record(nowMs - this.#writtenMs);
    this.#writtenMs = null;
    const cpuMs = cpuMsNow();
    this.stepCpuMs.push(cpuMs);
    const before = this.cpuMsByCollection.get(this.#collection) ?? 0;
    this.cpuMsByCollection.set(this.#collection, before + cpuMs - this.#lastCpuMs);
    this.#collection = this.#nextCollection();
    this.#lastCpuMs = cpuMs;
    const mayWrite = this.#count++ % neighbourEveryRuns === 0;
    if (mayWrite) this.#writtenMs = nowMs;
    return mayWrite;
  }

  /** A transaction of another slot is over. */
  passed(): void {
    this.#lastMs = systemClock.monotonicMs();
  }
}

/** Deletes the account while a neighbour writes. */
function remove(cluster: SlotCluster, did: string, watching: { watch: Watch | null }): Watch {
  const watch = new Watch(() => collectionsLeft(cluster, did).next().value ?? 'rest');
  watching.watch = watch;
  cluster.append({ kind: 'account', did, active: false, status: 'deleted', eventMs: eventMs + 1 });
  cluster.settle();
  watching.watch = null;
  return watch;
}

function quarters({ stepCpuMs }: Watch, records: number): Record<string, number> {
  const at = (quarter: number): number => stepCpuMs[Math.floor(((stepCpuMs.length - 1) * quarter) / 4)]!;
  return Object.fromEntries(
    [1, 2, 3, 4].map((quarter) => [
      `cpu_us_per_record_q${quarter}`,
      ((at(quarter) - at(quarter - 1)) * 1000) / (records / 4),
    ]),
  );
}

/** What remains once no record is left is divided by all records. */
function byKind(
  { cpuMsByCollection }: Watch,
  stored: ReadonlyMap<string, number>,
  records: number,
): Record<string, number> {
  return Object.fromEntries(
    [...cpuMsByCollection].map(([collection, cpuMs]) => [
      collection.slice(collection.lastIndexOf('.') + 1),
      (cpuMs * 1000) / (stored.get(collection) ?? records),
    ]),
  );
}

function kindsOf(name: string | undefined): readonly Kind[] {
  if (name === undefined) return mixedKinds;
  const kind = mixedKinds.find((known) => known === name);
  if (kind === undefined) throw new Error(`${name}: no kind of records of this bench`);
  return [kind];
}

export async function run({ args, quick, print }: BenchOptions): Promise<BenchResult> {
  const records = Number(args[0] ?? (quick ? 20_000 : 1_000_000));
  const folder = makeMemoryFolder('skyshard-bench-delete-');
  const watching: { watch: Watch | null } = { watch: null };
  let neighbours = 0;
  const cluster = SlotCluster.open({
    slots: 2,
    path: join(folder, 'slots'),
    mapBytes: 2 ** 34,
    batchesWaitingMax: 8,
    onRun: (slot) => {
      const { watch } = watching;
      if (watch === null) return;
      if (slot !== 0) return watch.passed();
      if (!watch.note()) return;
      const rev = tidOf(3_000_000_000 + ++neighbours);
      const op = recordOp(
        { collection: 'app.bsky.feed.post', rkey: rev },
        { $type: 'app.bsky.feed.post', text: 'n', createdAt },
      );
      cluster.append({ kind: 'commit', did: neighbour, rev, since: null, eventMs: eventMs + 2, ops: [op] });
    },
  });
  const did = didIn(cluster, 0, 1);
  const neighbour = didIn(cluster, 0, 1_000);
  const others = [0, 1].flatMap((slot) => [2_000, 3_000].map((from) => didIn(cluster, slot, from)));
  try {
    fill(cluster, { did, records, kinds: kindsOf(args[1]) }, others);
    const storedByCollection = recordsLeft(cluster, did);
    const stored = [...storedByCollection.values()].reduce((sum, count) => sum + count, 0);
    print(`${stored} records are stored`);
    const startedMs = systemClock.monotonicMs();
    const watch = remove(cluster, did, watching);
    const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
    const state = cluster.stateOf(did);
    const owner = state.ownerOf(did);
    const isGone =
      recordsLeft(cluster, did).size === 0 && (owner === undefined || getActor(state, owner) === undefined);
    return {
      dataSize: `${stored} records of one account`,
      figures: {
        is_gone: isGone,
        seconds,
        transactions: watch.runs.count,
        neighbour_writes: neighbours,
        transaction: watch.runs.percentiles(),
        wait: watch.waits.percentiles(),
        ...quarters(watch, stored),
        cpu_us_per_record: byKind(watch, storedByCollection, stored),
      },
    };
  } finally {
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}
