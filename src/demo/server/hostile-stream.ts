/**
 * What strangers put into a hostile demo network's stream, one message at a time.
 *
 * Owns: the mix of kinds. Seqs and times are the network's; each message is a whole frame, sound or
 * damaged.
 */

import { CborWriter } from '../../atproto/cbor-writer.ts';
import type { DagValue } from '../../atproto/dag-value.ts';
import { decodeFirehoseMessage } from '../../atproto/firehose-event.ts';
import { tidOf } from '../../atproto/tid.ts';
import type { SeededRandom } from '../../base/seeded-random.ts';
import { canonicalOrder, drawHostileRecord, type HostileRecord } from '../model/hostile-records.ts';
import { TidClock } from '../model/tid-clock.ts';
import { DemoRepo, demoKeypair, type RepoWrite, type SignedCommit } from './demo-repo.ts';
import {
  encodeAccountFrame,
  encodeCommitFrame,
  encodeIdentityFrame,
  encodeSyncFrame,
  type FrameOp,
} from './firehose-frame.ts';
import type { HostileAccount, HostileAccounts } from './hostile-accounts.ts';

/** Sets the seq and the time of a message. */
export type FrameMaker = (seq: number, time: string) => Buffer;

export type HostileStreamOptions = {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly accounts: HostileAccounts;
  readonly goodDid: () => string;
};

/** A stranger's repo stays this small, as the demo's memory must. Units: records. */
const repoRecordsMax = 60;
const sharedCreates = 40;
/** So many good accounts have a forger, who signs with a key of their own. */
const forgers = 5;
const floodedNames = 5;
const futureMs = 400 * 86_400_000;

/** Weights of the kinds of messages. */
const kinds = [
  ['commit', 40],
  ['shared', 3],
  ['repeated', 4],
  ['forged', 10],
  ['future', 6],
  ['sync', 8],
  ['damaged', 12],
  ['flood', 10],
  ['deleted', 7],
] as const;
type Kind = (typeof kinds)[number][0];
const weightSum = kinds.reduce((sum, [, weight]) => sum + weight, 0);

const writer = new CborWriter();

function writeOf({ collection, rkey, value }: HostileRecord): RepoWrite {
  return {
    action: 'create',
    path: `${collection}/${rkey}`,
    block: writer.record(canonicalOrder(value as DagValue)).finish(),
  };
}

function commitFrame(
  did: string,
  commit: SignedCommit,
  change: { rev?: string; ops?: readonly FrameOp[] } = {},
): FrameMaker {
  const { head, since, prevData, car: blocks, ops } = commit;
  return (seq, time) =>
    encodeCommitFrame({ seq, did, rev: head.rev, since, time, commit: head.cid, prevData, blocks, ops, ...change });
}

export class HostileStream {
  readonly #options: HostileStreamOptions;
  readonly #tids = new TidClock(7);
  /** Repos of good DIDs under keys that are not theirs. */
  readonly #forged = new Map<string, DemoRepo>();

  constructor(options: HostileStreamOptions) {
    this.#options = options;
  }

