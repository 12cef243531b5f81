/**
 * A cluster of real processes that follows a scripted network, and the good accounts in it.
 *
 * Owns: what must be true of the processes at any time, and the model of the good accounts: what
 * they wrote, which knows nothing of slots.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secp256k1Keypair } from '@atproto/crypto';
import { systemClock } from '../../src/base/clock.ts';
import { clusterFolder, type RunningCluster, removeFolder, startCluster } from '../support/running-cluster.ts';
import { didDocument, ScriptedNetwork } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import { commitFrame, create, SignedRepo } from '../unit/atproto/signed-repo.ts';
import { checkProcesses, checkSlots, settle } from './cluster-health.ts';
import { mustHold } from './fuzz-target.ts';
import { goodDids, keyableDids } from './hostile-records.ts';

const collection = 'app.bsky.feed.post';
/** How long a good commit may take until it is read, on a machine that has time for us. */
const appliedMsMax = 1_000;
/** The same on a slower machine, as a multiple of what it takes before anything hostile came. */
const slownessMax = 20;
const warmUpCommits = 5;
const requestMsMax = 20_000;

export type Answered = { readonly status: number; readonly body: string };

type GoodRecord = { readonly uri: string; readonly json: string };

export class HostileCluster implements AsyncDisposable {
  readonly network: ScriptedNetwork;
  readonly #running: RunningCluster;
  readonly #folder: string;
  readonly #repos: SignedRepo[] = [];
  readonly records: GoodRecord[] = [];
  /** Until a good commit was read, in the order of commits. */
  readonly appliedMs: number[] = [];
  #limitMs = Number.POSITIVE_INFINITY;
  #seq = 0;

  private constructor(network: ScriptedNetwork, running: RunningCluster, folder: string) {
    this.network = network;
    this.#running = running;
    this.#folder = folder;
  }

  /** Starts all processes; `words` are further flags of `skyshard up`. */
  static async start(words: readonly string[]): Promise<HostileCluster> {
    const network = await ScriptedNetwork.start();
    const folder = clusterFolder();
    const { url } = network;
    const flags = [
      `--relay=${url}`,
      `--plc-url=${url}`,
      `--handle-resolver=${url}`,
      '--allow-private-hosts',
      '--cursor=0',
    ];
    try {
      const running = await startCluster(folder, [...flags, ...words]);
      const cluster = new HostileCluster(network, running, folder);
      await cluster.#begin();
      return cluster;
    } catch (thrown) {
      await network.close();
      removeFolder(folder);
      throw thrown;
    }
  }

  async #begin(): Promise<void> {
    // Strangers sign with the key that documents have by default.
    const keypair = await Secp256k1Keypair.import('22'.repeat(32));
    const publicKeyMultibase = keypair.did().slice('did:key:'.length);
    for (const [index, did] of goodDids.entries()) {
      const handle = `good${index}.example`;
      this.network.register(did, handle);
      const method = { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase };
      const document = { ...didDocument(did, handle, this.network.url), verificationMethod: [method] };
      this.network.documents.set(did, document);
      this.#repos.push(await SignedRepo.start(did, [], { keypair }));
    }
    for (const did of keyableDids) this.network.register(did, 'stranger.example');
    await this.#read(await this.#commit(0), 60_000);
    this.appliedMs.length = 0;
    for (let count = 0; count < warmUpCommits; count++) await this.goodCommit();
    this.#limitMs = Math.max(appliedMsMax, slownessMax * Math.max(...this.appliedMs));
  }

  get run(): RunningCluster['run'] {
    return this.#running.run;
  }

  get clusterToken(): string {
    return readFileSync(join(this.#running.dataDir, 'cluster-token'), 'utf8').trim();
  }

  /** Returns the repo of a good account, undefined for any other. */
  carOf(did: string): Promise<Buffer> | undefined {
    return this.#repos.find((repo) => repo.did === did)?.car();
  }

  get nextSeq(): number {
    return ++this.#seq;
  }

  async #commit(index: number): Promise<GoodRecord> {
    const rkey = `good${this.records.length}`;
    const record = { $type: collection, text: `post ${this.records.length}`, createdAt: '2025-01-01T00:00:00.000Z' };
    const repo = this.#repos[index]!;
    const seq = this.nextSeq;
    const body = await repo.commit(seq, create(collection, rkey, record));
    this.network.publish(seq, commitFrame({ ...body, time: new Date(systemClock.nowMs()).toISOString() }));
    // Keys are in the order of the block, shorter ones first.
    const json = JSON.stringify({ text: record.text, $type: record.$type, createdAt: record.createdAt });
    const written = { uri: `at://${repo.did}/${collection}/${rkey}`, json };
    this.records.push(written);
    return written;
  }

  /**
   * Publishes a commit of a good account and waits until it is read as it was written.
   *
   * `extraMs` is added to how long that may take; such a commit does not count among `appliedMs`.
   */
  async goodCommit(extraMs = 0): Promise<void> {
    const startedMs = systemClock.monotonicMs();
    await this.#read(await this.#commit(this.records.length % goodDids.length), this.#limitMs + extraMs);
    if (extraMs === 0) this.appliedMs.push(systemClock.monotonicMs() - startedMs);
  }

  async #read(record: GoodRecord, withinMs: number): Promise<void> {
    await until(
      async () => {
        this.checkProcesses();
        return (await this.#stored([record.uri]))[0] === record.json;
      },
      Math.min(withinMs, 2 ** 30),
    );
  }

  /** Returns the JSON of records, '' for one that is not there. */
  async #stored(uris: readonly string[]): Promise<string[]> {
    const { status, body } = await this.call('GetPostRecords', JSON.stringify({ uris }));
    mustHold(status === 200, `GetPostRecords answers, not ${status} ${body}`);
    const { records } = JSON.parse(body) as { records: { record?: string }[] };
    return records.map(({ record = '' }) => Buffer.from(record, 'base64').toString());
  }

  /** Sends one request of bsky.Service as JSON. */
  async call(method: string, json: string): Promise<Answered> {
    const response = await fetch(`${this.run.router.url}/bsky.Service/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: json,
      signal: AbortSignal.timeout(requestMsMax),
    });
    return { status: response.status, body: await response.text() };
  }

  checkProcesses(): void {
    checkProcesses(this.#running);
  }

  checkSlots(): Promise<void> {
    return checkSlots(this.#running);
  }

  /** All that good accounts wrote is there, and the counts are those of what they wrote. */
  async checkModel(): Promise<void> {
    await settle(this.#running);
    for (let at = 0; at < this.records.length; at += 100) {
      const some = this.records.slice(at, at + 100);
      const stored = await this.#stored(some.map(({ uri }) => uri));
      some.forEach(({ uri, json }, index) => void mustHold(stored[index] === json, `${uri} reads as it was written`));
    }
    const { body } = await this.call('GetCountsForUsers', JSON.stringify({ dids: goodDids }));
    const { posts } = JSON.parse(body) as { posts: number[] };
    goodDids.forEach((did, index) => {
      const count = this.records.filter(({ uri }) => uri.startsWith(`at://${did}/`)).length;
      mustHold(posts[index] === count, `${did} has ${count} posts, not ${posts[index]}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.stop();
    await this.network.close();
    removeFolder(this.#folder);
  }
}
