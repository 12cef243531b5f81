/** Work longer than one entry ends alike in one transaction, in many, and across restarts. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import type { Entry } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { Slot } from '../../../src/slot/slot.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { Model } from '../../simulation/model.ts';
import { factsOfModel } from '../../simulation/model-facts.ts';
import { comparableOf } from '../../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';

const appendMs = Date.UTC(2030, 0, 1);
const startMs = Date.UTC(2024, 0, 1);
const author = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function reposterOf(index: number): string {
  return `did:web:reposter-${index}.example`;
}

function chunkOf(entries: readonly Entry[]): Buffer {
  const writer = new ByteWriter(1024);
  writeChunk(writer, { slot: 0, origin: null, items: entries.map((entry) => encodeEntry(entry)), marks: [] });
  return writer.finish();
}

let revs = 0;
let eventMs = startMs;

/** A record to write, or a deletion. Each commit writes other blocks, except with `isSame`. */
type Write = {
  readonly collection?: string;
  readonly rkey: string;
  readonly record?: object;
  readonly isSame?: boolean;
};

function opsOf(writes: readonly Write[]): RepoOp[] {
  return writes.map(({ collection = 'app.bsky.feed.post', rkey, record, isSame = false }) => {
    if (record === undefined) return deleteOp(collection, rkey);
    return recordOp({ collection, rkey }, isSame ? record : { ...record, commit: revs });
  });
}

function commit(did: string, writes: readonly Write[]): OutsideEntry {
  const ops = opsOf(writes);
  return { kind: 'commit', did, rev: tidOf(++revs), since: null, eventMs: ++eventMs, ops };
}

function posts(count: number, from = 0): (Write & { readonly record: object })[] {
  return Array.from({ length: count }, (_unused, index) => ({
    rkey: tidOf(from + index),
    record: { text: `${from + index}` },
  }));
}

/**
 * Runs entries in a slot, in one transaction or one each, reopening the slot before each step or
 * not, and compares it with the model. Returns how many transactions the work took.
 */
async function expectMeaning(
  entries: readonly OutsideEntry[],
  how: { readonly together: boolean; readonly restarts: boolean },
): Promise<number> {
  const folder = makeMemoryFolder('skyshard-long-');
  folders.push(folder);
  const open = (): Slot => Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
  let slot = open();
  const waiting = how.together ? [chunkOf(entries)] : entries.map((entry) => chunkOf([entry]));
  let runs = 0;
  for (; waiting.length > 0 || slot.hasUnapplied; runs++) {
    if (how.restarts) {
      await slot[Symbol.asyncDispose]();
      slot = open();
    }
    slot.run(waiting.splice(0, 1), appendMs);
  }
  const model = new Model(appendMs);
  for (const entry of entries) model.apply(entry);
  const meant = factsOfModel(model);
  const dids = new Set(entries.map((entry) => entry.did));
  const found = factsOfSlots(() => slot.state, [...dids], [...model.claims.keys()], comparableOf(model));
  await slot[Symbol.asyncDispose]();
  expect(differencesOf(meant, found)).toEqual([]);
  return runs;
}

const ways = [
  { name: 'in one transaction', together: true, restarts: false },
  { name: 'entry by entry', together: false, restarts: false },
  { name: 'with restarts between its parts', together: true, restarts: true },
];

function identity(handle: string | null): OutsideEntry {
  const at = ++eventMs;
  return { kind: 'identity', did: author, handle, verifiedAtMs: at, keysJson: '', servicesJson: '', eventMs: at };
}

function deletion(): OutsideEntry {
  return { kind: 'account', did: author, active: false, status: 'deleted', eventMs: ++eventMs };
}

for (const way of ways) {
  describe(`work longer than one entry, ${way.name}`, () => {
    it('deletes an account of 1,000 records', async () => {
      const story = [identity('a.example'), commit(author, posts(1_000)), deletion()];
      expect(await expectMeaning(story, way)).toBeGreaterThan(3);
    });

    it('deletes an account and keeps what its successor writes meanwhile, even the same records', async () => {
      const same = posts(450).map((write) => ({ ...write, isSame: true }));
      const story = (): OutsideEntry[] => [identity('a.example'), commit(author, same), deletion()];
      const anew = (): OutsideEntry => commit(author, [...same.slice(200, 230), ...posts(30, 5_000)]);
      await expectMeaning([...story(), anew(), identity('b.example')], way);
      await expectMeaning([...story(), identity('b.example')], way);
    });

    it('finds the old records of a deleted account after 200 new ones', async () => {
      const statuses = posts(300).map((write) => ({ ...write, collection: 'app.bsky.actor.status' }));
      await expectMeaning([commit(author, posts(900)), deletion(), commit(author, statuses)], way);
    });

    it('notifies 500 reposters when a post goes, returns and goes again', async () => {
      const subject = { uri: `at://${author}/app.bsky.feed.post/${tidOf(1)}`, cid: 'c' };
      const reposts = (): OutsideEntry[] =>
        Array.from({ length: 500 }, (_unused, index) =>
          commit(reposterOf(index), [{ collection: 'app.bsky.feed.repost', rkey: tidOf(7), record: { subject } }]),
        );
      const write = (): OutsideEntry => commit(author, [{ rkey: tidOf(1), record: { text: 't' } }]);
      const remove = (): OutsideEntry => commit(author, [{ rkey: tidOf(1) }]);
      const undo = (): OutsideEntry[] =>
        Array.from({ length: 350 }, (_unused, index) =>
          commit(reposterOf(index), [{ collection: 'app.bsky.feed.repost', rkey: tidOf(7) }]),
        );
      await expectMeaning([write(), ...reposts(), remove()], way);
      await expectMeaning([write(), ...reposts(), remove(), write()], way);
      await expectMeaning([write(), ...reposts(), remove(), ...undo(), write()], way);
    }, 60_000);

    it('recounts what is unread when more than a thousand notices are on either side of the seen time', async () => {
      const features = [{ $type: 'app.bsky.richtext.facet#mention', did: reposterOf(0) }];
      const facets = [{ index: { byteStart: 0, byteEnd: 1 }, features }];
      const mentions = (from: number): OutsideEntry =>
        commit(
          author,
          posts(1_250, from).map((write) => ({ ...write, record: { ...write.record, facets } })),
        );
      const seen = (seenMs: number): OutsideEntry => ({
        kind: 'private',
        did: reposterOf(0),
        write: { type: 'notification-seen', seenMs },
      });
      const seenMs = eventMs + 1;
      const story = [mentions(0), mentions(2_000), mentions(4_000), seen(seenMs)];
      expect(await expectMeaning(story, way)).toBeGreaterThan(1);
      const laterMs = eventMs + 2;
      await expectMeaning([mentions(0), mentions(2_000), mentions(4_000), seen(laterMs - 1), seen(laterMs)], way);
    });

    it('sweeps what a snapshot does not name, except what later commits wrote', async () => {
      const before = commit(author, posts(1_000));
      const rev = tidOf(++revs);
      const at = ++eventMs;
      const snapshot: OutsideEntry[] = [
        { kind: 'resync-begin', did: author, rev, eventMs: at },
        {
          kind: 'resync-chunk',
          did: author,
          rev,
          eventMs: at,
          ops: opsOf(posts(50, 20_000)),
        },
        { kind: 'resync-end', did: author, rev, eventMs: at },
      ];
      const held = [
        commit(author, posts(30, 900)),
        commit(author, posts(30, 30_000)),
        commit(author, [{ rkey: tidOf(20_001) }]),
      ];
      await expectMeaning([before, ...snapshot, ...held], way);
    });
  });
}
