/** What a repo put into slots goes with its records, whatever these were and however they go. */
import { describe, expect, it } from 'vitest';
import { indexedCollections, nsid } from '../../../src/atproto/collection.ts';
import { packPlc, plcIdBytes } from '../../../src/atproto/did-plc.ts';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { type SeededRandom, seededRandom } from '../../../src/base/seeded-random.ts';
import { TidClock } from '../../../src/demo/model/tid-clock.ts';
import { actorCountNames } from '../../../src/slot/table/actor-counts.ts';
import { counterAt } from '../../../src/slot/table/counter-row.ts';
import { readNotice } from '../../../src/slot/table/notice.ts';
import { keyHeadBytes, keyHeadOf, type SlotState, tableCode } from '../../../src/slot/table/slot-state.ts';
import { getUnreadCount } from '../../../src/slot/table/unread-count.ts';
import { cidOfText } from '../../integration/reads-network.ts';
import { RecordMaker, tidOf } from '../../simulation/history-record.ts';
import { recordOp } from '../../support/record-op.ts';
import { SlotCluster } from '../../support/slot-cluster.ts';

const others = ['a', 'b', 'c', 'd', 'e'].map((name) => `did:plc:${name.repeat(24)}`);
const author = `did:plc:${'x'.repeat(24)}`;
const authorBytes = Buffer.alloc(plcIdBytes);
packPlc(author, authorBytes, 0);
const startMs = Date.UTC(2024, 5, 1);
const single = new Set([
  'app.bsky.actor.profile',
  'app.bsky.actor.status',
  'app.bsky.labeler.service',
  'app.bsky.notification.declaration',
  'chat.bsky.actor.declaration',
  'com.germnetwork.declaration',
]);

/** Tables that records write, in their own slot and in others. */
const writtenByRecords: readonly (keyof typeof tableCode)[] = [
  'record',
  'actorCounts',
  'edgeByTime',
  'edgeBySubject',
  'edgeDuplicate',
  'listMember',
  'listedRecord',
  'feed',
  'labeler',
  'incomingActor',
  'incomingRecord',
  'recordCounts',
  'packJoins',
  'verifiedBy',
  'notice',
];

/** Of the log, of who is known, and of the unread, which is compared by its count. */
const notCompared: ReadonlySet<number> = new Set([
  tableCode.meta,
  tableCode.session,
  tableCode.source,
  tableCode.delivered,
  tableCode.ownerByDid,
  tableCode.repo,
  tableCode.longWork,
  tableCode.notificationSeen,
  tableCode.importNote,
]);

const withAccount = 'with the account';

/** Of gate facts: those that ended, which gates ask about replies that come late. */
const endedFact = 0;

/** True for history: that a verification, a reply in a thread, a follow or a list item was. */
function isHistory(key: Buffer, value: Buffer, table: number, way: string): boolean {
  // What gates have said stays while the account does.
  if (table === tableCode.gatePolicy) return way !== withAccount;
  if (table === tableCode.notice) return ['verified', 'unverified'].includes(readNotice(key, value, '').reason);
  if (table === tableCode.gateFact) return key[keyHeadBytes] === endedFact;
  return (table === tableCode.threadReply || table === tableCode.threadChild) && key.includes(authorBytes);
}

const nameByTable = new Map<number, string>(Object.entries(tableCode).map(([name, code]) => [code, name]));

/** Returns the counts that are not 0, as JSON. That gates have asked about an actor is history. */
function countsOf(value: Buffer, way: string): string {
  const counts = actorCountNames.map((name, index) => [name, counterAt(value, index)] as const);
  return JSON.stringify(
    Object.fromEntries(counts.filter(([name, count]) => count > 0 && (name !== 'askedAbout' || way === withAccount))),
  );
}

/** Returns all rows by key, without those that may stay. */
function rowsOf(cluster: SlotCluster, way: string): Map<string, string> {
  const rows = new Map<string, string>();
  for (const { state, index } of cluster.slots) {
    for (const { key, value } of state.rows.scan({ start: Buffer.of(0), end: Buffer.alloc(64, 255) })) {
      const { owner, table } = keyHeadOf(key);
      if (notCompared.has(table) || isHistory(key, value, table, way)) continue;
      const text = table === tableCode.actorCounts ? countsOf(value, way) : value.toString('hex');
      if (text !== '{}') rows.set(`${nameByTable.get(table)} of ${owner} in ${index}: ${key.toString('hex')}`, text);
    }
  }
  for (const did of [...others, author]) rows.set(`unread ${did}`, String(unreadOf(cluster.stateOf(did), did)));
  return rows;
}

function unreadOf(state: SlotState, did: string): number {
  const owner = state.ownerOf(did);
  return owner === undefined ? 0 : getUnreadCount(state, owner);
}

function differences(before: Map<string, string>, after: Map<string, string>): string[] {
  const changed = [...before].filter(([key, value]) => after.get(key) !== value).map(([key]) => `was: ${key}`);
  return [...changed, ...[...after.keys()].filter((key) => !before.has(key)).map((key) => `is: ${key}`)];
}

type Path = { readonly collection: string; readonly rkey: string };

/** Makes entries of a few repos whose times and revs ascend. */
class Story {
  readonly #cluster: SlotCluster;
  readonly #random: SeededRandom;
  readonly #revs = new TidClock(1);
  readonly #revByDid = new Map<string, string>();
  #timeMs = startMs;

