/** A record's JSON becomes the block that its repo has, or is refused with the reason. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cid, cidOfBlock } from '../../../src/atproto/cid.ts';
import { ByteString, type DagValue, dagJson } from '../../../src/atproto/dag-value.ts';
import { recordOfJson } from '../../../src/atproto/record-of-json.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';

const leaf: fc.Arbitrary<DagValue> = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => new ByteString(bytes)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => new Cid(cidOfBlock(bytes).bytes)),
);
const key = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((text) => !text.startsWith('$') && text !== '__proto__');
const { tree } = fc.letrec<{ tree: DagValue }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('tree'), { maxLength: 5 }),
    fc.dictionary(key, tie('tree')),
  ),
}));

describe('the JSON of a record', () => {
  it('becomes the very block of which it is the JSON, also with links, bytes and foreign keys', () => {
    const records = fc.dictionary(key, tree, { maxKeys: 8, noNullPrototype: true });
    fc.assert(
      fc.property(records, (record) => {
        const block = encodeDagCbor(record as DagValue);
        const made = recordOfJson(JSON.parse(dagJson(record as DagValue)));
        expect(made).toMatchObject({ ok: true });
        if (made.ok) expect(made.value.block.equals(block)).toBe(true);
      }),
    );
  });

  it.each([
    [[], 'record-not-an-object'],
    ['text', 'record-not-an-object'],
    [{ a: 1.5 }, '1.5 is no whole number'],
    [{ a: { $link: 'x' } }, '"x" is no CID'],
    [{ a: 'x'.repeat(2 ** 20) }, 'record-too-large'],
    [JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`), 'it is nested deeper than 64'],
  ])('is refused: %#', (json, reason) => {
    expect(recordOfJson(json)).toEqual({ ok: false, reason });
  });
});
