/** DAG-CBOR is decoded only in canonical form and within limits. */
import { describe, expect, it } from 'vitest';
import { Cid, parseCid } from '../../../src/atproto/cid.ts';
import { DagCborReader, decodeDagCbor } from '../../../src/atproto/dag-cbor.ts';
import { ByteString, type DagMap, dagJson } from '../../../src/atproto/dag-value.ts';
import { inputLimits } from '../../../src/atproto/input-limits.ts';
import { doubleBlock, encodeDagCbor } from '../../support/dag-cbor.ts';

const cidText = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';

function decodeHex(hex: string) {
  return decodeDagCbor(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

describe('decodeDagCbor', () => {
  it('reads every kind of value in the data model', () => {
    const value: DagMap = {
      a: 0,
      b: -1,
      c: 23,
      d: 24,
      e: 255,
      f: 256,
      g: 65_536,
      h: 2 ** 32,
      i: Number.MAX_SAFE_INTEGER,
      j: Number.MIN_SAFE_INTEGER,
      k: [true, false, null],
      l: 'ÅŁ 漢 👨‍👩‍👧',
      n: '',
      o: {},
    };
    const read = decodeDagCbor(encodeDagCbor(value));
    expect(read).toEqual({ ok: true, value });
    expect(decodeDagCbor(doubleBlock(1.5))).toEqual({ ok: true, value: 1.5 });
  });

  it('writes CIDs as $link and bytes as $bytes without padding in JSON', () => {
    const value = { link: parseCid(cidText)!, bytes: new ByteString(Buffer.from([1, 2])) };
    const read = decodeDagCbor(encodeDagCbor(value));
    if (!read.ok) throw new Error(read.reason);
    expect((read.value as DagMap)['link']).toBeInstanceOf(Cid);
    expect(dagJson(read.value)).toBe(`{"link":{"$link":"${cidText}"},"bytes":{"$bytes":"AQI"}}`);
  });

  it.each([
    ['', 'truncated'],
    ['61', 'truncated'],
    ['82 01', 'truncated'],
    ['9b 0000000100000000', 'truncated'],
    ['bb 001fffffffffffff', 'truncated'],
    ['5a ffffffff 00', 'truncated'],
    ['01 01', 'trailing-bytes'],
    ['1c', 'head-reserved'],
    ['9f ff', 'length-indefinite'],
    ['bf ff', 'length-indefinite'],
    ['7f 61 61 ff', 'length-indefinite'],
    ['ff', 'length-indefinite'],
    ['18 17', 'integer-not-minimal'],
    ['19 00ff', 'integer-not-minimal'],
    ['1a 0000ffff', 'integer-not-minimal'],
    ['1b 00000000ffffffff', 'integer-not-minimal'],
    ['78 01 61', 'integer-not-minimal'],
    ['1b 0020000000000000', 'integer-too-large'],
    ['3b 001fffffffffffff', 'integer-too-large'],
    ['3b ffffffffffffffff', 'integer-too-large'],
    ['f9 3c00', 'float-not-64-bit'],
    ['fa 3f800000', 'float-not-64-bit'],
    ['fb 7ff8000000000000', 'float-not-finite'],
    ['fb 7ff0000000000000', 'float-not-finite'],
    ['f7', 'simple-value-unknown'],
    ['f8 20', 'simple-value-unknown'],
    ['c1 01', 'tag-unknown'],
    ['d8 2b 41 00', 'tag-unknown'],
    ['d8 2a 61 00', 'cid-bad'],
    ['d8 2a 41 00', 'cid-bad'],
    [`d8 2a 58 25 01 01711220${'00'.repeat(32)}`, 'cid-bad'],
    [`d8 2a 58 25 00 01701220${'00'.repeat(32)}`, 'cid-bad'],
    ['a1 01 01', 'key-not-text'],
    ['a1 69 5f5f70726f746f5f5f a0', 'key-forbidden'],
    ['a2 61 62 01 61 61 02', 'keys-not-sorted'],
    ['a2 62 6161 01 61 62 02', 'keys-not-sorted'],
    ['a2 61 61 01 61 61 02', 'key-duplicate'],
    ['61 ff', 'text-not-utf8'],
    ['63 eda080', 'text-not-utf8'],
    ['62 c0af', 'text-not-utf8'],
  ])('refuses %s as %s', (hex, reason) => {
    expect(decodeHex(hex)).toEqual({ ok: false, reason });
  });

  it('accepts a replacement character that is part of the text', () => {
    expect(decodeHex('63 efbfbd')).toEqual({ ok: true, value: '\ufffd' });
  });

  it('accepts the maximal depth, and refuses 1 and 10,000 more without exhausting the stack', () => {
    const nest = (depth: number) => decodeDagCbor(Buffer.concat([Buffer.alloc(depth, 0x81), Buffer.from([0])]));
    expect(nest(inputLimits.cborDepthMax).ok).toBe(true);
    expect(nest(inputLimits.cborDepthMax + 1)).toEqual({ ok: false, reason: 'too-deep' });
    expect(nest(10_000)).toEqual({ ok: false, reason: 'too-deep' });
    const maps = Buffer.from('a16161'.repeat(10_000), 'hex');
    expect(decodeDagCbor(maps)).toEqual({ ok: false, reason: 'too-deep' });
  });

  it('bounds the number of items and of bytes', () => {
    const items = Buffer.alloc(inputLimits.cborItemsMax + 6, 0);
    items.set([0x9a, 0, 0, 0, 0]);
    items.writeUInt32BE(inputLimits.cborItemsMax + 1, 1);
    expect(decodeDagCbor(items)).toEqual({ ok: false, reason: 'too-many-items' });
    expect(decodeDagCbor(Buffer.alloc(inputLimits.cborBytesMax + 1))).toEqual({ ok: false, reason: 'too-large' });
  });

  it('accepts unsorted keys when asked to, but no duplicates', () => {
    const unsorted = Buffer.from('a3616201616102616303', 'hex');
    expect(decodeDagCbor(unsorted, 'any')).toEqual({ ok: true, value: { b: 1, a: 2, c: 3 } });
    const twice = Buffer.from('a3616201616102616203', 'hex');
    expect(decodeDagCbor(twice, 'any')).toEqual({ ok: false, reason: 'key-duplicate' });
  });

  it('distinguishes cached keys of one hash slot and one length', () => {
    for (let index = 0; index < 20_000; index++) {
      const key = `k${index}`;
      expect(Object.keys((decodeDagCbor(encodeDagCbor({ [key]: 1 })) as { value: DagMap }).value)).toEqual([key]);
    }
    expect(decodeDagCbor(encodeDagCbor({ clé: 1, ключ: 2 }))).toEqual({ ok: true, value: { clé: 1, ключ: 2 } });
  });

  it('keeps the entries of a map before its fault', () => {
    const target: DagMap = {};
    const reader = new DagCborReader(Buffer.from('a3 61 61 01 61 62 02 61 63 ff'.replaceAll(' ', ''), 'hex'));
    expect(reader.nextMapInto(target)).toBe('length-indefinite');
    expect(target).toEqual({ a: 1, b: 2 });
  });
});
