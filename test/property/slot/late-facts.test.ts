/** Replies end up judged alike in whatever order they, gates, follows and list items arrive. */
import { describe, expect, it } from 'vitest';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { type SeededRandom, seededRandom } from '../../../src/base/seeded-random.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { Model } from '../../simulation/model.ts';
import { factsOfModel } from '../../simulation/model-facts.ts';
import { comparableOf, replyVerdict } from '../../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { recordOp } from '../../support/record-op.ts';
import { SlotCluster } from '../../support/slot-cluster.ts';

const startMs = Date.UTC(2024, 0, 1);
const createdAt = new Date(startMs).toISOString();
const appendMs = Date.UTC(2025, 0, 1);
const starter = 'did:web:starter.example';
const between = 'did:web:between.example';
const replier = 'did:web:replier.example';
const lister = 'did:web:lister.example';
const dids = [starter, between, replier, lister];

const post = 'app.bsky.feed.post';
const gate = 'app.bsky.feed.threadgate';
const follow = 'app.bsky.graph.follow';
const item = 'app.bsky.graph.listitem';
const rootUri = `at://${starter}/${post}/${tidOf(1)}`;
const middleUri = `at://${between}/${post}/${tidOf(2)}`;
const listUri = `at://${lister}/app.bsky.graph.list/${tidOf(3)}`;
const refOf = (uri: string) => ({ uri, cid: 'c' });

const rules = ['followingRule', 'listRule', 'followerRule'] as const;

/** Makes a history in the order of its times, which are those of each repo's log. */
class Story {
  readonly entries: OutsideEntry[] = [];
  #clock = 0;

  commit(did: string, ...ops: readonly RepoOp[]): void {
    this.#clock++;
    this.entries.push({
      kind: 'commit',
      did,
      rev: tidOf(this.entries.length + 1),
      since: null,
      eventMs: startMs + this.#clock,
      ops: [...ops],
    });
  }

  /** Commits that came in one snapshot have one time. */
  holdClock(): void {
    this.#clock--;
  }
}

function replyOp(number: number, text = ''): RepoOp {
  const parent = refOf(number % 3 === 0 ? middleUri : rootUri);
  return recordOp(
    { collection: post, rkey: tidOf(1_000 + number) },
    { text, reply: { root: refOf(rootUri), parent }, createdAt },
  );
}

const followOp = (rkey: number, subject: string): RepoOp =>
  recordOp({ collection: follow, rkey: tidOf(rkey) }, { subject, createdAt });
const itemOp = (rkey: number): RepoOp =>
  recordOp({ collection: item, rkey: tidOf(rkey) }, { list: listUri, subject: replier, createdAt });

function gateOp(allowed: readonly string[]): RepoOp {
  const allow = allowed.map((rule) => ({
    $type: `${gate}#${rule}`,
    ...(rule === 'listRule' ? { list: listUri } : {}),
  }));
  return recordOp({ collection: gate, rkey: tidOf(1) }, { post: rootUri, allow, createdAt });
}

function drawnGate(random: SeededRandom): RepoOp {
  const first = random.below(rules.length);
  return gateOp(rules.filter((_rule, index) => index === first || random.below(4) === 0));
}

type Size = { readonly replies: number; readonly changesPerRun: number };

/** Draws what changes between runs of replies, and before the first. */
function storyOf(random: SeededRandom, { replies, changesPerRun }: Size): Story {
  const story = new Story();
  story.commit(starter, recordOp({ collection: post, rkey: tidOf(1) }, { text: '', createdAt }), drawnGate(random));
  story.commit(
    between,
    recordOp(
      { collection: post, rkey: tidOf(2) },
      { text: '', reply: { root: refOf(rootUri), parent: refOf(rootUri) }, createdAt },
    ),
  );
  const [follows, items] = [new Set<number>(), new Set<number>()];
  let number = 0;
  // Its end is not noted before somebody asks, so the replier follows once, or never.
  let followsAfter = random.below(2) === 0 ? Number.POSITIVE_INFINITY : random.below(replies);
  const change = (): void => {
    switch (random.below(5)) {
      case 0:
        return story.commit(starter, drawnGate(random));
      case 1: {
        const rkey = 100 + random.below(3);
        const isGone = follows.delete(rkey);
        if (!isGone) follows.add(rkey);
        return story.commit(starter, isGone ? deleteOp(follow, tidOf(rkey)) : followOp(rkey, replier));
      }
      case 2: {
        const rkey = 200 + random.below(3);
        const isGone = items.delete(rkey);
        if (!isGone) items.add(rkey);
        return story.commit(lister, isGone ? deleteOp(item, tidOf(rkey)) : itemOp(rkey));
      }
      case 3:
        return number === 0 ? undefined : story.commit(replier, replyOp(random.below(number), 'edited'));
      default:
        return number === 0 ? undefined : story.commit(replier, deleteOp(post, tidOf(1_000 + random.below(number))));
    }
  };
  for (let changes = 8; changes > 0; changes--) change();
  while (number < replies) {
    for (let changes = random.below(1 + changesPerRun); changes > 0; changes--) change();
    const ops = Array.from({ length: 1 + random.below(200) }, () => replyOp(number++));
    story.commit(replier, ...ops);
    if (number < followsAfter) continue;
    followsAfter = Number.POSITIVE_INFINITY;
    // The follow of a snapshot comes after the posts, and both are of one time.
    if (random.below(2) === 0) story.holdClock();
    story.commit(replier, followOp(300, starter));
  }
  return story;
}

