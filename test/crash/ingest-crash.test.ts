/** Ingest killed at any moment resumes from its cursor, loses nothing and counts nothing twice. */
import { WriteOpAction } from '@atproto/repo';
import { describe, expect, it } from 'vitest';
import { adminRequest } from '../../src/cli/admin-request.ts';
import { readRunFile } from '../../src/cli/process/run-file.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import { clusterFolder, type RunningCluster, removeFolder, startCluster } from '../support/running-cluster.ts';
import { ScriptedNetwork } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import { authorDid, commitFrame, create, otherDid, SignedRepo } from '../unit/atproto/signed-repo.ts';

const timeoutMs = 60_000;
const startMs = Date.UTC(2024, 4, 6);
const commits = { posts: 200, killsAt: [70, 180, 300] } as const;

type Story = {
  readonly frames: { readonly seq: number; readonly frame: Buffer }[];
  readonly posts: readonly string[];
  /** One count per post, in the order of `posts`. */
  readonly likes: readonly number[];
};

/** One account posts, another likes each post; every third like is undone three posts later. */
async function makeStory(): Promise<Story> {
  const tids = new TidClock(1);
  const [author, reader] = [await SignedRepo.start(authorDid), await SignedRepo.start(otherDid)];
  const frames: { seq: number; frame: Buffer }[] = [];
  const posts: string[] = [];
  const likes: number[] = [];
  const taken: { readonly rkey: string; readonly post: number }[] = [];
  const add = async (repo: SignedRepo, ...writes: Parameters<SignedRepo['commit']>[1][]): Promise<void> => {
    const seq = frames.length + 1;
    frames.push({ seq, frame: commitFrame(await repo.commit(seq, ...writes)) });
  };
  for (let index = 0; index < commits.posts; index++) {
    const eventMs = startMs + index * 1000;
    const createdAt = new Date(eventMs).toISOString();
    const [rkey, likeKey] = [tids.next(eventMs), tids.next(eventMs)];
    const $type = 'app.bsky.feed.post';
    await add(author, create($type, rkey, { $type, text: `post ${index}`, createdAt }));
    const uri = `at://${authorDid}/${$type}/${rkey}`;
    posts.push(uri);
    likes.push(1);
    const cid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
    const like = { $type: 'app.bsky.feed.like', subject: { uri, cid }, createdAt };
    await add(reader, create('app.bsky.feed.like', likeKey, like));
    if (index % 3 === 0) taken.push({ rkey: likeKey, post: index });
    const due = taken[0];
    if (due !== undefined && due.post + 3 <= index) {
      taken.shift();
      likes[due.post] = 0;
      await add(reader, { action: WriteOpAction.Delete, collection: 'app.bsky.feed.like', rkey: due.rkey });
    }
  }
  return { frames, posts, likes };
}

async function ask(cluster: RunningCluster, method: string, request: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${cluster.run.router.url}/bsky.Service/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

describe('kill -9 of ingest', () => {
  it('in the middle of the stream loses nothing and counts nothing twice', async () => {
    const { frames, posts, likes } = await makeStory();
    const network = await ScriptedNetwork.start();
    network.register(authorDid, 'author.test');
    network.register(otherDid, 'other.test');
    const folder = clusterFolder();
    const killsLeft: number[] = [...commits.killsAt];
    let isKillDue = false;
    // Each life gets the stream up to the next kill, so that the last frames are in flight.
    network.onConnect = ({ cursor, socket }) => {
      for (const { seq, frame } of frames) {
        if (seq > (cursor ?? 0)) socket.send(frame);
        if (seq === killsLeft[0]) {
          isKillDue = true;
          return;
        }
      }
    };
    const words = [`--pds=${network.url}`, `--plc-url=${network.url}`, `--handle-resolver=${network.url}`];
    const cluster = await startCluster(folder, [...words, '--allow-private-hosts', '--cursor=0']);
    try {
      let { pid } = cluster.run.ingest;
      while (killsLeft.length > 0) {
        await until(() => isKillDue, timeoutMs);
        isKillDue = false;
        killsLeft.shift();
        process.kill(pid, 'SIGKILL');
        await until(() => (readRunFile(cluster.dataDir)?.ingest.pid ?? pid) !== pid, timeoutMs);
        pid = readRunFile(cluster.dataDir)!.ingest.pid;
      }
      const body = { cursors: { [network.url]: frames.length } };
      await adminRequest({ url: cluster.run.router.url, path: '/v1/settle', body, token: null, timeoutMs });
      const refs = posts.map((uri) => ({ uri }));
      const counts = await ask(cluster, 'GetInteractionCounts', { refs });
      expect(counts['likes']).toEqual(likes);
      const ofUsers = await ask(cluster, 'GetCountsForUsers', { dids: [authorDid] });
      expect(ofUsers['posts']).toEqual([posts.length]);
      const { items } = (await ask(cluster, 'GetAuthorFeed', { actorDid: authorDid, limit: 1000 })) as {
        items: { uri: string }[];
      };
      expect(items.map(({ uri }) => uri)).toEqual([...posts].reverse());
      // Each life resumed from the stored cursor, which is later than the last kill but one.
      const cursors = network.connections.map(({ cursor }) => cursor ?? 0);
      expect(cursors).toEqual([...cursors].sort((a, b) => a - b));
      expect(
        cursors.every((cursor, life) => life === 0 || cursor <= (commits.killsAt[life - 1] ?? frames.length)),
      ).toBe(true);
    } finally {
      await cluster.stop();
      await network.close();
      removeFolder(folder);
    }
  }, 300_000);
});
