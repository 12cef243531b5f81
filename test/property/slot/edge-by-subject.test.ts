/** Likes are found by subject even when subjects share a hash. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { recordUri, writeRecordRef } from '../../../src/atproto/compact-key.ts';
import { deleteOp } from '../../../src/atproto/repo-op.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { xxh32 } from '../../../src/base/xxh32.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { edgeBySubjectPrefix } from '../../../src/slot/table/edge-by-subject.ts';
import { prefixEnd } from '../../../src/storage/environment.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { Model } from '../../simulation/model.ts';
import { factsOfModel } from '../../simulation/model-facts.ts';
import { comparableOf } from '../../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';

const appendMs = Date.UTC(2030, 0, 1);
const liker = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const author = 'did:plc:collidingsubjectsofhashe';
const post = (rkey: string) => ({ did: author, collection: 'app.bsky.feed.post', rkey });
/** Three posts whose references share a hash, found by search, and one with another hash. */
const collidingPosts = ['3k222gdor72vs', '3k2233s7rceki', '3k22eg4ywxsdb'].map(post);
const posts = [...collidingPosts, post(tidOf(1))];
const cid = 'bafyreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe';

let folder = '';
let opened = 0;

beforeAll(() => {
  folder = makeMemoryFolder('skyshard-subjects-');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `change`: the index of the liked post, or what to do instead. `isPlain`: stored in edge form. */
type Step = {
  readonly rkey: number;
  readonly change: number | 'delete' | 'take down' | 'put back';
  readonly isPlain: boolean;
};
/** How all likes end: deleted one by one, with their account, or by a snapshot without them. */
type Ending = 'deletes' | 'account' | 'snapshot';

const startMs = Date.UTC(2024, 0, 1);
const collection = 'app.bsky.feed.like';

function entryOf({ rkey, change, isPlain }: Step, index: number): OutsideEntry {
  const eventMs = startMs + index;
  const base = { collection, rkey: tidOf(rkey) };
  if (change === 'take down' || change === 'put back') {
    const ref = change === 'take down' ? 'mod' : null;
    return { kind: 'private', did: liker, write: { type: 'record-takedown', ...base, ref } };
  }
  const entry = { kind: 'commit' as const, did: liker, rev: tidOf(index + 1), since: null, eventMs };
  if (change === 'delete') return { ...entry, ops: [deleteOp(base.collection, base.rkey)] };
  const subject = { cid, uri: recordUri(posts[change]!) };
  const createdAt = new Date(eventMs).toISOString();
  const record = isPlain
    ? { $type: collection, subject, createdAt }
    : { $type: collection, extra: index, subject, createdAt };
  return { ...entry, ops: [recordOp(base, record)] };
}

function chunkOf(entry: OutsideEntry): Buffer {
  const writer = new ByteWriter(1024);
  writeChunk(writer, { slot: 0, origin: null, items: [encodeEntry(entry)], marks: [] });
  return writer.finish();
}

/** Rows of the liker's likes by subject. */
function bySubject({ state }: Slot): { rows: number; marks: number } {
  const prefix = edgeBySubjectPrefix(state.ownerOf(liker)!, 'like');
  const rows = [...state.rows.scan({ start: prefix, end: prefixEnd(prefix) })];
  return { rows: rows.length, marks: rows.filter(({ value }) => value.at(-1) === 0xff).length };
}

function endOf(ending: Ending, steps: readonly Step[]): OutsideEntry[] {
  const index = steps.length;
  const eventMs = startMs + index;
  if (ending === 'account') return [{ kind: 'account', did: liker, active: false, status: 'deleted', eventMs }];
  if (ending === 'snapshot') {
    const snapshot = { did: liker, rev: tidOf(index + 1), eventMs };
    return [
      { kind: 'resync-begin', ...snapshot },
      { kind: 'resync-end', ...snapshot },
    ];
  }
  const rkeys = [...new Set(steps.map(({ rkey }) => rkey))];
  return rkeys.map((rkey, at) => entryOf({ rkey, change: 'delete', isPlain: true }, index + at));
}

async function playsAsMeant(steps: readonly Step[], ending: Ending): Promise<number> {
  await using slot = Slot.open({ index: 0, slots: 1, path: join(folder, String(opened++)), mapBytes: 2 ** 28 });
  const model = new Model(appendMs);
  let marksMax = 0;
  for (const entry of [...steps.map(entryOf), ...endOf(ending, steps)]) {
    model.apply(entry);
    slot.run([chunkOf(entry)], appendMs);
    const found = factsOfSlots(() => slot.state, [liker, author], [], comparableOf(model));
    expect(differencesOf(factsOfModel(model), found)).toEqual([]);
    marksMax = Math.max(marksMax, bySubject(slot).marks);
  }
  expect(bySubject(slot)).toEqual({ rows: 0, marks: 0 });
  return marksMax;
}

it('these posts share a hash', () => {
  const hashes = collidingPosts.map((ref) => {
    const writer = new ByteWriter();
    writeRecordRef(writer, ref);
    return xxh32(writer.finish());
  });
  expect(new Set(hashes).size).toBe(1);
});

it('likes of posts that share a hash come, change and go as the model says', async () => {
  const step: fc.Arbitrary<Step> = fc.record({
    rkey: fc.integer({ min: 1, max: 5 }),
    change: fc.oneof(
      { weight: 6, arbitrary: fc.nat(posts.length - 1) },
      { weight: 2, arbitrary: fc.constant('delete' as const) },
      fc.constantFrom('take down' as const, 'put back' as const),
    ),
    isPlain: fc.boolean(),
  });
  const ending = fc.constantFrom<Ending>('deletes', 'account', 'snapshot');
  let marksMax = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), ending, async (steps, end) => {
      marksMax = Math.max(marksMax, await playsAsMeant(steps, end));
    }),
    { numRuns: 60 },
  );
  expect(marksMax).toBe(1);
});
