/** `slot.records` returns stored records by URI, and refuses malformed or foreign ones. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cidOfBlock } from '../../src/atproto/cid.ts';
import { deleteOp, type RepoOp } from '../../src/atproto/repo-op.ts';
import { tidOf } from '../../src/atproto/tid.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { writeChunk } from '../../src/log/chunk.ts';
import { StoredRecords } from '../../src/read/answer/stored-records.ts';
import { RecordCache } from '../../src/read/cache/record-cache.ts';
import { createRecordBatchHandler } from '../../src/read/handler/record-batch-handler.ts';
import { RowFinder } from '../../src/read/lookup/row-finder.ts';
import { SlotLookup } from '../../src/read/lookup/slot-lookup.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { Slot } from '../../src/slot/slot.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { decodeRecordBatchAnswer, encodeRecordBatchRequest, recordBatchItemsMax } from '../../src/wire/record-batch.ts';
import { jsonOfOp, recordOp } from '../support/record-op.ts';

const slots = 4;
const eventMs = Date.UTC(2025, 5, 1);
const createdAt = new Date(eventMs).toISOString();
const alice = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const bob = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';
const web = 'did:web:example.com';

const folder = mkdtempSync(join(tmpdir(), 'skyshard-record-batch-'));
const opened: Slot[] = [];
const jsonByUri = new Map<string, string>();
let revCount = 0;

function put(did: string, collection: string, rkey: string, record: object): void {
  const op = recordOp({ collection, rkey }, record);
  jsonByUri.set(`at://${did}/${collection}/${rkey}`, jsonOfOp(op));
  apply(did, op);
}

function apply(did: string, op: RepoOp): void {
  const rev = tidOf(eventMs * 1000 + ++revCount, 1);
  const entry: CommitEntry = { kind: 'commit', did, rev, since: null, eventMs, ops: [op] };
  const writer = new ByteWriter(1024);
  const slot = slotOf(did, slots);
  writeChunk(writer, { slot, origin: null, items: [encodeEntry(entry)], marks: [] });
  opened[slot]!.run([writer.finish()], eventMs);
}

const records = new StoredRecords(new RecordCache(2 ** 20));
const handler = createRecordBatchHandler({
  finder: new RowFinder(new SlotLookup(slots, (slot) => opened[slot]?.state)),
  records,
});
const context = { method: nodeCalls.records, epoch: 1, deadlineMs: Number.POSITIVE_INFINITY };

async function read(uris: readonly string[]): Promise<(string | null)[]> {
  const answer = await handler(encodeRecordBatchRequest(uris), context);
  return decodeRecordBatchAnswer(answer).map((record) => (record === null ? null : record.toString()));
}

beforeAll(() => {
  for (let index = 0; index < slots; index++) {
    opened.push(Slot.open({ index, slots, path: join(folder, String(index)), mapBytes: 2 ** 28 }));
  }
  const post = (text: string): object => ({ text, $type: 'app.bsky.feed.post', createdAt });
  put(alice, 'app.bsky.actor.profile', 'self', { $type: 'app.bsky.actor.profile', displayName: 'Alice', createdAt });
  for (let index = 2; index < 8; index++)
    put(alice, 'app.bsky.feed.post', `3kaaaaaaaaaa${index}`, post(`post ${index} ñ 日本`));
  put(web, 'app.bsky.feed.post', '3kaaaaaaaaaa2', post('from the web'));
  put(bob, 'app.bsky.feed.post', 'not-a-tid.~_', post('odd key'));
  put(bob, 'app.bsky.feed.post', '3kbbbbbbbbbb2', post('x'.repeat(100_000)));
  put(bob, 'app.bsky.graph.follow', '3kbbbbbbbbbb3', { $type: 'app.bsky.graph.follow', subject: alice, createdAt });
  const subject = { cid: cidOfBlock(Buffer.from('a')).text, uri: `at://${alice}/app.bsky.feed.post/3kaaaaaaaaaa2` };
  put(bob, 'app.bsky.feed.like', '3kbbbbbbbbbb4', { $type: 'app.bsky.feed.like', subject, createdAt });
});

afterAll(async () => {
  for (const slot of opened) await slot[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('slot.records', () => {
  it('answers with the bytes of every stored record, in the order asked', async () => {
    const uris = [...jsonByUri.keys()];
    expect(uris.length).toBe(12);
    expect(await read(uris)).toEqual([...jsonByUri.values()]);
    expect(await read(uris.toReversed())).toEqual([...jsonByUri.values()].toReversed());
    expect(await read([uris[3]!, uris[3]!])).toEqual([jsonByUri.get(uris[3]!), jsonByUri.get(uris[3]!)]);
  });

  it('answers null for records that are not stored, whatever part of the URI is unknown', async () => {
    const known = `at://${alice}/app.bsky.feed.post/3kaaaaaaaaaa2`;
    const answers = await read([
      `at://${alice}/app.bsky.feed.post/3kaaaaaaaaaaz`,
      `at://${alice}/app.bsky.feed.like/3kaaaaaaaaaa2`,
      `at://${alice}/com.example.unheard/3kaaaaaaaaaa2`,
      'at://did:plc:zzzzzzzzzzzzzzzzzzzzzzzz/app.bsky.feed.post/3kaaaaaaaaaa2',
      'at://did:plc:short/app.bsky.feed.post/3kaaaaaaaaaa2',
      'at://did:web:example.org/app.bsky.feed.post/3kaaaaaaaaaa2',
      known,
    ]);
    expect(answers).toEqual([null, null, null, null, null, null, jsonByUri.get(known)]);
  });

  it('sees an owner and a record that are stored after the first request for them', async () => {
    const did = 'did:plc:cccccccccccccccccccccccc';
    const uri = `at://${did}/app.bsky.feed.post/3kcccccccccc2`;
    expect(await read([uri])).toEqual([null]);
    put(did, 'app.bsky.feed.post', '3kcccccccccc2', { text: 'late', $type: 'app.bsky.feed.post', createdAt });
    expect(await read([uri])).toEqual([jsonByUri.get(uri)]);
    apply(did, deleteOp('app.bsky.feed.post', '3kcccccccccc2'));
    expect(await read([uri])).toEqual([null]);
  });

  it('refuses anything but AT-URIs of records', () => {
    const bad = ['', 'x', 'at://', `at://${alice}`, `at://${alice}/`, `at://${alice}/app.bsky.feed.post`];
    bad.push(`at://${alice}/app.bsky.feed.post/`, `at://${alice}//a`, `at://${alice}/a/b/c`, `at://${alice}/a/b#c`);
    bad.push('at://alice.test/app.bsky.feed.post/3kaaaaaaaaaa2', `https://${alice}/a/b`);
    for (const uri of bad) {
      expect(() => handler(encodeRecordBatchRequest([uri]), context), uri).toThrow(
        expect.objectContaining({ code: 'InvalidArgument' }),
      );
    }
  });

  it('refuses requests that are too large, truncated, too long or of another version', () => {
    const uri = `at://${alice}/app.bsky.feed.post/3kaaaaaaaaaa2`;
    const tooMany = encodeRecordBatchRequest(new Array<string>(recordBatchItemsMax + 1).fill(uri));
    expect(() => handler(tooMany, context)).toThrow(expect.objectContaining({ code: 'ResourceExhausted' }));
    const whole = encodeRecordBatchRequest([uri, uri]);
    for (let bytes = 0; bytes < whole.length; bytes++) {
      expect(() => handler(whole.subarray(0, bytes), context)).toThrow(
        expect.objectContaining({ code: 'InvalidArgument' }),
      );
    }
    const tooLong = Buffer.concat([whole, Buffer.of(0)]);
    expect(() => handler(tooLong, context)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }));
    whole[0] = 9;
    expect(() => handler(whole, context)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }));
  });

  it('has answers that are refused when truncated or longer than their records', async () => {
    const uri = `at://${alice}/app.bsky.feed.post/3kaaaaaaaaaa2`;
    const whole = Buffer.from(await handler(encodeRecordBatchRequest([uri, uri]), context));
    for (const answer of [whole.subarray(0, -1), Buffer.concat([whole, Buffer.of(0)])]) {
      expect(() => decodeRecordBatchAnswer(answer)).toThrow(expect.objectContaining({ code: 'Internal' }));
    }
  });

  it('refuses slots that the node does not serve', () => {
    const none = createRecordBatchHandler({ finder: new RowFinder(new SlotLookup(slots, () => undefined)), records });
    const request = encodeRecordBatchRequest([`at://${alice}/app.bsky.feed.post/3kaaaaaaaaaa2`]);
    expect(() => none(request, context)).toThrow(expect.objectContaining({ code: 'WrongEpoch' }));
  });
});
