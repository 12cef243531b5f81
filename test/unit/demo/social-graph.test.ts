/** The social graph: reproducible, valid, and close to the real network in mix and skew. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { graphEntries, graphFrames, openGraphEvents } from '../../../bench/graph-output.ts';
import { GroundTruth } from '../../../bench/ground-truth.ts';
import { decodeDagCbor } from '../../../src/atproto/dag-cbor.ts';
import { decodeFirehoseMessage } from '../../../src/atproto/firehose-event.ts';
import { checkRecord } from '../../../src/atproto/record-rules.ts';
import type { GraphCommit, GraphOp } from '../../../src/demo/model/graph-state.ts';
import { jsonOfOp } from '../../support/record-op.ts';

const records = 20_000;

function digestOf(frames: Iterable<Uint8Array>): string {
  const digest = createHash('sha256');
  for (const frame of frames) digest.update(frame);
  return digest.digest('hex');
}

function commitsOf(seed: number, count = records): { did: string; commit: GraphCommit }[] {
  const { graph, events } = openGraphEvents({ seed, records: count });
  const commits: { did: string; commit: GraphCommit }[] = [];
  for (const event of events) {
    if (event.kind === 'commit') commits.push({ did: graph.state.actors.did(event.actor), commit: event });
  }
  return commits;
}

function opsOf(commits: readonly { commit: GraphCommit }[], collection: string, action = 'create'): GraphOp[] {
  return commits.flatMap(({ commit }) =>
    commit.ops.filter((op) => op.collection === collection && op.action === action),
  );
}

/** Returns the share of all occurrences that the most frequent tenth of keys has. */
function shareOfTopTenth(keys: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  const sorted = [...counts.values()].sort((a, b) => b - a);
  const top = sorted.slice(0, Math.ceil(sorted.length / 10)).reduce((sum, count) => sum + count, 0);
  return top / keys.length;
}

