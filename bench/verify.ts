/**
 * What proving commits costs: the whole work of a proving thread, and the signature in it.
 *
 * Commits are those of the simulated network: real signatures, trees and roots before. Closed loop,
 * one thread; CPU time counts, so other load on the machine matters little.
 */
import { type Keypair, P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { CborWriter } from '../src/atproto/cbor-writer.ts';
import { isSignedBy, parseSigningKey } from '../src/atproto/signing-key.ts';
import { tidOf } from '../src/atproto/tid.ts';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { DemoRepo } from '../src/demo/server/demo-repo.ts';
import { encodeCommitFrame } from '../src/demo/server/firehose-frame.ts';
import type { ProofBatch } from '../src/ingest/proof-messages.ts';
import { proveBatch } from '../src/ingest/proof-thread.ts';
import { authorDid } from './post-set.ts';
import type { BenchOptions, BenchResult, Figure } from './report.ts';

export const question = 'How many commits a second does one core prove, and how many signatures? (closed loop)';

const rounds = 5;
const batchCommits = 64;
const did = authorDid(1, 0);

/** Returns the CPU time of one run. Units: microseconds. */
function cpuUsOf(run: () => unknown, times: number): number {
  const before = process.cpuUsage();
  for (let index = 0; index < times; index++) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** A like as the network writes it. */
function likeBlock(writer: CborWriter, index: number): Buffer {
  const subject = { uri: `at://${did}/app.bsky.feed.post/3k${String(index).padStart(11, '2')}` };
  return writer.record({ $type: 'app.bsky.feed.like', subject, createdAt: '2026-01-01T00:00:00.000Z' }).finish();
}

/** Signs commits of one like each on a repo of `records`. */
async function framesOf(keypair: Keypair, records: number, commits: number, seed: number): Promise<Buffer[]> {
  const random = seededRandom(seed);
  const repo = new DemoRepo(did, async () => keypair);
  const writer = new CborWriter();
  const startMicros = systemClock.nowMs() * 1000 - 1e12;
  const path = (): string =>
    `app.bsky.feed.like/${tidOf(startMicros + random.below(2 ** 31) * 100, random.below(1024))}`;
  const write = (index: number) => ({ action: 'create', path: path(), block: likeBlock(writer, index) }) as const;
  await repo.commit(
    tidOf(startMicros, 0),
    Array.from({ length: records }, (_unused, index) => write(index)),
  );
  const frames: Buffer[] = [];
  for (let index = 0; index < commits; index++) {
    const signed = await repo.commit(tidOf(startMicros + 1 + index, 0), [write(records + index)]);
    const { head, since, prevData, car: blocks, ops } = signed!;
    const time = new Date(startMicros / 1000).toISOString();
    const { rev, cid: commit } = head;
    frames.push(encodeCommitFrame({ seq: index + 1, did, rev, since, time, commit, prevData, blocks, ops }));
  }
  return frames;
}

function batchOf(frames: readonly Buffer[], multikey: string): ProofBatch {
  const bytes = new Uint8Array(Buffer.concat(frames));
  return { bytes, lengths: frames.map(({ length }) => length), keys: frames.map(() => multikey) };
}

async function measure(keypair: Keypair, records: number, { seed, budgetS }: BenchOptions): Promise<Figure> {
  const frames = await framesOf(keypair, records, batchCommits, seed);
  const multikey = keypair.did().slice('did:key:'.length);
  const batch = batchOf(frames, multikey);
  const answers = proveBatch(batch);
  const wrong = answers.reasons.find((reason) => reason !== null);
  if (wrong !== undefined) throw new Error(`a commit is not proven: ${wrong}`);
  const key = parseSigningKey(multikey)!;
  const message = Buffer.alloc(200, seed);
  const signature = await keypair.sign(message);
  if (!isSignedBy(key, message, signature)) throw new Error('a signature is not its own');
  const prove = (): unknown => proveBatch(batch);
  const sign = (): unknown => isSignedBy(key, message, signature);
  const roundUs = (budgetS * 1e6) / (rounds * 16);
  const timesOf = (run: () => unknown): number => Math.max(2, Math.round(roundUs / cpuUsOf(run, 3)));
  const [proveTimes, signTimes] = [timesOf(prove), timesOf(sign)];
  const proofs: number[] = [];
  const signatures: number[] = [];
  for (let round = 0; round < rounds; round++) {
    proofs.push(cpuUsOf(prove, proveTimes) / frames.length);
    signatures.push(cpuUsOf(sign, signTimes));
  }
  const [proofUs, signatureUs] = [median(proofs), median(signatures)];
  return {
    commits_per_s_per_core: Math.round(1e6 / proofUs),
    cpu_us_per_commit: proofUs,
    signatures_per_s_per_core: Math.round(1e6 / signatureUs),
    cpu_us_per_signature: signatureUs,
    bytes_per_message: Math.round(batch.bytes.length / frames.length),
  };
}

/** Runs the bench. */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const sizes = options.quick ? [100] : [100, 10_000];
  const figures: Record<string, Figure> = {};
  for (const records of sizes) {
    options.print(`signing commits on repos of ${records} records`);
    figures[`repo_of_${records}`] = {
      k256: await measure(await Secp256k1Keypair.create(), records, options),
      p256: await measure(await P256Keypair.create(), records, options),
    };
  }
  return {
    dataSize: `${batchCommits} commits of one record each, on repos of ${sizes.join(' and ')} records`,
    figures,
  };
}