  constructor(cluster: SlotCluster, random: SeededRandom) {
    this.#cluster = cluster;
    this.#random = random;
  }

  get timeMs(): number {
    return this.#timeMs;
  }

  #nextRev(did: string): { rev: string; since: string | null; eventMs: number } {
    this.#timeMs += 500 + this.#random.below(60_000);
    const rev = this.#revs.next(this.#timeMs);
    const since = this.#revByDid.get(did) ?? null;
    this.#revByDid.set(did, rev);
    return { rev, since, eventMs: this.#timeMs };
  }

  commit(did: string, ...ops: readonly RepoOp[]): void {
    this.#cluster.append({ kind: 'commit', did, ops, ...this.#nextRev(did) });
  }

  seen(did: string): void {
    const eventMs = this.#timeMs++;
    const named = { handle: null, verifiedAtMs: eventMs, keysJson: '', servicesJson: '' };
    this.#cluster.append({ kind: 'identity', did, eventMs, ...named });
  }

  deleted(did: string): void {
    this.#timeMs += 1_000;
    this.#revByDid.delete(did);
    this.#cluster.append({ kind: 'account', did, active: false, status: 'deleted', eventMs: this.#timeMs });
  }

  /** A snapshot of the repo that holds nothing. */
  emptied(did: string): void {
    const { rev, eventMs } = this.#nextRev(did);
    this.#cluster.append({ kind: 'resync-begin', did, rev, eventMs }, { kind: 'resync-end', did, rev, eventMs });
  }
}

/** All others write, trust and mute; nothing of it is about a record of the author. */
function writeBase(story: Story, cluster: SlotCluster, random: SeededRandom): void {
  for (const did of [...others, author]) story.seen(did);
  const maker = new RecordMaker(random, others);
  for (let step = 0; step < 150; step++) {
    const did = others[random.below(others.length)]!;
    const path = maker.nextKey(did);
    const record = maker.record(did, path.collection, path.rkey, story.timeMs);
    story.commit(did, random.below(5) === 0 ? deleteOp(path.collection, path.rkey) : recordOp(path, record));
  }
  cluster.append({ kind: 'private', did: others[0]!, write: { type: 'notification-seen', seenMs: story.timeMs } });
}

/** Records of each collection, some of them twice, about others and about each other. */
function writeRecords(story: Story, random: SeededRandom): Path[] {
  const maker = new RecordMaker(random, [author, ...others]);
  const paths = indexedCollections.flatMap((collection): Path[] => {
    if (single.has(collection)) return [{ collection, rkey: 'self' }];
    return Array.from({ length: 8 }, (_unused, index) => ({ collection, rkey: tidOf(1_000 + index) }));
  });
  for (const path of shuffled([...paths, ...paths, ...paths], random)) {
    const record = maker.record(author, path.collection, path.rkey, story.timeMs);
    story.commit(author, recordOp(path, record, random.below(2) === 0 ? 'create' : 'update'));
  }
  const joinedViaStarterPack = { uri: `at://${others[1]}/app.bsky.graph.starterpack/pack`, cid: cidOfText('pack') };
  story.commit(
    author,
    recordOp({ collection: nsid.profile, rkey: 'self' }, { $type: nsid.profile, joinedViaStarterPack }),
  );
  return paths;
}

function shuffled<Item>(items: readonly Item[], random: SeededRandom): Item[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

const ways = {
  'by commits, in any order': (story: Story, paths: readonly Path[], random: SeededRandom) => {
    for (const { collection, rkey } of shuffled(paths, random)) story.commit(author, deleteOp(collection, rkey));
  },
  'in one commit': (story: Story, paths: readonly Path[], random: SeededRandom) =>
    story.commit(author, ...shuffled(paths, random).map(({ collection, rkey }) => deleteOp(collection, rkey))),
  'by a snapshot that lacks them': (story: Story) => story.emptied(author),
  [withAccount]: (story: Story) => story.deleted(author),
} as const;

describe.each(Object.entries(ways))('records that go %s', (way, remove) => {
  it.each([1, 8])('leave nothing but history, in %i slots', async (slots) => {
    const tables = new Set<string>();
    for (let seed = 1; seed <= 2; seed++) {
      const random = seededRandom(1_000 * seed + slots);
      await using cluster = SlotCluster.open({ slots, random, entriesPerChunk: 40 });
      cluster.nowMs = startMs + 10 * 365 * 86_400_000;
      const story = new Story(cluster, random);
      writeBase(story, cluster, random);
      cluster.settle();
      if (way === withAccount) story.deleted(author);
      cluster.settle();
      const before = rowsOf(cluster, way);
      if (way === withAccount) story.seen(author);
      if (seed === 1) cluster.append(trust(author, true));
      const paths = writeRecords(story, random);
      cluster.settle();
      for (const row of differences(before, rowsOf(cluster, way))) tables.add(row.split(' ')[1]!);
      cluster.append(trust(author, false));
      remove(story, paths, random);
      cluster.settle();
      expect({ seed, left: differences(before, rowsOf(cluster, way)) }).toEqual({ seed, left: [] });
    }
    expect([...tables]).toEqual(expect.arrayContaining([...writtenByRecords]));
  });
});

function trust(did: string, isTrusted: boolean) {
  return { kind: 'private', did, write: { type: 'trusted-verifier', isTrusted } } as const;
}