describe('the social graph', () => {
  const commits = commitsOf(1);
  const total = commits.reduce((sum, { commit }) => sum + commit.ops.length, 0);

  test('gives the same bytes for the same seed, and different ones for another', () => {
    const options = { records: 3000, accountEvents: 0.01 };
    const digest = digestOf(graphFrames({ ...options, seed: 7 }));
    expect(digestOf(graphFrames({ ...options, seed: 7 }))).toBe(digest);
    expect(digestOf(graphFrames({ ...options, seed: 8 }))).not.toBe(digest);
  });

  test('writes only records that the record rules accept, in canonical blocks', () => {
    const collections = new Set<string>();
    for (const { did, commit } of commits) {
      for (const op of commit.ops) {
        if (op.block === null) continue;
        collections.add(op.collection);
        const decoded = decodeDagCbor(op.block);
        if (!decoded.ok) throw new Error(`${op.collection}: ${decoded.reason}`);
        expect(JSON.stringify(decoded.value)).toBe(JSON.stringify(op.value));
        const checked = checkRecord(did, op.collection, op.rkey, decoded.value);
        if (!checked.ok) throw new Error(`${op.collection}: ${checked.reason}`);
      }
    }
    expect(collections.size).toBeGreaterThanOrEqual(16);
  });

  test('mixes collections as the real network does', () => {
    const share = (collection: string): number => opsOf(commits, collection).length / total;
    expect(share('app.bsky.feed.like')).toBeGreaterThan(0.53);
    expect(share('app.bsky.feed.like')).toBeLessThan(0.6);
    expect(share('app.bsky.graph.follow')).toBeGreaterThan(0.13);
    expect(share('app.bsky.graph.follow')).toBeLessThan(0.18);
    expect(share('app.bsky.feed.post')).toBeGreaterThan(0.13);
    expect(share('app.bsky.feed.post')).toBeLessThan(0.17);
    expect(share('app.bsky.feed.repost')).toBeGreaterThan(0.055);
    expect(share('app.bsky.graph.block')).toBeGreaterThan(0.005);
    const deletes = commits.flatMap(({ commit }) => commit.ops.filter((op) => op.action === 'delete'));
    expect(deletes.length / total).toBeGreaterThan(0.012);
    expect(deletes.length / total).toBeLessThan(0.025);
  });

  test('is skewed: a tenth of the followed and of the liked get far more than a tenth', () => {
    const followed = opsOf(commits, 'app.bsky.graph.follow').map((op) => String(op.value!['subject']));
    const liked = opsOf(commits, 'app.bsky.feed.like').map((op) => (op.value!['subject'] as { uri: string }).uri);
    expect(shareOfTopTenth(followed)).toBeGreaterThan(0.45);
    expect(shareOfTopTenth(liked)).toBeGreaterThan(0.3);
    expect(shareOfTopTenth(commits.map(({ did }) => did))).toBeGreaterThan(0.2);
  });

  test('writes threads, quotes, media, facets and several languages', () => {
    const posts = opsOf(commits, 'app.bsky.feed.post').map((op) => op.value!);
    const share = (has: (post: (typeof posts)[number]) => boolean): number => posts.filter(has).length / posts.length;
    expect(share((post) => post['reply'] !== undefined)).toBeGreaterThan(0.35);
    expect(share((post) => post['reply'] !== undefined)).toBeLessThan(0.47);
    const embedType = (post: (typeof posts)[number]): unknown =>
      (post['embed'] as { $type: string } | undefined)?.$type;
    const types = new Set(posts.map(embedType));
    expect([...types].sort()).toEqual([
      'app.bsky.embed.external',
      'app.bsky.embed.images',
      'app.bsky.embed.record',
      'app.bsky.embed.recordWithMedia',
      'app.bsky.embed.video',
      undefined,
    ]);
    expect(new Set(posts.map((post) => JSON.stringify(post['langs']))).size).toBe(8);
    expect(share((post) => post['facets'] !== undefined)).toBeGreaterThan(0.08);
  });

  test('writes threads that run deep', () => {
    const depthByUri = new Map<string, number>();
    let deepest = 0;
    for (const { did, commit } of commits) {
      for (const op of commit.ops) {
        if (op.collection !== 'app.bsky.feed.post' || op.value === null) continue;
        const reply = op.value['reply'] as { parent: { uri: string } } | undefined;
        const depth = reply === undefined ? 0 : (depthByUri.get(reply.parent.uri) ?? 0) + 1;
        depthByUri.set(`at://${did}/${op.collection}/${op.rkey}`, depth);
        deepest = Math.max(deepest, depth);
      }
    }
    expect(deepest).toBeGreaterThan(8);
  });

  test('gives facets the byte offsets of the text that they mark', () => {
    let links = 0;
    for (const op of opsOf(commits, 'app.bsky.feed.post')) {
      const facets = (op.value!['facets'] ?? []) as {
        index: { byteStart: number; byteEnd: number };
        features: { $type: string; tag?: string; uri?: string }[];
      }[];
      const text = Buffer.from(String(op.value!['text']));
      for (const { index, features } of facets) {
        const shown = text.subarray(index.byteStart, index.byteEnd).toString();
        const [feature] = features;
        if (feature?.tag !== undefined) expect(shown).toBe(`#${feature.tag}`);
        else if (feature?.uri !== undefined) expect(feature.uri).toContain(shown);
        else expect(shown).toMatch(/^@[a-z0-9.-]+\.skyshard\.test$/);
        links++;
      }
    }
    expect(links).toBeGreaterThan(100);
  });

  test('deletes only what exists, and once', () => {
    const live = new Set<string>();
    let deleted = 0;
    for (const { did, commit } of commits) {
      for (const op of commit.ops) {
        const uri = `${did}/${op.collection}/${op.rkey}`;
        if (op.action === 'delete') {
          expect(live.delete(uri)).toBe(true);
          deleted++;
        } else {
          expect(live.has(uri)).toBe(op.action === 'update');
          live.add(uri);
        }
      }
    }
    expect(deleted).toBeGreaterThan(100);
  });

  test('gives each repo ascending revs', () => {
    const lastRev = new Map<string, string>();
    for (const entry of graphEntries({ seed: 3, records: 5000 })) {
      if (entry.kind !== 'commit') continue;
      const last = lastRev.get(entry.did) ?? null;
      expect(entry.since).toBe(last);
      if (last !== null) expect(entry.rev > last).toBe(true);
      lastRev.set(entry.did, entry.rev);
    }
    expect(lastRev.size).toBeGreaterThan(50);
  });
});

