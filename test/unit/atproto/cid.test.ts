/** CIDs of the two kinds in the protocol have one canonical text and match their blocks. */
import { describe, expect, it } from 'vitest';
import { Cid, cidCodec, cidOfBlock, isBlockIntact, isCidAt, parseCid } from '../../../src/atproto/cid.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';

// Source: the CIDs that ipfs gives to the empty map and the text "hello world".
const emptyMapCid = 'bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua';
const helloCid = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';

describe('Cid', () => {
  it('computes the same CIDs as other implementations', () => {
    expect(cidOfBlock(encodeDagCbor({})).text).toBe(emptyMapCid);
    expect(cidOfBlock(Buffer.from('hello world'), cidCodec.raw).text).toBe(helloCid);
  });

  it('returns the text that it was read from', () => {
    for (const text of [emptyMapCid, helloCid]) expect(parseCid(text)?.text).toBe(text);
  });

  it('is found at any position of a source', () => {
    const cid = parseCid(helloCid)!;
    const source = Buffer.concat([Buffer.alloc(7), cid.bytes, Buffer.alloc(3)]);
    expect(isCidAt(source, 7)).toBe(true);
    expect(isCidAt(source, 6)).toBe(false);
    expect(isCidAt(source, 11)).toBe(false);
    expect(new Cid(source, 7).text).toBe(helloCid);
    expect(cid.isAt(source, 7)).toBe(true);
    expect(cid.isAt(source, 8)).toBe(false);
  });

  it.each([
    '',
    helloCid.slice(0, -1),
    `${helloCid}a`,
    helloCid.toUpperCase(),
    `z${helloCid.slice(1)}`,
    `${helloCid.slice(0, -1)}f`,
    `${helloCid.slice(0, -1)}1`,
    helloCid.replace('bafk', 'bafy').replace('bafyrei', 'bafyrej'),
    'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
  ])('refuses %s', (text) => {
    expect(parseCid(text)).toBeUndefined();
  });

  it('detects a block that differs by one bit', () => {
    const block = Buffer.from('hello world');
    const cid = parseCid(helloCid)!;
    expect(isBlockIntact(cid.bytes, 0, block)).toBe(true);
    block[3]! ^= 1;
    expect(isBlockIntact(cid.bytes, 0, block)).toBe(false);
  });
});
