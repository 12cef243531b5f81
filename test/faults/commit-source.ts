/**
 * A firehose under control of the lane, and `skyshard ingest`, which follows it into the log.
 *
 * An author posts and takes old posts back, a reader likes each post. What was sent must be served
 * in the end, once: the posts by count and by name, the likes by count. No repo can be fetched, so
 * that nothing makes up for an event that was lost.
 */
import { WriteOpAction } from '@atproto/repo';
import { systemClock } from '../../src/base/clock.ts';
import { adminRequest } from '../../src/cli/admin-request.ts';
import { callService, listOf, numberAt, type ServiceAnswer } from '../../src/cli/service-call.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import { freePort } from '../support/crash-cluster.ts';
import { sourceProgram } from '../support/running-cluster.ts';
import { ScriptedNetwork } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import { authorDid, commitFrame, create, otherDid, SignedRepo } from '../unit/atproto/signed-repo.ts';
import { type FaultCluster, token } from './fault-cluster.ts';
import { compareSettled, compareSettledCount, type EffectErrors } from './known-answers.ts';
import { RoleProcess } from './role-process.ts';

const post = 'app.bsky.feed.post';
const like = 'app.bsky.feed.like';
const pauseMs = 120;
/** Older posts are taken back, and so are their likes. */
const postsMax = 40;
const durableMsMax = 120_000;
const requestMsMax = 5_000;
const pageSize = 25;
const firstMs = Date.UTC(2025, 0, 1);

type Post = { readonly rkey: string; readonly likeKey: string };

export class CommitSource implements AsyncDisposable {
  readonly #cluster: FaultCluster;
  readonly #network: ScriptedNetwork;
  readonly #author: SignedRepo;
  readonly #reader: SignedRepo;
  readonly #ingestUrl: string;
  readonly #tids = new TidClock(1);
  readonly #posts: Post[] = [];
  readonly #known = new Set<string>();
  readonly #running: Promise<void>;
  /** A post counts as sent though it is not, so that a test sees whether that is noticed. */
  #isOneLost: boolean;
  #seq = 0;
  #isWriting = true;
  #isStepping = false;
  #isOver = false;