  #kind(): Kind {
    let left = this.#options.random.below(weightSum);
    for (const [kind, weight] of kinds) {
      left -= weight;
      if (left < 0) return kind;
    }
    return 'commit';
  }

  #account(): HostileAccount {
    const { random, accounts } = this.#options;
    return accounts.all[random.below(accounts.all.length)]!;
  }

  #record(nowMs: number): HostileRecord {
    const { random, goodDid } = this.#options;
    return drawHostileRecord({
      random,
      goodDid,
      createdAt: new Date(nowMs).toISOString(),
      rkey: this.#tids.next(nowMs),
    });
  }

  /** Signs a commit; the oldest records go once a repo is full. Null when nothing is written. */
  #commit(repo: DemoRepo, nowMs: number, writes: readonly RepoWrite[]): Promise<SignedCommit | null> {
    const surplus = Math.max(0, repo.records.size + writes.length - repoRecordsMax);
    const written = new Set(writes.map(({ path }) => path));
    const old = [...repo.records.keys()].filter((path) => !written.has(path)).slice(0, surplus);
    const deletes = old.map((path) => ({ action: 'delete' as const, path, block: null }));
    return repo.commit(this.#tids.next(nowMs), [...writes, ...deletes]);
  }

  #forger(): DemoRepo {
    const did = this.#options.goodDid();
    const known = this.#forged.get(did);
    if (known !== undefined) return known;
    const [first] = this.#forged.values();
    if (this.#forged.size >= forgers && first !== undefined) return first;
    const repo = new DemoRepo(did, () => demoKeypair(this.#options.seed, -1 - this.#forged.size));
    this.#forged.set(did, repo);
    return repo;
  }

  /** Draws the next messages; most kinds are one. */
  async next(nowMs: number): Promise<FrameMaker[]> {
    const { random } = this.#options;
    const kind = this.#kind();
    const account = this.#account();
    const { did, repo } = account;
    switch (kind) {
      case 'flood':
        return this.#flood();
      case 'deleted':
        return [(seq, time) => encodeAccountFrame({ seq, did, time }, random.below(2) === 0 ? 'deleted' : null)];
      case 'sync': {
        const [rev, car] = [this.#tids.next(nowMs), repo.headCar() ?? Buffer.alloc(0)];
        return [(seq, time) => encodeSyncFrame({ seq, did, time }, rev, car)];
      }
      default:
        return this.#commitMessages(kind, account, nowMs);
    }
  }

  /** Names of hosts that are not there, and of one that keeps silent: all on loopback. */
  #flood(): FrameMaker[] {
    const { random, accounts } = this.#options;
    return Array.from({ length: floodedNames }, (_unused, index) => {
      const address = `127.${random.below(256)}.${random.below(256)}.${1 + random.below(254)}`;
      const did = index === 0 ? `did:web:localhost%3A${accounts.silentPort}` : `did:web:${address}%3A9`;
      return (seq, time) => encodeIdentityFrame({ seq, did, time }, 'x'.repeat(random.below(2_000)));
    });
  }

  async #commitMessages(kind: Kind, { did, repo }: HostileAccount, nowMs: number): Promise<FrameMaker[]> {
    const { random } = this.#options;
    const author = kind === 'forged' ? this.#forger() : repo;
    const commit = await this.#commit(author, nowMs, this.#writes(kind, nowMs));
    if (commit === null) return [];
    switch (kind) {
      case 'repeated':
        return [commitFrame(did, commit, { ops: [...commit.ops, ...commit.ops, ...commit.ops] })];
      case 'future':
        return [commitFrame(did, commit, { rev: tidOf((nowMs + futureMs) * 1000, random.below(1024)) })];
      case 'damaged':
        return [(seq, time) => this.#damaged(commitFrame(did, commit)(seq, time), seq)];
      case 'forged':
        return [commitFrame(author.did, commit)];
      default:
        return [commitFrame(did, commit)];
    }
  }

  #writes(kind: Kind, nowMs: number): RepoWrite[] {
    const { random } = this.#options;
    const first = writeOf(this.#record(nowMs));
    if (kind === 'shared') {
      const collection = first.path.slice(0, first.path.indexOf('/'));
      return Array.from({ length: sharedCreates }, () => ({
        ...first,
        path: `${collection}/${this.#tids.next(nowMs)}`,
      }));
    }
    return [first, ...Array.from({ length: random.below(3) }, () => writeOf(this.#record(nowMs)))];
  }

  #damaged(frame: Buffer, seq: number): Buffer {
    const { random } = this.#options;
    const bytes = Buffer.from(random.below(3) === 0 ? frame.subarray(0, random.below(frame.length)) : frame);
    for (let faults = 1 + random.below(4); faults > 0 && bytes.length > 0; faults--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    // Seqs are the network's own: with another it would itself lose messages.
    const read = decodeFirehoseMessage(bytes);
    const known = read.ok ? read.value.seq : read.seq;
    return known === null || known === seq ? bytes : frame;
  }
}
