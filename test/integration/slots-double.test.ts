/** Slots are doubled while they are read and written: each answer is right, nobody is refused. */
import { gunzipSync } from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { JetStreamSender } from '../../src/log/jetstream-sender.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import type { MessageByName, MethodName } from '../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../src/proto/schema.ts';
import type { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { beginDoubling, endDoubling } from '../../src/shardmap/slot-doubling.ts';
import { mapAnswer, mapRequest } from '../../src/wire/map-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { searchCatchUpRequest } from '../../src/wire/search-messages.ts';
import { CommitAppender } from '../support/commit-appender.ts';
import { haveDoubled } from '../support/doubling-status.ts';
import { NatsServer } from '../support/nats-server.ts';
import { recordOp } from '../support/record-op.ts';
import { ReplicatedCluster, type ShardOfTest } from '../support/replicated-cluster.ts';
import { until } from '../support/until.ts';

type Request<Name extends MethodName> = MessageByName[`${Name}Request` & keyof MessageByName];
type Response<Name extends MethodName> = MessageByName[`${Name}Response` & keyof MessageByName];

const testMsMax = 240_000;
const waitMsMax = 90_000;
const actorCount = 48;
const follow = 'app.bsky.graph.follow';
/** Within this time all actors were seen first, and nobody else. */
const filledMs = 3_600_000;

const disposals: AsyncDisposable[] = [];
afterEach(async () => {
  for (const disposal of disposals.splice(0).reverse()) await disposal[Symbol.asyncDispose]();
}, 60_000);

const didOf = (number: number): string => `did:web:d${number}.example`;
const actors = Array.from({ length: actorCount }, (_unused, number) => didOf(number));
const handleOf = (number: number): string => `h${number}.example`;
const createdAt = new Date(Date.UTC(2025, 2, 1)).toISOString();

/** A cluster with four slots, and what writes to it and reads it. */
class Doubled implements AsyncDisposable {
  readonly cluster: ReplicatedCluster;
  readonly nodes: readonly string[];
  readonly router: ServiceRouter;
  readonly log: RemoteLog;
  readonly commits = new CommitAppender();
  readonly refusals: string[] = [];
  readonly #sender: JetStreamSender | null;

  constructor(cluster: ReplicatedCluster) {
    this.cluster = cluster;
    this.nodes = [...cluster.map.nodes.keys()];
    // As one that hears of a newer map by an answer.
    const reloadMap = async () => {
      const payload = mapRequest.encode({ caller: null, withProcesses: false });
      const ask = (node: string) => cluster.client.call({ node, method: nodeCalls.map, payload, timeoutMs: 10_000 });
      const answers = (await Promise.all(this.nodes.map(ask))).map((answer) => mapAnswer.decode(answer).committed);
      return parseShardMap(answers.reduce((newest, other) => (other.epoch > newest.epoch ? other : newest)).json);
    };
    this.router = cluster.makeRouter({ reloadMap });
    let { map } = cluster;
    const mapNow = (): ShardMap => {
      if (cluster.map.epoch > map.epoch) map = cluster.map;
      return map;
    };
    const { server } = cluster;
    const parts = { map: mapNow, clock: systemClock, random: seededRandom(2), note: () => {} };
    this.#sender = server === null ? null : new JetStreamSender({ server, ...parts });
    this.log = new RemoteLog({
      caller: cluster.client,
      map: mapNow,
      ...(this.#sender === null ? {} : { server: this.#sender }),
      onRetry: (_node, error) => void this.refusals.push(`${error.code} ${error.message}`),
    });
  }

  async ask<Name extends MethodName>(method: Name, request: MessageInput<Request<Name>>): Promise<Response<Name>> {
    const names = methodByName.get(method)!;
    const bytes = encodeMessage(names.request, request as never);
    const answer = await this.router.handle(method, bytes, { caller: 'test', timeoutMs: null });
    return decodeMessage(names.response, answer) as Response<Name>;
  }

  async fill(): Promise<void> {
    for (const [number, did] of actors.entries()) {
      const verifiedAtMs = this.commits.timeMs;
      const document = { keysJson: '{}', servicesJson: '{}', eventMs: verifiedAtMs };
      await this.log.append(did, { kind: 'identity', did, handle: handleOf(number), verifiedAtMs, ...document });
      const subject = actors[(number * 7) % 6]!;
      const ops = [
        recordOp({ collection: 'app.bsky.actor.profile', rkey: 'self' }, { displayName: `actor ${number}`, createdAt }),
        recordOp({ collection: 'app.bsky.feed.post', rkey: 'p' }, { text: `apple number ${number}`, createdAt }),
        recordOp({ collection: follow, rkey: 'f' }, { subject, createdAt }),
      ];
      const policies = { policies: { labelValues: [] }, createdAt };
      if (number % 5 === 0) ops.push(recordOp({ collection: 'app.bsky.labeler.service', rkey: 'self' }, policies));
      await this.commits.commit(this.log, did, ops);
    }
    this.commits.timeMs += filledMs;
    await this.cluster.settle();
    await this.catchUp();
  }

  /** Waits until searches find all that is there. */
  async catchUp(): Promise<void> {
    const payload = searchCatchUpRequest.encode({ timeoutMs: 60_000 });
    for (const node of this.nodes)
      await this.cluster.client.call({ node, method: nodeCalls.searchCatchUp, payload, timeoutMs: 70_000 });
  }

  /** Returns the answers to requests of all kinds, in a form that does not depend on nodes. */
  readonly questions: Readonly<Record<string, () => Promise<unknown>>> = {
    followers: async () =>
      Promise.all(
        actors.slice(0, 6).map(async (actorDid) => {
          const { followers } = await this.ask('GetFollowers', { actorDid, limit: 100 });
          return followers.map((follower) => follower.actorDid).sort();
        }),
      ),
    actors: async () => {
      const { actors: rows } = await this.ask('GetActors', { dids: actors });
      return rows.map(({ exists, handle, profile }) => [exists, handle, Buffer.from(profile!.record).toString()]);
    },
    posts: async () => {
      const uris = actors.map((did) => `at://${did}/app.bsky.feed.post/p`);
      const { records } = await this.ask('GetPostRecords', { uris });
      return records.map(({ record }) => Buffer.from(record).toString());
    },
    handles: async () => (await this.ask('GetDidsByHandles', { handles: actors.map((_did, at) => handleOf(at)) })).dids,
    counts: async () => (await this.ask('GetCountsForUsers', { dids: actors })).followers,
    newUsers: async () => {
      const [start, end] = [Date.UTC(2025, 2, 1), Date.UTC(2025, 2, 1) + filledMs];
      return (await this.ask('GetNewUserCountForRange', { start, end })).count;
    },
    labelers: async () => [...(await this.ask('GetAllLabelers', {})).uris].sort(),
    sitemap: async () => {
      const buckets = await this.#sitemapBuckets();
      const pages = await Promise.all(
        buckets.map(async (bucket) =>
          gunzipSync((await this.ask('GetSitemapPage', { date: Date.now(), bucket })).sitemap).toString(),
        ),
      );
      // An index names the pages of slots as they are then.
      if ((await this.#sitemapBuckets()).join() !== buckets.join()) return this.questions['sitemap']!();
      return pages.flatMap((page) => [...page.matchAll(/profile\/([^<]+)</g)].map((match) => match[1]!)).sort();
    },
  };

  async #sitemapBuckets(): Promise<number[]> {
    const index = gunzipSync((await this.ask('GetSitemapIndex', {})).sitemap).toString();
    return [...index.matchAll(/users\/[\d-]+\/(\d+)\.xml/g)].map((match) => Number(match[1]));
  }

  /**
   * Returns all that is found. A page is shorter where what it cost has reached the bound; what is
   * indexed anew before the next one, as of a child, may be on both.
   */
  async search(): Promise<string[]> {
    const found = new Set<string>();
    for (let cursor = ''; ; ) {
      const page = await this.ask('SearchPosts', { term: 'apple', limit: 100, cursor });
      for (const uri of page.uris) found.add(uri);
      if (page.cursor === '') return [...found].sort();
      cursor = page.cursor;
    }
  }

  async untilDoubled(): Promise<void> {
    const { cluster } = this;
    await until(() => haveDoubled(cluster.map, (node) => cluster.statusOf(node)), waitMsMax);
  }

  /** Puts a map in force at the nodes, and at the router as a push does. */
  async push(next: ReplicatedCluster['mapJson']): Promise<void> {
    await this.cluster.pushMap(next);
    this.router.useMap(this.cluster.map);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.#sender?.[Symbol.asyncDispose]();
  }
}

const inFolders: readonly ShardOfTest[] = [
  { primary: 'n0', replicas: [], slots: ['0-1'] },
  { primary: 'n1', replicas: [], slots: ['2-3'] },
];
/** With logs on a server. */
const withReplicas: readonly ShardOfTest[] = [
  { primary: 'n0', replicas: ['n1', 'n2'], slots: ['0-1'] },
  { primary: 'n1', replicas: ['n0'], slots: ['2-3'] },
];

async function start(shards: readonly ShardOfTest[], threads: ReplicatedCluster['threads']): Promise<Doubled> {
  const nodes = shards === inFolders ? ['n0', 'n1'] : ['n0', 'n1', 'n2'];
  const server = shards === inFolders ? null : await NatsServer.start();
  if (server !== null) disposals.push(server);
  const cluster = await ReplicatedCluster.make(server, 4, nodes, shards);
  disposals.push(cluster);
  cluster.threads = threads;
  await Promise.all(nodes.map((name) => cluster.startNode(name)));
  const doubled = new Doubled(cluster);
  disposals.push(doubled);
  return doubled;
}

/** How often something is done, at least. */
const turnsMin = 6;
/** Between two turns, so that most of the machine is left to the nodes. */
const turnPauseMs = 10;

/** Does something over and over until it is told to end. */
function onAndOn(work: () => Promise<void>): { end(): Promise<number> } {
  let isOver = false;
  const running = (async () => {
    let turns = 0;
    for (; !isOver || turns < turnsMin; turns++) {
      await work();
      await systemClock.sleep(turnPauseMs);
    }
    return turns;
  })();
  return {
    end: () => {
      isOver = true;
      return running;
    },
  };
}

it.each([
  ['one serving thread', inFolders, { searchThreads: 1 }],
  ['several threads of each kind', inFolders, { applyThreads: 2, serveThreads: 2, searchThreads: 1 }],
  ['logs on a server, and replicas,', withReplicas, { searchThreads: 1 }],
  ['all of these', withReplicas, { applyThreads: 2, serveThreads: 2, searchThreads: 1 }],
] as const)(
  'slots of nodes with %s are doubled under load, twice',
  async (_what, shards, threads) => {
    const doubled = await start(shards, threads);
    const { cluster, nodes } = doubled;
    await doubled.fill();
    const names = Object.keys(doubled.questions);
    const expected = new Map<string, unknown>();
    for (const name of names) expected.set(name, await doubled.questions[name]!());
    const hits = await doubled.search();
    expect(hits).toHaveLength(actorCount);
    const failures: string[] = [];
    const compare = async (name: string, got: Promise<unknown>, wanted: unknown): Promise<void> => {
      const answer = await got.catch((thrown: unknown) => `failed: ${thrown}`);
      if (JSON.stringify(answer) !== JSON.stringify(wanted)) failures.push(`${name}: ${JSON.stringify(answer)}`);
    };
    const reading = onAndOn(async () => {
      await Promise.all(names.map((name) => compare(name, doubled.questions[name]!(), expected.get(name))));
    });
    const searching = onAndOn(() => compare('search', doubled.search(), hits));
    // Each of some new accounts follows one of six others, and each says when it has looked.
    const targets = [200, 201, 202, 203, 204, 205].map(didOf);
    const fansOf = new Map(targets.map((target) => [target, [] as string[]]));
    let number = 1_000;
    const writing = onAndOn(async () => {
      const fan = didOf(number++);
      const target = targets[number % targets.length]!;
      await doubled.commits.commit(doubled.log, fan, [
        recordOp({ collection: follow, rkey: 'f' }, { subject: target, createdAt }),
      ]);
      fansOf.get(target)!.push(fan);
    });
    let seenMs = Date.UTC(2025, 5, 1);
    const looking = onAndOn(async () => {
      seenMs += 1_000;
      for (const actorDid of targets) {
        const wanted = seenMs;
        const written = doubled.ask('UpdateNotificationSeen', { actorDid, timestamp: wanted });
        const read = written.then(async () => (await doubled.ask('GetNotificationSeen', { actorDid })).timestamp);
        await compare(`seen of ${actorDid} at ${seenMs}`, read, wanted);
      }
    });
    for (const slots of [8, 16]) {
      await doubled.push(beginDoubling(cluster.mapJson, cluster.map));
      await doubled.untilDoubled();
      await doubled.push(endDoubling(cluster.mapJson, cluster.map));
      expect(cluster.map.slots).toBe(slots);
    }
    const turns = [await reading.end(), await searching.end(), await writing.end(), await looking.end()];
    expect(failures.length, failures.slice(0, 5).join('\n')).toBe(0);
    for (const count of turns) expect(count).toBeGreaterThanOrEqual(turnsMin);
    await cluster.settle();
    for (const [target, fans] of fansOf) {
      const { followers } = await doubled.ask('GetFollowers', { actorDid: target, limit: 1_000 });
      expect(followers.map(({ actorDid }) => actorDid).sort()).toEqual([...fans].sort());
    }
    for (let slot = 0; slot < cluster.map.slots; slot++) await cluster.expectSame(slot);
    // And so after a start.
    for (const node of nodes) {
      await cluster.stopNode(node);
      await cluster.startNode(node);
    }
    await until(async () => (await doubled.search().catch(() => [])).length === actorCount, waitMsMax);
    for (const name of names) expect(await doubled.questions[name]!(), name).toEqual(expected.get(name));
    expect(cluster.notes.filter((note) => / ends: /.test(note))).toEqual([]);
  },
  testMsMax,
);

it(
  'a writer that hears late of a doubling loses nothing, and has nothing acknowledged before',
  async () => {
    const doubled = await start(withReplicas, {});
    const { cluster, commits } = doubled;
    let known = cluster.map;
    const refusals: string[] = [];
    const parts = { map: () => known, clock: systemClock, random: seededRandom(3) };
    await using sender = new JetStreamSender({ server: cluster.server!, ...parts, note: () => {} });
    await using late = new RemoteLog({
      caller: cluster.client,
      ...parts,
      server: sender,
      onRetry: (_node, error) => void refusals.push(error.message),
    });
    await doubled.push(beginDoubling(cluster.mapJson, cluster.map));
    await doubled.untilDoubled();
    const [fan, target] = [cluster.didIn(4, 1), cluster.didIn(1, 1)];
    const ops = [recordOp({ collection: follow, rkey: 'f' }, { subject: target, createdAt })];
    let isAppended = false;
    const appended = commits.commit(late, fan, ops).then(() => {
      isAppended = true;
    });
    // It is in the log of slot 0, where it is passed.
    await until(() => refusals.filter((message) => message.startsWith('slot 0 splits')).length > 2, waitMsMax);
    expect(isAppended).toBe(false);
    known = cluster.map;
    await appended;
    await cluster.haveFollowed([fan], target);
    for (let slot = 0; slot < cluster.map.slots; slot++) await cluster.expectSame(slot);
  },
  testMsMax,
);