  private constructor(
    cluster: FaultCluster,
    network: ScriptedNetwork,
    { repos, port, isOneLost }: { repos: readonly SignedRepo[]; port: number; isOneLost: boolean },
  ) {
    this.#isOneLost = isOneLost;
    this.#cluster = cluster;
    this.#network = network;
    [this.#author, this.#reader] = repos as [SignedRepo, SignedRepo];
    this.#ingestUrl = `http://${cluster.hostOf('ingest')}:${port}`;
    this.#running = this.#run();
  }

  /** Starts the source, and ingest as a role of the cluster. */
  static async start(cluster: FaultCluster, isOneLost = false): Promise<CommitSource> {
    const host = cluster.boxes?.hostAddress ?? '127.0.0.1';
    const network = await ScriptedNetwork.start(0, undefined, host);
    network.register(authorDid, 'author.test');
    network.register(otherDid, 'reader.test');
    const port = await freePort();
    const words = [...(cluster.boxes?.prefixOf(cluster.boxOf('ingest')) ?? []), ...ingestWords(cluster, network, port)];
    const role = new RoleProcess({ name: 'ingest', words: () => words });
    cluster.roles.set('ingest', role);
    await role.start();
    const repos = [await SignedRepo.start(authorDid), await SignedRepo.start(otherDid)];
    return new CommitSource(cluster, network, { repos, port, isOneLost });
  }

  /** How many events were sent. */
  get sent(): number {
    return this.#seq;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await systemClock.sleep(pauseMs);
      if (!this.#isWriting) continue;
      this.#isStepping = true;
      await this.#step();
      this.#isStepping = false;
    }
  }

  async #step(): Promise<void> {
    const atMs = firstMs + this.#seq * 1_000;
    const [rkey, likeKey] = [this.#tids.next(atMs), this.#tids.next(atMs)];
    const createdAt = new Date(atMs).toISOString();
    const uri = uriOf(rkey);
    this.#known.add(uri);
    if (this.#isOneLost) {
      this.#isOneLost = false;
      this.#posts.push({ rkey, likeKey });
      return;
    }
    await this.#send(this.#author, create(post, rkey, { $type: post, text: `post ${this.#seq}`, createdAt }));
    const cid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
    await this.#send(this.#reader, create(like, likeKey, { $type: like, subject: { uri, cid }, createdAt }));
    this.#posts.push({ rkey, likeKey });
    if (this.#posts.length <= postsMax) return;
    const old = this.#posts.shift()!;
    await this.#send(this.#reader, { action: WriteOpAction.Delete, collection: like, rkey: old.likeKey });
    await this.#send(this.#author, { action: WriteOpAction.Delete, collection: post, rkey: old.rkey });
  }

  async #send(repo: SignedRepo, ...writes: Parameters<SignedRepo['commit']>[1][]): Promise<void> {
    const seq = ++this.#seq;
    this.#network.publish(seq, commitFrame(await repo.commit(seq, ...writes)));
  }

  /** Sends nothing more until `resume`, and waits until all that was sent is in the log. */
  async pause(): Promise<void> {
    this.#isWriting = false;
    let durable: unknown = null;
    const isDurable = async (): Promise<boolean> => {
      if (this.#isStepping) return false;
      const asked = { url: this.#ingestUrl, path: '/v1/status', token, timeoutMs: requestMsMax };
      const status = (await adminRequest(asked)) as { sources: readonly { durableSeq: number | null }[] };
      durable = status.sources[0]!.durableSeq;
      return durable === this.#seq;
    };
    await until(() => isDurable().catch(() => false), durableMsMax).catch(() => {
      throw new Error(`ingest has ${String(durable)} of ${this.#seq} events in the log after ${durableMsMax} ms`);
    });
  }

  resume(): void {
    this.#isWriting = true;
  }

  #call(method: string, request: object): Promise<ServiceAnswer> {
    return callService({ url: this.#cluster.routerUrl, timeoutMs: requestMsMax }, method, request);
  }

  /** Compares what is served, which has settled, with what was sent. */
  async compareSettled(): Promise<EffectErrors> {
    const uris = this.#posts.map(({ rkey }) => uriOf(rkey));
    const found = compareSettled('posts of the source', uris, await this.#postsServed(), (uri) => this.#known.has(uri));
    const counts = await this.#call('GetCountsForUsers', { dids: [authorDid] });
    const errors = [found, compareSettledCount('count of its posts', uris.length, numberAt(counts, 'posts', 0))];
    const likes = await this.#call('GetInteractionCounts', { refs: uris.map((uri) => ({ uri })) });
    for (const [index, uri] of uris.entries())
      errors.push(compareSettledCount(`likes of ${uri}`, 1, numberAt(likes, 'likes', index)));
    return { lost: errors.flatMap(({ lost }) => lost), doubled: errors.flatMap(({ doubled }) => doubled) };
  }

  async #postsServed(): Promise<string[]> {
    const uris: string[] = [];
    let cursor = '';
    do {
      const answer = await this.#call('GetAuthorFeed', { actorDid: authorDid, limit: pageSize, cursor });
      uris.push(...listOf(answer, 'items').map(({ uri }) => String(uri)));
      cursor = String(answer['cursor'] ?? '');
    } while (cursor !== '');
    return uris;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#running;
    await this.#network.close();
  }
}

function uriOf(rkey: string): string {
  return `at://${authorDid}/${post}/${rkey}`;
}

function ingestWords(cluster: FaultCluster, { url }: ScriptedNetwork, port: number): string[] {
  const where = [`--map=${cluster.mapPath}`, `--data-dir=${cluster.folder}/ingest`, ...cluster.logFlags];
  const source = [`--relay=${url}`, '--cursor=0', `--plc-url=${url}`, `--handle-resolver=${url}`];
  const listening = [`--host=${cluster.hostOf('ingest')}`, `--ingest-port=${port}`, '--log-level=warn'];
  return [...sourceProgram, 'ingest', ...where, ...source, ...listening, '--allow-private-hosts'];
}
