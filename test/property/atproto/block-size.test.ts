/** The JSON bytes of a block are counted as they would be rendered. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countBlock, jsonExpansionMax, sizeOfBlock } from '../../../src/atproto/block-size.ts';
import { cidOfBlock } from '../../../src/atproto/cid.ts';
import { decodeDagCbor } from '../../../src/atproto/dag-cbor.ts';
import { ByteString, type DagValue, dagJson, isDagMap } from '../../../src/atproto/dag-value.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';

const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    9,
    10,
    23,
    24,
    99,
    100,
    255,
    256,
    999,
    1000,
    65_535,
    65_536,
    2 ** 32,
    -1,
    -10,
    -24,
    -25,
    -256,
    -257,
  ),
);
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: fc.constantFrom('\u0000', '\u001f', '\n', '\b', '"', '\\', '\u007f', '\u2028', 'é', '😀', 'a') }),
);
const leaf: fc.Arbitrary<DagValue> = fc.oneof(
  integer,
  text,
  fc.constantFrom(null, true, false),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => new ByteString(Buffer.from(bytes))),
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => cidOfBlock(bytes)),
);
const { value } = fc.letrec<{ value: DagValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 6 },
    ),
  ),
}));

/** Values and keys. */
function itemsOf(each: DagValue): number {
  if (Array.isArray(each)) return each.reduce((sum: number, item) => sum + itemsOf(item), 1);
  if (isDagMap(each)) return Object.values(each).reduce((sum: number, item) => sum + 1 + itemsOf(item), 1);
  return 1;
}

describe('the JSON bytes of a block', () => {
  it('are those of its text', () => {
    fc.assert(
      fc.property(value, (each) => {
        const block = encodeDagCbor(each);
        const read = decodeDagCbor(block);
        if (!read.ok) throw new Error(read.reason);
        const bytes = Buffer.byteLength(dagJson(read.value));
        expect(countBlock(block).jsonBytes).toBe(bytes);
        expect(sizeOfBlock(block).jsonBytes).toBeGreaterThanOrEqual(bytes);
        expect(bytes).toBeLessThanOrEqual(block.length * jsonExpansionMax);
        const items = itemsOf(each);
        expect(countBlock(block).items).toBe(items);
        expect(sizeOfBlock(block).items).toBeGreaterThanOrEqual(items);
      }),
      { numRuns: 1000 },
    );
  });

  it('are not less than those of its text where it holds floats', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (float) => {
        const block = Buffer.alloc(9, 0xfb);
        block.writeDoubleBE(float, 1);
        expect(countBlock(block).jsonBytes).toBeGreaterThanOrEqual(JSON.stringify(float).length);
      }),
      { numRuns: 1000 },
    );
  });
});
