/**
 * `npm run fuzz:demo -- [--minutes 10] [--rate 20]`: `up --demo --hostile` stays healthy.
 *
 * Drives reads all the while and holds the cluster to this: no process ends or passes its memory,
 * every slot applies with nothing in quarantine, ingest keeps up, the cluster settles, and the good
 * accounts' records are those of their own repos, neither more nor fewer.
 */
import { parseArgs } from 'node:util';
import { dagJson } from '../../src/atproto/dag-value.ts';
import { openRepoCar } from '../../src/atproto/repo-car.ts';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { clusterFolder, type RunningCluster, removeFolder, startCluster } from '../support/running-cluster.ts';
import { checkProcesses, checkSlots, settle } from './cluster-health.ts';
import { mustHold } from './fuzz-target.ts';

const lagMsMax = 60_000;
const requestMsMax = 20_000;
const comparedActors = 20;
const comparedPosts = 25;
const actors = 150;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
});
const random = seededRandom(Number(values.seed));

type Answer = { readonly status: number; readonly json: Record<string, unknown> };

async function getJson(url: string): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(requestMsMax) });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

async function call(cluster: RunningCluster, method: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${cluster.run.router.url}/bsky.Service/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(requestMsMax),
  });
  const text = await response.text();
  mustHold(
    response.status === 200,
    `${method} ${JSON.stringify(body).slice(0, 200)} is answered: ${text.slice(0, 300)}`,
  );
  return JSON.parse(text) as Record<string, unknown>;
}

async function goodDids(demoUrl: string): Promise<string[]> {
  const { json } = await getJson(`${demoUrl}/xrpc/com.atproto.sync.listRepos?limit=1000`);
  const repos = json['repos'] as { did: string; active: boolean }[];
  return repos.flatMap(({ did, active }) => (active ? [did] : []));
}

/** Reads as an AppView does, about good accounts: whatever strangers wrote, each is answered. */
async function read(cluster: RunningCluster, dids: readonly string[]): Promise<void> {
  const did = dids[random.below(dids.length)]!;
  const some = Array.from({ length: 10 }, () => dids[random.below(dids.length)]!);
  await Promise.all([
    call(cluster, 'GetActors', { dids: some }),
    call(cluster, 'GetCountsForUsers', { dids: some }),
    call(cluster, 'GetAuthorFeed', { actorDid: did, limit: 50 }),
    call(cluster, 'GetTimeline', { actorDid: did, limit: 50 }),
    call(cluster, 'GetFollowers', { actorDid: did, limit: 50 }),
    call(cluster, 'GetNotifications', { actorDid: did, limit: 50 }),
    call(cluster, 'GetUnreadNotificationCount', { actorDid: did }),
  ]);
}

type Truth = { readonly rev: string; readonly posts: ReadonlyMap<string, string> };

/** Returns the posts of a repo by URI, as its host has them; null while it has none to give. */
async function truthOf(demoUrl: string, did: string): Promise<Truth | null> {
  const response = await fetch(`${demoUrl}/xrpc/com.atproto.sync.getRepo?did=${did}`, {
    signal: AbortSignal.timeout(requestMsMax),
  });
  const car = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) return null;
  const opened = openRepoCar(car);
  mustHold(opened.ok, 'a good repo opens');
  const posts = new Map<string, string>();
  for (const chunk of opened.value.chunks()) {
    mustHold(chunk.ok, 'a good repo is whole');
    for (const { op, value: record } of chunk.value.ops) {
      if (op.collection === 'app.bsky.feed.post') posts.set(`at://${did}/${op.collection}/${op.rkey}`, dagJson(record));
    }
  }
  return { rev: opened.value.rev, posts };
}

/** Compares one account with its repo; it has written nothing in between. */
async function compareOne(cluster: RunningCluster, did: string, posts: ReadonlyMap<string, string>): Promise<void> {
  const counts = await call(cluster, 'GetCountsForUsers', { dids: [did] });
  const count = (counts['posts'] as number[] | undefined)?.[0] ?? 0;
  mustHold(count === posts.size, `${did} has ${posts.size} posts, not ${count}`);
  const uris = [...posts.keys()].slice(-comparedPosts);
  const records = await call(cluster, 'GetPostRecords', { uris });
  const stored = (records['records'] as { record?: string }[] | undefined) ?? [];
  uris.forEach((uri, index) => {
    const json = Buffer.from(stored[index]?.record ?? '', 'base64').toString();
    mustHold(json === posts.get(uri), `${uri} reads as its author wrote it, not ${json.slice(0, 200)}`);
  });
}

/** Compares those of some accounts that write nothing meanwhile. Returns: how many those were. */
async function compareSome(cluster: RunningCluster, demoUrl: string, dids: readonly string[]): Promise<number> {
  const before = new Map<string, Truth | null>();
  for (let count = 0; count < comparedActors; count++) {
    const did = dids[random.below(dids.length)]!;
    before.set(did, await truthOf(demoUrl, did));
  }
  await settle(cluster);
  let compared = 0;
  for (const [did, truth] of before) {
    const fault =
      truth === null
        ? null
        : await compareOne(cluster, did, truth.posts).then(
            () => null,
            (error: Error) => error,
          );
    const after = await truthOf(demoUrl, did);
    if (truth === null || after?.rev !== truth.rev) continue;
    if (fault !== null) throw fault;
    compared++;
  }
  return compared;
}

type Source = {
  readonly lagMs: number | null;
  readonly receivedSeq: number;
  readonly doneSeq: number;
  readonly dropped: Readonly<Record<string, number>>;
};

async function sourceOf(cluster: RunningCluster): Promise<Source> {
  const { json } = await getJson(`${cluster.run.ingest.url}/v1/status`);
  return (json['sources'] as Source[])[0]!;
}

async function drive(cluster: RunningCluster): Promise<void> {
  const demoUrl = cluster.run.demo!.url;
  const dids = await goodDids(demoUrl);
  const endMs = systemClock.monotonicMs() + Number(values.minutes) * 60_000;
  let compared = 0;
  for (let round = 1; systemClock.monotonicMs() < endMs; round++) {
    await read(cluster, dids);
    const memory = checkProcesses(cluster);
    const source = await sourceOf(cluster);
    mustHold((source.lagMs ?? 0) < lagMsMax, `ingest is at most ${lagMsMax} ms late, not ${source.lagMs}`);
    if (round % 10 === 0) {
      await checkSlots(cluster);
      compared += await compareSome(cluster, demoUrl, dids);
      const dropped = Object.values(source.dropped).reduce((sum, count) => sum + count, 0);
      const { receivedSeq, doneSeq, lagMs } = source;
      console.log(
        `round ${round}: received ${receivedSeq}, done ${doneSeq}, dropped ${dropped}, lag ${lagMs} ms, ` +
          `compared ${compared} accounts, most memory ${Math.round(memory)} MiB`,
      );
    }
    await systemClock.sleep(200);
  }
  await checkSlots(cluster);
  mustHold(compared > 0, 'good accounts were compared');
  console.log(`healthy for ${values.minutes} minutes`);
}

const folder = clusterFolder();
try {
  const words = ['--demo', '--hostile', `--hostile-rate=${values.rate}`, `--demo-actors=${actors}`];
  const cluster = await startCluster(folder, words);
  try {
    await drive(cluster);
  } catch (thrown) {
    console.log(JSON.stringify((await getJson(`${cluster.run.ingest.url}/v1/status`)).json));
    throw thrown;
  } finally {
    await cluster.stop();
  }
} finally {
  removeFolder(folder);
}
