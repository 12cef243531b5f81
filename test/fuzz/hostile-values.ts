/** Values as a stranger would choose them: longest, emptiest, deepest, at the edges of numbers. */
import fc from 'fast-check';
import { Cid, cidCodec, cidOfBlock } from '../../src/atproto/cid.ts';
import { ByteString, type DagMap, type DagValue } from '../../src/atproto/dag-value.ts';

/** Pieces that some encoding makes longer, splits, or reads as something else. */
const pieces = [
  '\0',
  '\u001f',
  '"',
  '\\',
  '\u007f',
  'é',
  'e\u0301',
  '\u2028',
  '\u200d',
  '\ufeff',
  '\ufffd',
  '\u{1f469}\u200d\u{1f467}',
  '\u{10ffff}',
  '\r\n',
  '%00',
  '::',
  '__',
  '/',
  '#',
  '?',
  'a',
];

export const hostileTexts: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...pieces), fc.constantFrom(1, 2, 63, 64, 65, 300, 512, 513))
      .map(([piece, count]) => piece.repeat(count)),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '',
      '__proto__',
      'constructor',
      'toString',
      '$type',
      '$link',
      '$bytes',
      'null',
      '-0',
      '1e400',
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...pieces), fc.constantFrom(3_000, 20_000))
      .map(([piece, count]) => piece.repeat(count)),
  },
);

/** Fields long enough to make a record fat, written as one piece again and again. */
export const fatTexts: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom('\0', '"', 'x', '\u{10ffff}'), fc.constantFrom(50_000, 200_000, 400_000))
  .map(([piece, count]) => piece.repeat(count / piece.length));

export const edgeIntegers: fc.Arbitrary<number> = fc.constantFrom(
  0,
  -1,
  1,
  23,
  24,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  -(2 ** 53 - 1),
);

export const anyCid: fc.Arbitrary<Cid> = fc
  .tuple(fc.nat(7), fc.constantFrom(cidCodec.raw, cidCodec.dagCbor))
  .map(([index, codec]) => cidOfBlock(Buffer.from([index]), codec));

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.constantFrom(2_000, 60_000).map((length) => new Uint8Array(length)),
);

function nested(depth: number, isMap: boolean): DagValue {
  let value: DagValue = null;
  for (let level = 0; level < depth; level++) value = isMap ? { a: value } : [value];
  return value;
}

const { value: trees } = fc.letrec<{ value: DagValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    edgeIntegers,
    hostileTexts,
    anyCid,
    anyBytes.map((bytes) => new ByteString(bytes)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      hostileTexts.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
}));

/** True for a value of which thousands still are a small message. */
function isShort(value: DagValue): boolean {
  return typeof value === 'string' ? value.length < 100 : value instanceof Cid || typeof value !== 'object';
}

export const anyValues: fc.Arbitrary<DagValue> = fc.oneof(
  { weight: 12, arbitrary: trees },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(5, 30, 31, 32, 33, 64, 200), fc.boolean())
      .map(([depth, isMap]) => nested(depth, isMap)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(trees, fc.constantFrom(100, 3_000))
      .map(([value, count]) => Array.from({ length: count }, () => (isShort(value) ? value : 0))),
  },
);

export const anyMaps: fc.Arbitrary<DagMap> = fc.dictionary(
  hostileTexts.filter((key) => key !== '__proto__'),
  anyValues,
  { maxKeys: 5, noNullPrototype: true },
);

/** One change of bytes, as damage or malice makes it. */
export type ByteFault = {
  readonly kind: 'set' | 'cut' | 'insert' | 'repeat' | 'zero';
  readonly at: number;
  readonly byte: number;
};

export const byteFaults: fc.Arbitrary<readonly ByteFault[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('set', 'set', 'set', 'cut', 'insert', 'repeat', 'zero'),
    at: fc.nat(),
    byte: fc.oneof(
      fc.nat(255),
      fc.constantFrom(0x00, 0x1b, 0x3b, 0x5b, 0x5f, 0x7b, 0x7f, 0x9b, 0x9f, 0xbb, 0xbf, 0xd8, 0xf7, 0xf9, 0xfb, 0xff),
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

/** Applies the faults in order; `cut` keeps what is before it. */
export function withFaults(source: Uint8Array, faults: readonly ByteFault[]): Buffer {
  let bytes = Buffer.from(source);
  for (const { kind, at, byte } of faults) {
    const position = at % (bytes.length + 1);
    const [before, after] = [bytes.subarray(0, position), bytes.subarray(position)];
    if (kind === 'cut') bytes = Buffer.from(before);
    else if (kind === 'insert') bytes = Buffer.concat([before, Buffer.from([byte]), after]);
    else if (kind === 'repeat') bytes = Buffer.concat([before, after.subarray(0, byte), after]);
    else if (kind === 'zero') bytes.fill(0, position, Math.min(bytes.length, position + (byte % 16)));
    else if (position < bytes.length) bytes[position] = byte;
  }
  return bytes;
}

/** Bytes of a kind of message: whole, damaged, or no such message at all. */
export function damaged(whole: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  return fc.oneof(
    { weight: 4, arbitrary: whole.map((bytes) => Buffer.from(bytes)) },
    { weight: 5, arbitrary: fc.tuple(whole, byteFaults).map(([bytes, faults]) => withFaults(bytes, faults)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  );
}

/** Shows bytes as a test can paste them: `Buffer.from('…', 'base64')`. */
export function showBytes(bytes: Uint8Array): string {
  return `base64 of ${bytes.length} bytes: ${Buffer.from(bytes).toString('base64')}`;
}
