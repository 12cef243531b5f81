/** What input expands to is bounded: records in JSON, commits by op, repos by key. */
import { describe, expect, it } from 'vitest';
import { type Cid, cidOfBlock } from '../../../src/atproto/cid.ts';
import { ByteString, type DagMap, type DagValue } from '../../../src/atproto/dag-value.ts';
import { type CommitEvent, decodeFirehoseMessage } from '../../../src/atproto/firehose-event.ts';
import { inputLimits } from '../../../src/atproto/input-limits.ts';
import { openRepoCar, type RepoChunk } from '../../../src/atproto/repo-car.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { HandMadeCar, treeEntry } from '../../support/hand-made-car.ts';
import { authorDid, commitFrame } from './signed-repo.ts';

const rev = '3kbd6l2y3gk2z';

/** A post with a field that no lexicon knows, which is kept all the same. */
function postWith(extra: DagValue): DagMap {
  return { $type: 'app.bsky.feed.post', text: '', createdAt: '2024-05-06T07:08:10.000Z', extra };
}

/** A commit that creates one record for each CID, from the blocks of a CAR. */
function commitOf(car: HandMadeCar, cids: readonly Cid[]): CommitEvent {
  const root = car.add({ commit: 1 });
  const ops = cids.map((cid, index) => ({ cid, path: `app.bsky.feed.post/${index}`, action: 'create' }));
  const blocks = new ByteString(car.finish(root));
  const time = '2024-05-06T07:08:10.000Z';
  const frame = commitFrame({ seq: 7, repo: authorDid, rev, since: null, commit: root, ops, blocks, time });
  const read = decodeFirehoseMessage(frame);
  if (!read.ok || read.value.kind !== 'commit') throw new Error(`not a commit: ${JSON.stringify(read)}`);
  return read.value;
}

describe('one record', () => {
  it.each<[string, DagValue]>([
    ['a million letters', 'x'.repeat(1_000_000)],
    ['a text of many lines', 'one line of text\n'.repeat(55_000)],
    ['ninety thousand small numbers', Array.from({ length: 90_000 }, (_unused, index) => index % 256)],
  ])('of %s is kept', (_name, extra) => {
    const car = new HandMadeCar();
    const event = commitOf(car, [car.add(postWith(extra))]);
    expect(event).toMatchObject({ badOps: [], resyncReason: null });
    expect(event.ops).toHaveLength(1);
  });

  it.each<[string, DagValue]>([
    ['control characters', '\u0000'.repeat(200_000)],
    ['empty byte strings', new Array(90_000).fill(new ByteString(Buffer.alloc(0)))],
    ['texts of two control characters', new Array(90_000).fill('\u0000\u0000')],
  ])('of small %s that are large in JSON is dropped, and its commit goes on', (_name, extra) => {
    const car = new HandMadeCar();
    const event = commitOf(car, [car.add(postWith(extra)), car.add(postWith(1))]);
    expect(event.badOps).toEqual([
      { reason: 'record-json-too-large', collection: 'app.bsky.feed.post', rkey: expect.any(String) },
    ]);
    expect(event.ops.map(({ op }) => op.rkey)).toEqual(['1']);
    expect(event.resyncReason).toBeNull();
  });
});

describe('a commit', () => {
  it('whose ops share a block counts it once for each, and decodes it once', () => {
    const car = new HandMadeCar();
    const shared = car.add(postWith('x'.repeat(1000)));
    const event = commitOf(car, new Array(200).fill(shared));
    expect(event.ops).toHaveLength(200);
    expect(new Set(event.ops.map(({ value }) => value)).size).toBe(1);
  });

  it('of forty ops that share a record of a megabyte has no ops, and its repo is to be fetched', () => {
    const car = new HandMadeCar();
    const event = commitOf(car, new Array(40).fill(car.add(postWith('x'.repeat(1_000_000)))));
    expect(event).toMatchObject({ ops: [], badOps: [], resyncReason: 'records-too-large', rev, seq: 7 });
  });

  it('whose records are large in JSON together has no ops, and its repo is to be fetched', () => {
    const car = new HandMadeCar();
    const records = Array.from({ length: 60 }, (_unused, index) =>
      car.add(postWith(`${index}${'\u0000'.repeat(20_000)}`)),
    );
    expect(commitOf(car, records)).toMatchObject({ ops: [], resyncReason: 'records-too-large' });
  });

  it('of the most ops with records of any common size is taken whole', () => {
    for (const bytes of [10, 1000, 9_000]) {
      const car = new HandMadeCar();
      const records = Array.from({ length: 200 }, (_unused, index) =>
        car.add(postWith(`${index}${'x'.repeat(bytes)}`)),
      );
      expect(commitOf(car, records)).toMatchObject({ badOps: [], resyncReason: null, ops: { length: 200 } });
    }
  });
});

