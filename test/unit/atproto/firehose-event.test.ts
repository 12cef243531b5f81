/** Messages of the firehose decode to events, or are refused with a reason and their seq. */
import { WriteOpAction } from '@atproto/repo';
import { describe, expect, it } from 'vitest';
import { Cid, cidOfBlock } from '../../../src/atproto/cid.ts';
import { ByteString, type DagMap, type DagValue } from '../../../src/atproto/dag-value.ts';
import { type CommitEvent, decodeFirehoseMessage } from '../../../src/atproto/firehose-event.ts';
import { inputLimits } from '../../../src/atproto/input-limits.ts';
import { checkRecord } from '../../../src/atproto/record-rules.ts';
import { deleteOp } from '../../../src/atproto/repo-op.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { jsonOfOp } from '../../support/record-op.ts';
import {
  authorDid,
  commitFrame,
  create,
  frameOf,
  likeRecord,
  otherDid,
  postRecord,
  SignedRepo,
} from './signed-repo.ts';

const tid = '3kbd6l2y3gk2z';

function commitOf(frame: Buffer): CommitEvent {
  const read = decodeFirehoseMessage(frame);
  if (!read.ok || read.value.kind !== 'commit') throw new Error(`not a commit: ${JSON.stringify(read)}`);
  return read.value;
}

/** A CAR of chosen sections under a chosen root. */
function carOf(root: DagValue, ...sections: Uint8Array[]): Buffer {
  const header = encodeDagCbor({ version: 1, roots: [root] });
  const varint = (value: number): Buffer =>
    value < 128 ? Buffer.from([value]) : Buffer.concat([Buffer.from([(value & 127) | 128]), varint(value >>> 7)]);
  return Buffer.concat([header, ...sections].flatMap((part) => [varint(part.length), part]));
}

function sectionOf(block: Uint8Array): Buffer {
  return Buffer.concat([cidOfBlock(block).bytes, block]);
}

/** A commit of one create whose block is `block`, unsigned. */
function bodyOf(block: Uint8Array, fields: DagMap = {}): DagMap {
  const cid = cidOfBlock(block);
  return {
    seq: 7,
    repo: authorDid,
    rev: tid,
    since: null,
    commit: cid,
    ops: [{ cid, path: `app.bsky.feed.post/${tid}`, action: 'create' }],
    blocks: new ByteString(carOf(cid, sectionOf(block))),
    time: '2024-05-06T07:08:10.000Z',
    tooBig: false,
    ...fields,
  };
}

const block = encodeDagCbor(postRecord() as DagMap);

