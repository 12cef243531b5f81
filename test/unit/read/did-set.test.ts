/** A DidSet answers exactly for the DIDs that it was built from. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeDid, writeRkey } from '../../../src/atproto/compact-key.ts';
import { tidBytes } from '../../../src/atproto/tid.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { ClassFilters } from '../../../src/read/cache/class-filters.ts';
import { type DidSet, didSetOf } from '../../../src/read/cache/did-set.ts';
import { DidList } from '../../../src/read/lookup/did-list.ts';
import { peerReader } from '../../../src/wire/peer-bytes.ts';

const letters = [...'abcdefghijklmnopqrstuvwxyz234567'];
const letter = fc.constantFrom(...letters);
/** Many that share a prefix and so a bucket, and some that only look like a did:plc. */
const did = fc.oneof(
  fc.string({ unit: letter, minLength: 24, maxLength: 24 }).map((id) => `did:plc:${id}`),
  fc.string({ unit: letter, minLength: 4, maxLength: 4 }).map((id) => `did:plc:${id.padStart(24, 'a')}`),
  fc.string({ unit: letter, minLength: 1, maxLength: 4 }).map((host) => `did:web:${host}.example`),
  fc.constantFrom(
    `did:plc:${'1'.repeat(24)}`,
    `did:plc:${'A'.repeat(24)}`,
    `did:PLC:${'a'.repeat(24)}`,
    `did:plc:${'é'.repeat(12)}`,
    '',
  ),
);

function keyOf(text: string, head: number): Buffer {
  const key = new ByteWriter().bytes(Buffer.alloc(head, 1));
  writeDid(key, text);
  return key.finish();
}

function setOf(dids: readonly string[], head = 0): DidSet | null {
  return didSetOf(
    dids.map((text) => keyOf(text, head)),
    head,
  );
}

function listOf(dids: readonly string[]): DidList {
  const writer = new ByteWriter().varint(dids.length);
  for (const text of dids) writer.text(text);
  return new DidList().read(peerReader(writer.finish(), 'dids'));
}

describe('a set of DIDs', () => {
  it('has its DIDs and no others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(did, { maxLength: 300 }), fc.array(did, { maxLength: 100 }), (members, others) => {
        const set = setOf(members, 5)!;
        const asked = [...members, ...others];
        const list = listOf(asked);
        expect(asked.map((_text, index) => list.text(index))).toEqual(asked);
        expect(asked.map((_text, index) => set.has(list, index))).toEqual(asked.map((text) => members.includes(text)));
        expect(set.size).toBe(members.length);
      }),
    );
  });

  it('tells by their classes which DIDs it does not have', () => {
    fc.assert(
      fc.property(fc.uniqueArray(did, { maxLength: 20 }), fc.array(did, { maxLength: 100 }), (members, others) => {
        const set = setOf(members)!;
        const list = listOf([...members, ...others]);
        for (const bits of [64, 512]) {
          const filters = new ClassFilters(3, bits);
          filters.set(1, set);
          for (let index = 0; index < list.count; index++) {
            if (!list.isPlcLong(index)) continue;
            const hash = list.classHashOf(index);
            if (set.has(list, index)) expect(filters.mayHave(1, hash), list.text(index)).toBe(true);
            expect([filters.mayHave(0, hash), filters.mayHave(2, hash)]).toEqual([false, false]);
          }
        }
      }),
    );
  });

  it('has a filter that tells few DIDs from most others, and is as it was set last', () => {
    const list = listOf(numbered(400, (text) => text.padEnd(24, 'a')));
    const hashes = Array.from({ length: list.count }, (_unused, index) => list.classHashOf(index));
    const filters = new ClassFilters(1, 512);
    const maybeThere = (): number => hashes.filter((hash) => filters.mayHave(0, hash)).length;
    filters.set(0, undefined);
    expect(maybeThere()).toBe(list.count);
    filters.set(0, setOf(numbered(20, (text) => text.padEnd(24, 'a'))));
    expect(maybeThere()).toBeGreaterThanOrEqual(20);
    expect(maybeThere()).toBeLessThan(80);
    filters.set(0, setOf([]));
    expect(maybeThere()).toBe(0);
  });

  it('has the rkeys that were set, of the common form alone', () => {
    const members = numbered(3, (text) => text.padEnd(24, 'a'));
    const set = setOf(members)!;
    const list = listOf(members);
    const rowOf = (rkey: string): Buffer => {
      const row = new ByteWriter();
      writeRkey(row, rkey);
      return row.finish();
    };
    const indexes = members.map((_text, index) => (list.isPlc(index) ? set.indexOf(list, index) : -1));
    for (const [at, rkey] of ['3jui7kd54zh2y', 'self', 'other'].entries()) set.setRkey(indexes[at]!, rowOf(rkey));
    expect(
      set
        .rkeyOf(indexes[0]!)
        ?.subarray(indexes[0]! * tidBytes)
        .compare(rowOf('3jui7kd54zh2y'), 0, tidBytes, 0, tidBytes),
    ).toBe(0);
    expect(indexes.slice(1).map((index) => set.rkeyOf(index))).toEqual([null, null]);
  });

  /** Returns DIDs that differ only in a number, which `idOf` puts first or last in the id. */
  function numbered(count: number, idOf: (text: string) => string): string[] {
    return Array.from({ length: count }, (_unused, index) => {
      const text = [...index.toString(32).padStart(4, '0')]
        .map((digit) => letters[Number.parseInt(digit, 32)])
        .join('');
      return `did:plc:${idOf(text)}`;
    });
  }

  it('holds as many as a cached actor may follow', () => {
    const members = numbered(5000, (text) => text.padEnd(24, 'a'));
    const set = setOf(members.slice(0, 2500))!;
    const list = listOf(members);
    expect(members.filter((_text, index) => set.has(list, index))).toEqual(members.slice(0, 2500));
  });

  it('is not built from DIDs that would make it slow or large', () => {
    const alike = numbered(300, (text) => text.padStart(24, 'a'));
    expect(setOf(alike.slice(0, 200))?.size).toBe(200);
    expect(setOf(alike)).toBeNull();
    const webs = Array.from({ length: 300 }, (_unused, index) => `did:web:host${index}.example`);
    expect(setOf(webs.slice(0, 200))?.size).toBe(200);
    expect(setOf(webs)).toBeNull();
  });
});
