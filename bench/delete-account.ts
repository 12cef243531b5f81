/**
 * How long does the deletion of an account take, and how long does it hold its slot?
 *
 * Two slots in one process, without the wire: the account's, and one that holds half of whom it
 * likes and follows. Most records of the account are likes, the rest follows, reposts and posts.
 * Between the steps of the deletion a neighbour in the same slot writes: `wait` is from its write
 * to the end of the transaction that holds it. `cpu_us_per_record` by quarters of all transactions
 * shows whether the time grows with what is left.
 *
 * Arguments: the number of records; a million by default.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RepoOp } from '../src/atproto/repo-op.ts';
import { systemClock } from '../src/base/clock.ts';
import { getActor } from '../src/slot/table/actor-row.ts';
import { recordPrefix } from '../src/slot/table/record-row.ts';
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

function opOf(index: number, dids: readonly string[]): RepoOp {
  const rkey = tidOf(index + 1);
  const did = dids[index % dids.length]!;
  const subject = { uri: `at://${did}/app.bsky.feed.post/${tidOf(index % 50_000)}`, cid };
  const kinds = ['like', 'like', 'follow', 'like', 'post', 'like', 'repost', 'like'] as const;
  const kind = kinds[index % kinds.length]!;
  if (kind === 'follow') return write('app.bsky.graph.follow', { subject: `did:web:f${index}.example` });
  if (kind === 'post') return write('app.bsky.feed.post', { text: `post ${index}` });
  return write(`app.bsky.feed.${kind}`, { subject });

  function write(collection: string, record: object): RepoOp {
    return recordOp({ collection, rkey }, { $type: collection, ...record, createdAt });
  }
}

const cid = 'bafyreigq4zsipbk5w3uqkbmh2w2633c5tcwudqu5ae3yvwr2hkgw2bkgfe';

function fill(cluster: SlotCluster, did: string, others: readonly string[], records: number): void {
  let rev = '';
  for (let first = 0, commits = 0; first < records; first += opsPerCommit, commits++) {
    const ops = Array.from({ length: Math.min(opsPerCommit, records - first) }, (_unused, at) =>
      opOf(first + at, others),
    );
    const since = rev === '' ? null : rev;
    rev = tidOf(2_000_000_000 + first);
    cluster.append({ kind: 'commit', did, rev, since, eventMs, ops });
    if (commits % commitsPerSettle === 0) cluster.settle();
  }
  cluster.settle();
}

function recordsLeft(cluster: SlotCluster, did: string): number {
  const state = cluster.stateOf(did);
  const owner = state.ownerOf(did);
  if (owner === undefined) return 0;
  const start = recordPrefix(owner);
  let count = 0;
  for (const _key of state.rows.scanKeys({ start, end: prefixEnd(start) })) count++;
  return count;
}

class Watch {
  readonly runs = new LatencyRecorder();
  readonly waits = new LatencyRecorder();
  readonly steps: { readonly ms: number; readonly cpuMs: number }[] = [];
  #lastMs = systemClock.monotonicMs();
  #writtenMs: number | null = null;
  #count = 0;

  /** Notes a transaction of the account's slot. Returns whether a neighbour should write now. */
  note(): boolean {
    const nowMs = systemClock.monotonicMs();
    this.runs.record(nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    if (this.#writtenMs !== null) this.waits.record(nowMs - this.#writtenMs);
    this.#writtenMs = null;
    const { user, system } = process.cpuUsage();
    this.steps.push({ ms: nowMs, cpuMs: (user + system) / 1000 });
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
  const watch = new Watch();
  watching.watch = watch;
  cluster.append({ kind: 'account', did, active: false, status: 'deleted', eventMs: eventMs + 1 });
  cluster.settle();
  watching.watch = null;
  return watch;
}

function quarters({ steps }: Watch, records: number): Record<string, number> {
  const at = (quarter: number): number => steps[Math.floor(((steps.length - 1) * quarter) / 4)]!.cpuMs;
  return Object.fromEntries(
    [1, 2, 3, 4].map((quarter) => [
      `cpu_us_per_record_q${quarter}`,
      ((at(quarter) - at(quarter - 1)) * 1000) / (records / 4),
    ]),
  );
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
    fill(cluster, did, others, records);
    const stored = recordsLeft(cluster, did);
    print(`${stored} records are stored`);
    const startedMs = systemClock.monotonicMs();
    const watch = remove(cluster, did, watching);
    const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
    const state = cluster.stateOf(did);
    const owner = state.ownerOf(did);
    const isGone = recordsLeft(cluster, did) === 0 && (owner === undefined || getActor(state, owner) === undefined);
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
      },
    };
  } finally {
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}
