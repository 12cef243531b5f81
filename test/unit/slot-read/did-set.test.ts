import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeDid } from '../../../src/atproto/compact-key.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { DidList } from '../../../src/slot/read/did-list.ts';
import { DidSet } from '../../../src/slot/read/did-set.ts';
import { BoundedReader } from '../../../src/wire/bounded-reader.ts';

const letters = [...'abcdefghijklmnopqrstuvwxyz234567'];
const letter = fc.constantFrom(...letters);
/** Many with a common beginning, which land in the same buckets; and what only looks like a did:plc. */
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

function listOf(dids: readonly string[]): DidList {
  const writer = new ByteWriter().varint(dids.length);
  for (const text of dids) writer.text(text);
  return new DidList().read(new BoundedReader(writer.finish(), 'dids'));
}

describe('a set of DIDs', () => {
  it('has those of its keys and no others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(did, { maxLength: 300 }), fc.array(did, { maxLength: 100 }), (members, others) => {
        const set = new DidSet(
          members.map((member) => keyOf(member, 5)),
          5,
        );
        const asked = [...members, ...others];
        const list = listOf(asked);
        expect(asked.map((_text, index) => list.text(index))).toEqual(asked);
        expect(asked.map((_text, index) => set.has(list, index))).toEqual(asked.map((text) => members.includes(text)));
        expect(set.size).toBe(members.length);
      }),
    );
  });

  it('holds as many as an actor may follow to be remembered', () => {
    const members = Array.from({ length: 5000 }, (_unused, index) => {
      const id = [...index.toString(32)].map((digit) => letters[Number.parseInt(digit, 32)]).join('');
      return `did:plc:${id.padStart(24, 'a')}`;
    });
    const set = new DidSet(
      members.slice(0, 2500).map((member) => keyOf(member, 0)),
      0,
    );
    const list = listOf(members);
    expect(members.filter((_text, index) => set.has(list, index))).toEqual(members.slice(0, 2500));
  });
});