describe('a commit', () => {
  it('by the protocol library decodes to its ops with the JSON of their records', async () => {
    const repo = await SignedRepo.start();
    const since = repo.rev;
    const body = await repo.commit(
      1_234_567_890_123,
      create('app.bsky.feed.like', tid, likeRecord()),
      create('app.bsky.feed.post', tid, postRecord()),
    );
    const event = commitOf(commitFrame(body));
    expect(event).toMatchObject({
      seq: 1_234_567_890_123,
      did: authorDid,
      rev: repo.rev,
      since,
      eventMs: Date.UTC(2024, 4, 6, 7, 8, 10),
      commitCid: repo.commitCid,
      resyncReason: null,
      badOps: [],
      unindexedOps: 0,
    });
    expect(event.ops.map(({ op }) => [op.action, op.collection, op.rkey])).toEqual([
      ['create', 'app.bsky.feed.like', tid],
      ['create', 'app.bsky.feed.post', tid],
    ]);
    expect(JSON.parse(jsonOfOp(event.ops[0]!.op))).toEqual(likeRecord());
    expect(JSON.parse(jsonOfOp(event.ops[1]!.op))).toEqual(postRecord());
    for (const { op, value } of event.ops) {
      expect(new Cid(op.cid).text).toBe(cidOfBlock(encodeDagCbor(value)).text);
      expect(encodeDagCbor(value).equals(op.block)).toBe(true);
      expect(checkRecord(event.did, op.collection, op.rkey, value)).toEqual({ ok: true });
    }
  });

  it('of a delete and an update has no record for the delete', async () => {
    const repo = await SignedRepo.start(authorDid, [
      create('app.bsky.feed.like', tid, likeRecord()),
      create('app.bsky.feed.post', tid, postRecord()),
    ]);
    const body = await repo.commit(
      2,
      { action: WriteOpAction.Delete, collection: 'app.bsky.feed.like', rkey: tid },
      { action: WriteOpAction.Update, collection: 'app.bsky.feed.post', rkey: tid, record: postRecord('changed') },
    );
    const event = commitOf(commitFrame(body));
    expect(event.ops[0]).toEqual({
      op: deleteOp('app.bsky.feed.like', tid),
      value: null,
    });
    expect(event.ops[1]!.op.action).toBe('update');
    expect(JSON.parse(jsonOfOp(event.ops[1]!.op)).text).toBe('changed');
  });

  it('of unindexed collections is counted without reading its blocks', () => {
    const ops = [{ cid: cidOfBlock(block), path: `com.example.thing/${tid}`, action: 'create' }];
    const event = commitOf(commitFrame(bodyOf(block, { ops, blocks: new ByteString(Buffer.from('not a CAR')) })));
    expect(event).toMatchObject({ ops: [], badOps: [], unindexedOps: 1, seq: 7 });
  });

  it('that is too big keeps its rev and seq, but no ops', () => {
    const event = commitOf(commitFrame(bodyOf(block, { tooBig: true, blocks: new ByteString(Buffer.alloc(0)) })));
    expect(event).toMatchObject({ resyncReason: 'too-big', rev: tid, seq: 7, ops: [] });
  });

  it('keeps its valid ops when another is bad, with the reason', () => {
    const cid = cidOfBlock(block);
    let paths = 0;
    const make = (cid: Cid | null, action = 'create') => ({ cid, action, path: `app.bsky.feed.post/${paths++}` });
    const list = encodeDagCbor([1]);
    const lying = Buffer.concat([cidOfBlock(encodeDagCbor({ a: 1 })).bytes, encodeDagCbor({ a: 2 })]);
    const unsorted = Buffer.from('a2616201616102', 'hex');
    const large = encodeDagCbor({ text: 'x'.repeat(inputLimits.recordBytesMax) });
    const ops: [DagValue, string][] = [
      [5, 'op-malformed'],
      [{ cid, action: 'create' }, 'op-path-bad'],
      [{ cid, action: 'create', path: '/a' }, 'op-path-bad'],
      [{ cid, action: 'create', path: 'app.bsky.feed.post/' }, 'op-path-bad'],
      [{ cid, action: 'create', path: 'app.bsky.feed.post/a/b' }, 'op-path-bad'],
      [{ cid: null, action: 'delete', path: `app.bsky.feed.post/${'x'.repeat(513)}` }, 'op-path-bad'],
      [make(cid, 'rename'), 'op-action-unknown'],
      [make(null), 'op-cid-missing'],
      [make(cidOfBlock(Buffer.from('absent'))), 'op-block-missing'],
      [make(cidOfBlock(encodeDagCbor({ a: 1 }))), 'op-block-hash-wrong'],
      [make(cidOfBlock(large)), 'record-too-large'],
      [make(cidOfBlock(list)), 'record-not-an-object'],
      [make(cidOfBlock(unsorted)), 'record-keys-not-sorted'],
    ];
    const car = carOf(cid, sectionOf(block), lying, sectionOf(large), sectionOf(list), sectionOf(unsorted));
    const event = commitOf(
      commitFrame(
        bodyOf(block, {
          ops: [...ops.map(([op]) => op), make(cid)],
          blocks: new ByteString(car),
        }),
      ),
    );
    expect(event.badOps.map((bad) => bad.reason)).toEqual(ops.map(([, reason]) => reason));
    expect(event.ops.map(({ op }) => new Cid(op.cid).text)).toEqual([cid.text]);
    expect(event.resyncReason).toBe('op-unreadable');
  });

  it.each<[string, DagMap]>([
    ['too-many-ops', { ops: new Array(inputLimits.commitOpsMax + 1).fill(null) }],
    ['blocks-too-large', { blocks: new ByteString(Buffer.alloc(inputLimits.commitCarBytesMax + 1)) }],
    ['car-header-bad', { blocks: new ByteString(Buffer.alloc(0)) }],
    ['car-header-bad', { blocks: new ByteString(Buffer.from([1, 0x9f])) }],
    ['car-truncated', { blocks: new ByteString(Buffer.from([50, 1])) }],
    ['car-truncated', { blocks: new ByteString(carOf(cidOfBlock(block), sectionOf(block)).subarray(0, -1)) }],
    ['car-root-missing', { blocks: new ByteString(carOf('root')) }],
    ['car-block-malformed', { blocks: new ByteString(carOf(cidOfBlock(block), Buffer.alloc(10))) }],
    [
      'car-version-unknown',
      { blocks: new ByteString(Buffer.concat([Buffer.from([10]), encodeDagCbor({ version: 2 })])) },
    ],
    ['path-duplicate', { ops: [1, 2].map(() => ({ cid: null, path: 'com.example.thing/a', action: 'delete' })) }],
  ])('whose ops cannot be known has none, and its repo is to be fetched: %s', (resyncReason, fields) => {
    const event = commitOf(commitFrame(bodyOf(block, fields)));
    expect(event).toMatchObject({ resyncReason, seq: 7, did: authorDid, rev: tid, ops: [], badOps: [] });
  });

  it.each<[string, DagMap]>([
    ['field-bad', { seq: -1 }],
    ['field-bad', { seq: 'x' }],
    ['field-bad', { repo: 5 }],
    ['did-bad', { repo: 'plc:abc' }],
    ['did-bad', { repo: `did:web:${'a'.repeat(510)}` }],
    ['rev-bad', { rev: '1' }],
    ['rev-bad', { since: 'later' }],
    ['time-bad', { time: 'yesterday' }],
    ['time-bad', { time: '2024-02-30T25:00:00Z' }],
    ['field-bad', { commit: 'text' }],
    ['field-bad', { ops: {} }],
    ['field-bad', { blocks: 'text' }],
  ])('is refused as %s', (reason, fields) => {
    const seq = 'seq' in fields ? null : 7;
    const body = bodyOf(block, fields);
    const about = reason === 'did-bad' || 'repo' in fields ? {} : { did: body['repo'] };
    expect(decodeFirehoseMessage(commitFrame(body))).toEqual({ ok: false, reason, seq, ...about });
  });
});