describe('bench frames', () => {
  test('decode to the same ops as the entries of the same seed', () => {
    const options = { seed: 5, records: 3000 };
    const entries = [...graphEntries(options)];
    let index = 0;
    for (const frame of graphFrames(options)) {
      const decoded = decodeFirehoseMessage(frame);
      if (!decoded.ok) throw new Error(decoded.reason);
      const event = decoded.value;
      const entry = entries[index++]!;
      expect(event.kind).toBe(entry.kind);
      expect(event.seq).toBe(index);
      if (event.kind !== 'commit' || entry.kind !== 'commit') continue;
      expect(event.badOps).toEqual([]);
      expect(event.ops.map(({ op }) => op)).toEqual(entry.ops);
      expect([event.did, event.rev, event.since, event.eventMs]).toEqual([
        entry.did,
        entry.rev,
        entry.since,
        entry.eventMs,
      ]);
    }
    expect(index).toBe(entries.length);
  });
});

describe('the ground truth', () => {
  test('agrees with a plain count of all entries', () => {
    const options = { seed: 11, records: 8000 };
    const { graph, events } = openGraphEvents(options);
    const truth = new GroundTruth(graph.state.actors, options.records);
    for (const event of events) truth.observe(event);
    const { actors, posts, byCollection } = truth.truth();
    const live = new Map<string, { did: string; collection: string; value: Record<string, unknown> }>();
    for (const entry of graphEntries(options)) {
      if (entry.kind !== 'commit') continue;
      for (const op of entry.ops) {
        const uri = `at://${entry.did}/${op.collection}/${op.rkey}`;
        if (op.action === 'delete') live.delete(uri);
        else live.set(uri, { did: entry.did, collection: op.collection, value: JSON.parse(jsonOfOp(op)) });
      }
    }
    const all = [...live.values()];
    const distinct = (collection: string, matches: (value: Record<string, unknown>) => boolean): number =>
      new Set(all.filter((one) => one.collection === collection && matches(one.value)).map((one) => one.did)).size;
    expect(byCollection['app.bsky.feed.like']).toBe(
      all.filter((one) => one.collection === 'app.bsky.feed.like').length,
    );
    for (const actor of actors.slice(0, 40)) {
      expect(actor.followers).toBe(distinct('app.bsky.graph.follow', (value) => value['subject'] === actor.did));
      const follows = all.filter((one) => one.did === actor.did && one.collection === 'app.bsky.graph.follow');
      expect(actor.follows).toBe(new Set(follows.map((one) => one.value['subject'])).size);
    }
    const pointsAt = (uri: string) => (value: Record<string, unknown>) =>
      (value['subject'] as { uri: string }).uri === uri;
    const sampled = posts.filter((_post, index) => index % 20 === 0);
    expect(sampled.length).toBeGreaterThan(20);
    for (const post of sampled) {
      expect(live.has(post.uri)).toBe(true);
      expect(post.likes).toBe(distinct('app.bsky.feed.like', pointsAt(post.uri)));
      expect(post.reposts).toBe(distinct('app.bsky.feed.repost', pointsAt(post.uri)));
    }
    expect(sampled.some((post) => post.likes > 5)).toBe(true);
  });
});
