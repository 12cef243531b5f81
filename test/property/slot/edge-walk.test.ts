/** Pages of outgoing edges hold each edge once and in order, whatever the keys of their records. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readDid, readRkey } from '../../../src/atproto/compact-key.ts';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { ByteReader, ByteWriter } from '../../../src/base/bytes.ts';
import { writeEntryTime } from '../../../src/base/time-bytes.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { edgePositionOf, edgeToken } from '../../../src/read/lookup/edge-token.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { type EdgePage, type EdgePosition, edgeRecordPrefix, readEdgePage } from '../../../src/slot/table/edge-walk.ts';
import { edgeByTimePrefix } from '../../../src/slot/table/outgoing-edge.ts';
import { prefixEnd } from '../../../src/storage/environment.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const collection = 'app.bsky.graph.follow';
const startMs = Date.UTC(2026, 0, 1);
const indexedMs = startMs + 3_600_000;
const driftMsMax = 30_000;

let folder = '';
let opened = 0;

beforeAll(() => {
  folder = makeMemoryFolder('skyshard-walk-');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A random follow. `driftMicros`: the distance of the time in its key from its sort time. */
type Drawn = {
  readonly createdMs: number;
  readonly driftMicros: number;
  readonly clock: number;
  readonly isPlain: boolean;
  readonly rkey: string | null;
  readonly fate: 'stays' | 'goes' | 'taken down';
};

type Follow = { readonly sortMs: number; readonly rkey: string; readonly subject: string; readonly hasOwnRow: boolean };

const tidDigits = '234567abcdefghijklmnopqrstuvwxyz';

function tidAt(micros: number, clock: number): string {
  let text = '';
  for (let rest = BigInt(micros) * 1024n + BigInt(clock); text.length < 13; rest >>= 5n)
    text = tidDigits[Number(rest & 31n)] + text;
  return text;
}

function followOf({ createdMs, driftMicros, clock, isPlain, rkey }: Drawn, number: number): Follow {
  const sortMs = Math.min(createdMs, indexedMs);
  const digits = number
    .toString(4)
    .padStart(24, '0')
    .replace(/\d/g, (digit) => 'bcde'[Number(digit)]!);
  return {
    sortMs,
    rkey: rkey ?? tidAt(sortMs * 1000 + driftMicros, clock),
    subject: `did:plc:${digits}`,
    hasOwnRow: !isPlain || rkey !== null || Math.abs(driftMicros) > driftMsMax * 1000,
  };
}

function opOf({ createdMs, isPlain }: Drawn, { rkey, subject }: Follow): RepoOp {
  const createdAt = new Date(createdMs).toISOString();
  const record = { $type: collection, subject, createdAt };
  return recordOp({ collection, rkey }, isPlain ? record : { ...record, extra: 1 });
}

function run(slot: Slot, entry: OutsideEntry): void {
  const writer = new ByteWriter(4096);
  writeChunk(writer, { slot: 0, origin: null, items: [encodeEntry(entry)], marks: [] });
  slot.run([writer.finish()], indexedMs + 1);
}

/** Sorts TIDs first, then `self`, then other keys, shorter ones first. */
function orderOf(rkey: string): string {
  if (/^[234567ab][234567a-z]{12}$/.test(rkey)) return `0${rkey}`;
  return rkey === 'self' ? '1' : `2${String(rkey.length).padStart(4, '0')}${rkey}`;
}

function inPageOrder(follows: readonly Follow[]): Follow[] {
  return [...follows].sort((a, b) => b.sortMs - a.sortMs || (orderOf(a.rkey) < orderOf(b.rkey) ? 1 : -1));
}

function textOf({ sortMs, rkey, subject }: Follow): string {
  return `${sortMs} ${rkey} ${subject}`;
}

function textsOf({ edges, found }: EdgePage): string[] {
  return found.map((edge) => {
    const reader = new ByteReader(edges.bytes, edges.rkeyAt(edge));
    const rkey = readRkey(reader);
    expect(reader.position).toBe(edges.subjectAt(edge));
    return `${edges.sortMs(edge)} ${rkey} ${readDid(reader)}`;
  });
}

/** All edges after `before`, read page by page, each of at most `rowsMax` rows in either order. */
function pagesOf({ state }: Slot, size: number, before: Buffer | null = null, rowsMax?: number): string[] {
  const owner = state.ownerOf(did)!;
  const prefix = edgeByTimePrefix(owner, 'follow');
  const recordPrefix = edgeRecordPrefix(owner, 'follow');
  const texts: string[] = [];
  let from: EdgePosition | null = before === null ? null : { key: before, crowd: null };
  for (let page = 0; page < 2_000; page++) {
    const read = readEdgePage({ state, owner }, 'follow', from, size, rowsMax);
    const { found, next } = read;
    expect(found.length).toBeLessThanOrEqual(size);
    texts.push(...textsOf(read));
    if (next === null) return texts;
    from = edgePositionOf(edgeToken(next, prefix), prefix, recordPrefix, 'token');
    expect(from).toEqual(next);
  }
  throw new Error('the pages do not end');
}