describe('a record', () => {
  const cid = cidOfBlock(block);

  it('of 2 MB fails its commit; a smaller one that is too large is dropped alone', () => {
    const huge = encodeDagCbor({ text: 'x'.repeat(2_000_000) });
    expect(commitOf(commitFrame(bodyOf(huge)))).toMatchObject({ resyncReason: 'blocks-too-large', ops: [] });
    const large = encodeDagCbor({ text: 'x'.repeat(1_900_000) });
    expect(commitOf(commitFrame(bodyOf(large))).badOps).toMatchObject([
      { reason: 'record-too-large', collection: 'app.bsky.feed.post' },
    ]);
  });

  it('that is nested 10,000 deep is dropped alone', () => {
    const nested = Buffer.concat([Buffer.from('a16161', 'hex'), Buffer.alloc(10_000, 0x81), Buffer.from([0])]);
    const ops = [
      { cid: cidOfBlock(nested), path: `app.bsky.feed.post/${tid}`, action: 'create' },
      { cid, path: 'app.bsky.feed.post/b', action: 'create' },
    ];
    const blocks = new ByteString(carOf(cid, sectionOf(nested), sectionOf(block)));
    const event = commitOf(commitFrame(bodyOf(block, { ops, blocks })));
    expect(event.badOps).toEqual([
      { reason: 'record-too-deep', collection: 'app.bsky.feed.post', rkey: expect.any(String) },
    ]);
    expect(event.ops.map(({ op }) => op.rkey)).toEqual(['b']);
  });
});

