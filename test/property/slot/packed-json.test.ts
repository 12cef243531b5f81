/** Packed JSON unpacks to the same bytes, or is refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { InvariantError } from '../../../src/base/invariant.ts';
import { jsonFragments, packedCode } from '../../../src/slot/packing/json-fragments.ts';
import { packJson, unpackedText } from '../../../src/slot/packing/packed-json.ts';
import { anyCid, anyDid, plcDid, tid } from './arbitraries.ts';

function packed(json: string): Buffer {
  const writer = new ByteWriter();
  packJson(writer, json);
  return writer.finish();
}

function comesBack(json: string): void {
  const bytes = packed(json);
  // Surrounded by other bytes, as a row in volatile memory is.
  const row = Buffer.concat([Buffer.of(0xf5, 0), bytes, Buffer.alloc(64, 0xf5)]);
  expect(unpackedText(row, 2, 2 + bytes.length)).toBe(json);
}

const restBytesByCode: Readonly<Record<number, number>> = {
  [packedCode.cid]: 32,
  [packedCode.blobCid]: 32,
  [packedCode.did]: 15,
  [packedCode.time]: 6,
  [packedCode.tid]: 8,
  [packedCode.literal]: 1,
};

/** Each code that announces bytes, with their end: a row must not end between the two. */
function rests(bytes: Buffer): [number, number][] {
  const found: [number, number][] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + (restBytesByCode[bytes[at]!] ?? 0);
    if (end > at + 1) found.push([at, end]);
    at = end;
  }
  return found;
}

const cid = 'bafyreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe';
const blobCid = 'bafkreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe';
const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';
const time = '2024-11-05T08:09:10.012Z';
const strongRef = { cid, uri: `at://${did}/app.bsky.feed.post/3l3qo2vutsw2b` };
const plainPost = { text: 'hello, world', $type: 'app.bsky.feed.post', langs: ['en'], createdAt: time };
const reply = {
  text: 'yes',
  $type: 'app.bsky.feed.post',
  langs: ['en'],
  reply: { root: strongRef, parent: strongRef },
  createdAt: time,
};
const image = { ref: { $link: blobCid }, size: 123_456, $type: 'blob', mimeType: 'image/jpeg' };
const imagePost = {
  text: '',
  $type: 'app.bsky.feed.post',
  embed: { $type: 'app.bsky.embed.images', images: [{ alt: 'a', image, aspectRatio: { width: 4, height: 3 } }] },
  langs: ['en'],
  createdAt: time,
};

describe('the JSON of records', () => {
  it('gets shorter and unpacks to the same bytes', () => {
    const sizes = [plainPost, reply, imagePost].map((post) => {
      const json = JSON.stringify(post);
      comesBack(json);
      return packed(json).length;
    });
    expect(sizes).toEqual([22, 135, 68]);
  });

  it('unpacks to the same bytes, whatever it is made of', () => {
    const nearly = fc.constantFrom(
      cid.slice(0, 58),
      `${cid.slice(0, 58)}f`,
      `bafyrez${cid.slice(7)}`,
      `${blobCid}a`,
      'did:plc:',
      did.slice(0, 31),
      '"2024-11-05T08:09:10.012Z',
      '"9999-99-99T99:99:99.999Z',
      '"0000-00-00T00:00:00.000Z',
      '"4095-12-31T31:63:63.999Z',
      '"4096-12-31T23:59:59.999Z',
      '"2024-11-05T08:09:10Z',
      '/3l3qo2vutsw2b',
      '/jzzzzzzzzzzzz',
      '/2222222222222',
      '\u0000\u001f',
      '\u00ff\u0100\u{1f600}',
    );
    const fragment = fc.constantFrom(...jsonFragments.map(({ bytes }) => bytes.toString('latin1')));
    const part = fc.oneof(fragment, nearly, anyCid, anyDid, plcDid, tid, fc.string({ unit: 'grapheme', maxLength: 9 }));
    const whole = fc.array(fc.oneof(part, fc.constantFrom('"', '/', 'b', 'd', '2'), fragment), { maxLength: 12 });
    fc.assert(
      fc.property(whole, (parts) => comesBack(parts.join(''))),
      { numRuns: 3_000 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => comesBack(JSON.stringify(value))),
      { numRuns: 500 },
    );
  });

  it('unpacks wherever it is cut, and with any letter replaced', () => {
    for (const json of [JSON.stringify(reply), JSON.stringify(imagePost)]) {
      for (let at = 0; at <= json.length; at++) {
        comesBack(json.slice(0, at));
        comesBack(json.slice(at));
        for (const letter of 'Z189z=-') comesBack(json.slice(0, at) + letter + json.slice(at + 1));
      }
      comesBack(json.toUpperCase());
    }
  });

  it('is refused when it ends within the bytes of a code', () => {
    const bytes = packed(`${JSON.stringify(reply)}\u0001`);
    const whole = unpackedText(bytes, 0, bytes.length);
    let refusedCount = 0;
    for (let end = 0; end < bytes.length; end++) {
      const read = (): string => unpackedText(bytes, 0, end);
      const isCut = rests(bytes).some(([from, to]) => end > from && end < to);
      if (isCut) expect(read).toThrow(InvariantError);
      else expect(whole.startsWith(read())).toBe(true);
      if (isCut) refusedCount++;
    }
    expect(refusedCount).toBe(2 * (32 + 15 + 8) + 6 + 1);
  });

  it('reads no byte after its end, whatever it holds', () => {
    const outcomeOf = (bytes: Uint8Array, filler: number): string => {
      const row = Buffer.concat([bytes, Buffer.alloc(64, filler)]);
      try {
        return unpackedText(row, 0, bytes.length);
      } catch (thrown) {
        if (thrown instanceof InvariantError) return thrown.message;
        throw thrown;
      }
    };
    const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(...Object.values(packedCode)));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 60 }), (bytes) => {
        const source = Uint8Array.from(bytes);
        expect(outcomeOf(source, 0x41)).toBe(outcomeOf(source, 0xff));
      }),
      { numRuns: 2_000 },
    );
  });

  it('grows its buffer for texts of any length', () => {
    comesBack(JSON.stringify(Array.from({ length: 3_000 }, () => reply)));
    comesBack('\u0001'.repeat(100_000));
  });

  it('has one fragment per code, and no code is a byte of a value or of UTF-8', () => {
    const codes = [...jsonFragments.map(({ code }) => code), ...Object.values(packedCode)];
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) expect(code < 0x20 || code === 0xc0 || code === 0xc1 || code >= 0xf5).toBe(true);
    for (const { bytes } of jsonFragments) expect(bytes.length).toBeLessThan(128);
  });
});