/** Checks that pages of few rows lose and repeat nothing, and are off by the drift at most. */
function checkCrowded(slot: Slot, size: number, expected: readonly string[]): boolean {
  let isInOrder = true;
  for (const rowsMax of [2, 8]) {
    const found = pagesOf(slot, size, null, rowsMax);
    expect([...found].sort()).toEqual([...expected].sort());
    const times = found.map((text) => Number(text.split(' ')[0]));
    for (let index = 1; index < times.length; index++)
      expect(Math.min(...times.slice(0, index))).toBeGreaterThanOrEqual(times[index]! - 2 * driftMsMax);
    isInOrder &&= found.every((text, index) => text === expected[index]);
  }
  return isInOrder;
}

function ownRows({ state }: Slot): number {
  const prefix = edgeByTimePrefix(state.ownerOf(did)!, 'follow');
  return [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix) })].length;
}

/** The key of a page token that matches no edge. */
function keyAt({ state }: Slot, timeMs: number, rest: number): Buffer {
  const writer = new ByteWriter().bytes(edgeByTimePrefix(state.ownerOf(did)!, 'follow'));
  writeEntryTime(writer, timeMs);
  return writer.bytes(Buffer.alloc(8, rest)).finish();
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  // Many at once: some near each other in time, some later than they were indexed.
  createdMs: fc.oneof(
    fc.integer({ min: startMs, max: startMs + 3 }),
    fc.integer({ min: startMs, max: startMs + 3 * driftMsMax }),
    fc.integer({ min: indexedMs - 1, max: indexedMs + 60_000 }),
  ),
  driftMicros: fc
    .tuple(fc.constantFrom(0, 1, driftMsMax - 1, driftMsMax, driftMsMax + 1, 600_000), fc.constantFrom(0, 1, 999))
    .chain(([driftMs, micros]) => fc.constantFrom(1, -1).map((sign) => sign * (driftMs * 1000 + micros))),
  clock: fc.constantFrom(0, 1, 1023),
  isPlain: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
  rkey: fc.oneof(
    { weight: 9, arbitrary: fc.constant(null) },
    fc.constantFrom('self', 'a', 'zz', 'x'.repeat(13), 'b.c:d'),
  ),
  fate: fc.constantFrom('stays', 'goes', 'taken down'),
});

it('pages of edges hold each edge once and in order, whatever the keys of their records', async () => {
  const seen = { own: 0, byRecord: 0, outOfOrder: 0 };
  const history = fc.record({
    all: fc.array(drawn, { maxLength: 40, size: 'max' }),
    size: fc.integer({ min: 1, max: 12 }),
    token: fc.tuple(fc.integer({ min: startMs - 40_000, max: startMs + 4 * driftMsMax }), fc.nat(255)),
  });
  await fc.assert(
    fc.asyncProperty(history, async ({ all, size, token }) => {
      await using slot = Slot.open({ index: 0, slots: 1, path: join(folder, String(opened++)), mapBytes: 2 ** 28 });
      const made = new Map(
        all.map((one, number) => {
          const follow = followOf(one, number);
          return [follow.rkey, { follow, one }] as const;
        }),
      );
      const commit = { kind: 'commit', did, since: null, eventMs: indexedMs } as const;
      const fated = [...made.values()];
      run(slot, { ...commit, rev: tidOf(1), ops: fated.map(({ follow, one }) => opOf(one, follow)) });
      const check = (follows: readonly Follow[]): void => {
        const expected = inPageOrder(follows).map(textOf);
        expect(pagesOf(slot, size)).toEqual(expected);
        expect(pagesOf(slot, 1_000)).toEqual(expected);
        const after = keyAt(slot, ...token);
        const [timeMs] = token;
        const older = pagesOf(slot, size, after);
        expect(older).toEqual(expected.slice(expected.length - older.length));
        expect(older.every((text) => Number(text.split(' ')[0]) <= timeMs)).toBe(true);
        expect(older.length).toBeGreaterThanOrEqual(follows.filter(({ sortMs }) => sortMs < timeMs).length);
        const own = follows.filter(({ hasOwnRow }) => hasOwnRow).length;
        expect(ownRows(slot)).toBe(own);
        seen.own += own;
        seen.byRecord += follows.length - own;
      };
      check(fated.map(({ follow }) => follow));
      if (!checkCrowded(slot, size, pagesOf(slot, 1_000))) seen.outOfOrder++;
      for (const { follow, one } of fated) {
        const write = { type: 'record-takedown', collection, rkey: follow.rkey, ref: 'mod' } as const;
        if (one.fate === 'taken down') run(slot, { kind: 'private', did, write });
      }
      const gone = fated.filter(({ one }) => one.fate === 'goes');
      const ops = gone.map(({ follow: { rkey } }) => deleteOp(collection, rkey));
      run(slot, { ...commit, rev: tidOf(2), ops });
      check(fated.filter(({ one }) => one.fate !== 'goes').map(({ follow }) => follow));
    }),
    { numRuns: 150 },
  );
  expect(Math.min(seen.own, seen.byRecord)).toBeGreaterThan(500);
  expect(seen.outOfOrder).toBeGreaterThan(10);
});