/** A repo of many keys, in order, each with the record that `recordOf` gives. */
function repoOf(count: number, recordOf: (car: HandMadeCar, index: number) => Cid): Buffer {
  const car = new HandMadeCar();
  const key = (index: number): string => `app.bsky.feed.post/${String(index).padStart(6, '0')}`;
  let left: Cid | null = null;
  for (let from = 0; from < count; from += 1000) {
    const indexes = Array.from({ length: Math.min(1000, count - from) }, (_unused, at) => from + at);
    left = car.node(
      left,
      ...indexes.map((index, at) =>
        at === 0
          ? treeEntry(0, key(index), recordOf(car, index))
          : treeEntry(19, key(index).slice(19), recordOf(car, index)),
      ),
    );
  }
  return car.commit(authorDid, rev, left);
}

function walk(car: Buffer): { chunks: RepoChunk[]; reason: string | null } {
  const opened = openRepoCar(car);
  if (!opened.ok) throw new Error(opened.reason);
  const chunks: RepoChunk[] = [];
  for (const step of opened.value.chunks()) {
    if (!step.ok) return { chunks, reason: step.reason };
    chunks.push(step.value);
  }
  return { chunks, reason: null };
}

const bytesOf = (chunk: RepoChunk): number => chunk.ops.reduce((sum, { op }) => sum + op.block.length, 0);

describe('a repo', () => {
  it('of ten thousand keys on one record of a megabyte ends early, and its chunks are small', () => {
    let shared: Cid | undefined;
    const { chunks, reason } = walk(repoOf(10_000, (car) => (shared ??= car.add(postWith('x'.repeat(1_000_000))))));
    expect(reason).toBe('records-too-large');
    const total = chunks.reduce((sum, chunk) => sum + bytesOf(chunk), 0);
    expect(total).toBeLessThanOrEqual(Math.max(inputLimits.repoRecordBytesMin, 2 * 1_700_000));
    for (const chunk of chunks) expect(chunk.ops).toHaveLength(1);
  });

  it('comes in chunks that are small in blocks and in JSON', () => {
    const { chunks, reason } = walk(
      repoOf(3000, (car, index) =>
        car.add(postWith(`${index}${(index % 3 === 0 ? '\u0000' : 'x').repeat(index * 3)}`)),
      ),
    );
    expect(reason).toBeNull();
    expect(chunks.reduce((sum, { ops }) => sum + ops.length, 0)).toBe(3000);
    for (const { ops } of chunks) {
      const json = ops.reduce((sum, { value }) => sum + Buffer.byteLength(JSON.stringify(value)), 0);
      expect(json).toBeLessThanOrEqual(inputLimits.chunkJsonBytesMax);
      expect(ops.length).toBeLessThanOrEqual(inputLimits.chunkRecordsMax);
      expect(ops.reduce((sum, { op }) => sum + op.block.length, 0)).toBeLessThanOrEqual(
        inputLimits.chunkRecordBytesMax,
      );
    }
  });

  it('whose keys share small records is taken whole', () => {
    const block = encodeDagCbor(postWith('same'));
    let shared: Cid | undefined;
    const { chunks, reason } = walk(repoOf(20_000, (car) => (shared ??= car.addBlock(block, cidOfBlock(block)))));
    expect(reason).toBeNull();
    expect(chunks.reduce((sum, { ops }) => sum + ops.length, 0)).toBe(20_000);
  });
});

describe('values and keys', () => {
  const nested = (): DagValue => Array.from({ length: 20 }).reduce<DagValue>((inner) => [inner], 1);

  it('of a commit are counted before they are decoded, since they cost the event loop', () => {
    const car = new HandMadeCar();
    const records = Array.from({ length: 200 }, (_unused, index) =>
      car.add(postWith([index, ...Array.from({ length: 300 }, nested)])),
    );
    expect(commitOf(car, records)).toMatchObject({ ops: [], resyncReason: 'records-too-large' });
    expect(commitOf(car, records.slice(0, 15))).toMatchObject({ resyncReason: null, ops: { length: 15 } });
  });

  it('of a message are few, whatever its size', () => {
    const extra = Object.fromEntries(Array.from({ length: 10_000 }, (_unused, index) => [`k${index}`, 1]));
    const frame = commitFrame({ seq: 7, repo: authorDid, extra });
    expect(decodeFirehoseMessage(frame)).toEqual({
      ok: false,
      reason: 'frame-too-many-items',
      seq: 7,
      did: authorDid,
    });
  });

  it('of the records of a chunk of a repo are few, and it yields between large nodes', () => {
    const { chunks, reason } = walk(
      repoOf(300, (car, index) => car.add(postWith([index, ...Array.from({ length: 40 }, nested)]))),
    );
    expect(reason).toBeNull();
    expect(chunks.length).toBeGreaterThanOrEqual(3);
    const keys = Array.from(
      { length: 1_200 },
      (_unused, index) => `com.example.thing/${'x'.repeat(100)}${index + 1000}`,
    );
    const car = new HandMadeCar();
    const record = car.add({});
    let left: Cid | null = null;
    for (let level = 0; level < 10; level++) {
      const of = (key: string): string => key.replace('com.example.thing/', `com.example.thing/${level}`);
      left = car.node(left, ...keys.map((key) => treeEntry(0, of(key), record)));
    }
    const large = walk(car.commit(authorDid, rev, left));
    expect(large.reason).toBeNull();
    expect(
      large.chunks.some(({ ops, badOps, unindexedRecords }) => ops.length + badOps.length + unindexedRecords === 0),
    ).toBe(true);
  });
});
