/** Reading blocks of edge records without decoding gives the plain form to the byte, or nothing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cidOfBlock, recordCidOf } from '../../../src/atproto/cid.ts';
import { isKeyableDid, parseRecordUri, type RecordRef, recordUri } from '../../../src/atproto/compact-key.ts';
import type { DagValue } from '../../../src/atproto/dag-value.ts';
import { edgeByKind } from '../../../src/atproto/edge-kind.ts';
import { type PlainEdge, plainDigest, renderEdgeRecord } from '../../../src/slot/table/edge-record.ts';
import { readPlainBlock } from '../../../src/slot/table/plain-block.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { anyCid, anyDid, indexedRef, storableTime } from './arbitraries.ts';

const isReferable = (ref: RecordRef): boolean => parseRecordUri(recordUri(ref)) !== undefined;

const anyEdge: fc.Arbitrary<PlainEdge> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('follow' as const, 'block' as const),
    subject: anyDid.filter(isKeyableDid).map((did) => ({ did, ref: null })),
    subjectCid: fc.constant(''),
  }),
  fc.record({
    kind: fc.constantFrom('like' as const, 'repost' as const),
    subject: indexedRef.filter(isReferable).map((ref) => ({ did: ref.did, ref })),
    subjectCid: anyCid,
  }),
);
const usualTime = fc.integer({ min: 0, max: Date.UTC(7999, 11, 31, 23, 59, 59, 999) });

function blockOf(edge: PlainEdge, createdMs: number): Buffer {
  return encodeDagCbor(JSON.parse(renderEdgeRecord(edge, createdMs)!) as DagValue);
}

/** Expects that what is read, if anything, would be written as this very block. */
function expectExact(kind: PlainEdge['kind'], block: Buffer): boolean {
  const read = readPlainBlock(edgeByKind[kind], block);
  if (read === undefined) return false;
  const digest = plainDigest(read.edge, read.createdMs)!;
  expect(Buffer.from(recordCidOf(digest)).equals(cidOfBlock(block).bytes)).toBe(true);
  return true;
}

describe('a block in plain form', () => {
  it('reads back as its edge and its time', () => {
    fc.assert(
      fc.property(anyEdge, usualTime, (edge, createdMs) => {
        expect(readPlainBlock(edgeByKind[edge.kind], blockOf(edge, createdMs))).toEqual({ edge, createdMs });
      }),
      { numRuns: 500 },
    );
  });

  it('is read in any other year only where that is exact', () => {
    fc.assert(
      fc.property(anyEdge, storableTime, (edge, createdMs) => {
        expectExact(edge.kind, blockOf(edge, createdMs));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a block that was changed', () => {
  it('is read only where what is read would be written as it is', () => {
    const change = fc.oneof(
      fc.record({ at: fc.nat(400), byte: fc.nat(255) }),
      fc.record({
        at: fc.nat(400),
        byte: fc.constantFrom(...Buffer.from('0123456789-T:.Z\x60\x77\x78\x79', 'latin1')),
      }),
    );
    const seen = { exact: 0, refused: 0 };
    fc.assert(
      fc.property(
        anyEdge,
        usualTime,
        change,
        fc.integer({ min: -3, max: 3 }),
        (edge, createdMs, { at, byte }, more) => {
          const whole = blockOf(edge, createdMs);
          const block = Buffer.concat([
            whole.subarray(0, whole.length + Math.min(0, more)),
            Buffer.alloc(Math.max(0, more)),
          ]);
          block[at % block.length] = byte;
          seen[expectExact(edge.kind, block) ? 'exact' : 'refused']++;
        },
      ),
      { numRuns: 4000 },
    );
    expect(Math.min(seen.exact, seen.refused)).toBeGreaterThan(100);
  });

  it.each([
    '2024-02-30T00:00:00.000Z',
    '2023-02-29T00:00:00.000Z',
    '2024-13-01T00:00:00.000Z',
    '2024-00-01T00:00:00.000Z',
    '2024-01-00T00:00:00.000Z',
    '2024-01-01T24:00:00.000Z',
    '2024-01-01T00:60:00.000Z',
    '2024-01-01T00:00:60.000Z',
    '2024-01-01 00:00:00.000Z',
  ])('to the time %s is not in plain form', (createdAt) => {
    const kind = 'follow';
    const record = { $type: edgeByKind[kind].collection, subject: 'did:web:a.example', createdAt };
    expect(readPlainBlock(edgeByKind[kind], encodeDagCbor(record))).toBeUndefined();
  });
});
