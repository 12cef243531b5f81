import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cidOfBlock } from '../../../src/atproto/cid.ts';
import { recordUri, writeRecordRef } from '../../../src/atproto/compact-key.ts';
import { encodeDagCbor } from '../../../src/atproto/dag-cbor-encode.ts';
import type { DagValue } from '../../../src/atproto/dag-value.ts';
import { encodeEntry } from '../../../src/atproto/entry-codec.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { xxh32 } from '../../../src/shardmap/slot-of.ts';
import { edgeBySubjectPrefix } from '../../../src/slot/edge-by-subject.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { prefixEnd } from '../../../src/storage/environment.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { Model } from '../../simulation/model.ts';
import { factsOfModel } from '../../simulation/model-facts.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const appendMs = Date.UTC(2030, 0, 1);
const liker = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const author = 'did:plc:collidingsubjectsofhashe';
const post = (rkey: string) => ({ did: author, collection: 'app.bsky.feed.post', rkey });
/** Three posts whose references have one hash, found by search, and one of another hash. */
const collidingPosts = ['3k222gdor72vs', '3k2233s7rceki', '3k22eg4ywxsdb'].map(post);
const posts = [...collidingPosts, post(tidOf(1))];
const cid = 'bafyreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe';

let folder = '';
let opened = 0;

beforeAll(() => {
  folder = makeMemoryFolder('skyshard-subjects-');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** One step: `subject` null deletes the like; `isPlain` tells whether the record is stored in edge form. */
type Step = { readonly rkey: number; readonly subject: number | null; readonly isPlain: boolean };

function commitOf(step: Step, index: number): OutsideEntry {
  const timeMs = Date.UTC(2024, 0, 1) + index;
  const base = { collection: 'app.bsky.feed.like', rkey: tidOf(step.rkey) };
  const entry = { kind: 'commit' as const, did: liker, rev: tidOf(index + 1), since: null, timeMs };
  if (step.subject === null) return { ...entry, ops: [{ ...base, action: 'delete', cid: '', json: '' }] };
  const subject = { cid, uri: recordUri(posts[step.subject]!) };
  const createdAt = new Date(timeMs).toISOString();
  const record: DagValue = step.isPlain
    ? { $type: base.collection, subject, createdAt }
    : { $type: base.collection, extra: index, subject, createdAt };
  const { text } = cidOfBlock(encodeDagCbor(record));
  return { ...entry, ops: [{ ...base, action: 'create', cid: text, json: JSON.stringify(record) }] };
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

async function playsAsMeant(steps: readonly Step[]): Promise<number> {
  await using slot = Slot.open({ index: 0, slots: 1, path: join(folder, String(opened++)), mapBytes: 2 ** 26 });
  const model = new Model(appendMs);
  let marksMax = 0;
  for (const [index, step] of steps.entries()) {
    const entry = commitOf(step, index);
    model.apply(entry);
    slot.run([chunkOf(entry)], appendMs);
    const found = factsOfSlots(() => slot.state, [liker, author], [], model.isCompared);
    expect(differencesOf(factsOfModel(model), found)).toEqual([]);
    marksMax = Math.max(marksMax, bySubject(slot).marks);
  }
  const gone = [...new Set(steps.map(({ rkey }) => rkey))].map((rkey) => ({ rkey, subject: null, isPlain: true }));
  for (const [index, step] of gone.entries()) slot.run([chunkOf(commitOf(step, steps.length + index))], appendMs);
  expect(bySubject(slot)).toEqual({ rows: 0, marks: 0 });
  return marksMax;
}

it('these posts have one hash', () => {
  const hashes = collidingPosts.map((ref) => {
    const writer = new ByteWriter();
    writeRecordRef(writer, ref);
    return xxh32(writer.finish());
  });
  expect(new Set(hashes).size).toBe(1);
});

it('likes of posts with one hash come, change and go as the model says', async () => {
  const step: fc.Arbitrary<Step> = fc.record({
    rkey: fc.integer({ min: 1, max: 5 }),
    subject: fc.option(fc.nat(posts.length - 1), { freq: 3 }),
    isPlain: fc.boolean(),
  });
  let marksMax = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async (steps) => {
      marksMax = Math.max(marksMax, await playsAsMeant(steps));
    }),
    { numRuns: 60 },
  );
  expect(marksMax).toBe(1);
});