/** Appends each repo's entries in their order, but mixes repos, and lets slots work in between. */
function appendMixed(cluster: SlotCluster, entries: readonly OutsideEntry[], random: SeededRandom): void {
  const queues = dids.map((did) => entries.filter((entry) => entry.did === did));
  for (;;) {
    const waiting = queues.filter((queue) => queue.length > 0);
    if (waiting.length === 0) return;
    const queue = waiting[random.below(waiting.length)]!;
    cluster.append(...queue.splice(0, 1 + random.below(4)));
    if (random.below(3) === 0) cluster.settle();
  }
}

type Verdicts = { clear: number; violating: number };

/** Compares the facts of slots with the model's. Returns the verdicts that are compared. */
function expectAgreement(cluster: SlotCluster, story: Story): Verdicts {
  const model = new Model(appendMs);
  for (const entry of story.entries) model.apply(entry);
  const found = factsOfSlots((key) => cluster.stateOf(key), dids, [], comparableOf(model));
  expect(differencesOf(factsOfModel(model), found)).toEqual([]);
  const counts = { clear: 0, violating: 0 };
  for (const record of model.records.values()) {
    const { isContested, isViolating } = replyVerdict(model, record);
    if (record.did !== replier || record.collection !== post || isContested) continue;
    counts[isViolating ? 'violating' : 'clear']++;
  }
  return counts;
}

describe('replies of one account', () => {
  const seeds = [
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seed) => ({ seed, replies: 200, changesPerRun: 4 })),
    ...[11, 12].map((seed) => ({ seed, replies: 1_300, changesPerRun: 1 })),
  ];
  it.each(seeds)(
    'are judged as of their times, whatever arrives first ($replies, seed $seed)',
    async (size) => {
      const random = seededRandom(size.seed);
      const story = storyOf(random, size);
      for (const slots of [1, 4]) {
        await using cluster = SlotCluster.open({ slots, entriesPerChunk: 1 + random.below(8), random });
        appendMixed(cluster, story.entries, random);
        cluster.settle();
        const { clear, violating } = expectAgreement(cluster, story);
        expect(clear + violating).toBeGreaterThan(100);
      }
    },
    120_000,
  );

  it.each(rules)(
    'are judged again, 1,200 of them, by what arrives after them (%s)',
    async (rule) => {
      const story = new Story();
      const replies = (from: number, count: number): readonly RepoOp[] =>
        Array.from({ length: count }, (_unused, index) => replyOp(from + index));
      story.commit(starter, recordOp({ collection: post, rkey: tidOf(1) }, { text: '', createdAt }), gateOp([rule]));
      const [first] = story.entries;
      if (rule === 'followerRule') {
        story.commit(replier, ...replies(0, 1_200));
        story.holdClock();
        story.commit(replier, followOp(300, starter));
      } else {
        const did = rule === 'listRule' ? lister : starter;
        story.commit(did, rule === 'listRule' ? itemOp(200) : followOp(100, replier));
        story.commit(replier, ...replies(0, 1_200));
        story.commit(did, rule === 'listRule' ? deleteOp(item, tidOf(200)) : deleteOp(follow, tidOf(100)));
        story.commit(replier, ...replies(1_200, 300));
      }
      const isReply = ({ did, kind, ...entry }: OutsideEntry): boolean =>
        did === replier && kind === 'commit' && 'ops' in entry && entry.ops.length > 1;
      const rest = story.entries.slice(1);
      for (const slots of [1, 4]) {
        await using cluster = SlotCluster.open({ slots });
        cluster.append(first!).settle();
        cluster.append(...rest.filter(isReply)).settle();
        cluster.append(...rest.filter((entry) => !isReply(entry))).settle();
        expect(expectAgreement(cluster, story)).toEqual({ clear: 1_200, violating: rule === 'followerRule' ? 0 : 300 });
      }
    },
    120_000,
  );
});