describe('other messages', () => {
  const time = '2024-05-06T07:08:10.000Z';
  const eventMs = Date.parse(time);

  it.each<[string, DagMap, object]>([
    [
      '#sync',
      { seq: 1, did: authorDid, rev: tid, time, blocks: new ByteString(Buffer.alloc(0)) },
      { kind: 'sync', seq: 1, did: authorDid, rev: tid, eventMs },
    ],
    [
      '#identity',
      { seq: 2, did: otherDid, time, handle: 'a.test' },
      { kind: 'identity', seq: 2, did: otherDid, eventMs, handle: 'a.test' },
    ],
    ['#identity', { seq: 2, did: otherDid, time }, { kind: 'identity', seq: 2, did: otherDid, eventMs, handle: null }],
    [
      '#account',
      { seq: 3, did: otherDid, time, active: true },
      { kind: 'account', seq: 3, did: otherDid, eventMs, active: true, status: '' },
    ],
    [
      '#account',
      { seq: 3, did: otherDid, time, active: false, status: 'takendown' },
      { kind: 'account', seq: 3, did: otherDid, eventMs, active: false, status: 'takendown' },
    ],
    [
      '#info',
      { name: 'OutdatedCursor', message: 'm' },
      { kind: 'info', seq: null, name: 'OutdatedCursor', message: 'm' },
    ],
    ['#new', { seq: 9, x: 1 }, { kind: 'unknown', seq: 9, type: '#new' }],
  ])('%s is decoded', (t, body, value) => {
    expect(decodeFirehoseMessage(frameOf({ op: 1, t }, body))).toEqual({ ok: true, value });
  });

  it('include the error frame of the stream', () => {
    const frame = frameOf({ op: -1 }, { error: 'FutureCursor', message: 'later' });
    expect(decodeFirehoseMessage(frame)).toEqual({
      ok: true,
      value: { kind: 'error', seq: null, error: 'FutureCursor', message: 'later' },
    });
  });

  it.each<[string, number | null, Buffer]>([
    ['frame-header-bad', null, Buffer.alloc(0)],
    ['frame-header-bad', null, Buffer.from('ffff', 'hex')],
    ['frame-header-bad', 5, frameOf({ op: 1 }, { seq: 5 })],
    ['frame-op-unknown', 5, frameOf({ op: 2, t: '#commit' }, { seq: 5 })],
    ['frame-truncated', null, frameOf({ op: 1, t: '#commit' }, {}).subarray(0, -1)],
    ['frame-key-not-text', null, frameOf({ op: 1, t: '#commit' }, [])],
    ['frame-trailing-bytes', 5, Buffer.concat([frameOf({ op: 1, t: '#info' }, { seq: 5 }), Buffer.from([0])])],
    ['frame-too-large', null, Buffer.alloc(inputLimits.messageBytesMax + 1)],
  ])('a broken frame is refused as %s, and passes its seq when it can be read', (reason, seq, frame) => {
    expect(decodeFirehoseMessage(frame)).toEqual({ ok: false, reason, seq });
  });

  it('are refused when nested 10,000 deep, and keep the seq before that', () => {
    const header = encodeDagCbor({ op: 1, t: '#commit' });
    const nest = Buffer.alloc(10_000, 0x81);
    const body = Buffer.concat([Buffer.from('a263736571056474696d65', 'hex'), nest]);
    expect(decodeFirehoseMessage(Buffer.concat([header, body]))).toEqual({
      ok: false,
      reason: 'frame-too-deep',
      seq: 5,
    });
  });
});
