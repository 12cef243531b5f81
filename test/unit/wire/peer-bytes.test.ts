/** Malformed bytes of storage are corruption, those of a peer an error of its call. */
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, MalformedBytes, tryDecode } from '../../../src/base/bytes.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { InvariantError, invariant } from '../../../src/base/invariant.ts';
import { decodeEntry, encodeEntry } from '../../../src/entry/entry-codec.ts';
import { decodeOfPeer, peerReader } from '../../../src/wire/peer-bytes.ts';

const cut = new ByteWriter().text('whole').finish().subarray(0, 3);

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

describe('malformed bytes', () => {
  it('of our storage are corruption, and the error names what was read', () => {
    const thrown = thrownBy(() => new ByteReader(cut, 0, 'a row').text());
    expect(thrown).toBeInstanceOf(MalformedBytes);
    expect(thrown).toBeInstanceOf(InvariantError);
    expect(thrown).toMatchObject({ what: 'a row', message: 'a row: the bytes end early' });
  });

  it("of a peer are an error of the call, with the reader's code", () => {
    for (const [reader, code] of [
      [peerReader(cut, 'a message'), 'Internal'],
      [peerReader(cut, 'a message', 'InvalidArgument'), 'InvalidArgument'],
    ] as const) {
      const thrown = thrownBy(() => reader.text());
      expect(thrown).toBeInstanceOf(DataPlaneError);
      expect(thrown).toMatchObject({ code, message: 'a message: the bytes end early' });
    }
    const ofUnknownKind = Buffer.from(encodeEntry({ kind: 'sync', did: 'did:web:a.test', rev: 'r', eventMs: 0 }));
    ofUnknownKind[1] = 99;
    const thrown = thrownBy(() => decodeOfPeer('slot.write', () => decodeEntry(ofUnknownKind)));
    expect(thrown).toMatchObject({ code: 'InvalidArgument', message: 'slot.write: malformed payload' });
    expect((thrown as Error).cause).toMatchObject({ message: 'an entry: of the unknown kind 99' });
  });

  it('are all that tryDecode catches: broken invariants and bugs pass through', () => {
    const broken = (): never => {
      invariant(false, 'two and two is four');
    };
    const bug = (): never => {
      throw new TypeError('a bug');
    };
    expect(thrownBy(() => tryDecode(broken))).toMatchObject({ name: 'InvariantError' });
    expect(thrownBy(() => tryDecode(bug))).toBeInstanceOf(TypeError);
    expect(thrownBy(() => decodeOfPeer('slot.write', broken))).toMatchObject({ name: 'InvariantError' });
    expect(thrownBy(() => decodeOfPeer('slot.write', bug))).toBeInstanceOf(TypeError);
  });

  it('include varints beyond 2^53, and lists with more items than bytes', () => {
    const written = new ByteWriter().varint(Number.MAX_SAFE_INTEGER).finish();
    expect(new ByteReader(written).varint()).toBe(Number.MAX_SAFE_INTEGER);
    const tooGreat = Buffer.from('ffffffffffffff7f', 'hex');
    expect(tryDecode(() => new ByteReader(tooGreat).varint())).toBeInstanceOf(MalformedBytes);
    const tooLong = Buffer.from('80808080808080808001', 'hex');
    expect(tryDecode(() => new ByteReader(tooLong).varint())).toBeInstanceOf(MalformedBytes);
    expect(tryDecode(() => new ByteReader(Buffer.from([3, 1, 1])).count())).toBeInstanceOf(MalformedBytes);
    expect(new ByteReader(Buffer.from([2, 1, 1])).count()).toBe(2);
  });
});
