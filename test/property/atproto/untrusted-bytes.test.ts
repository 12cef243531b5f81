/** Every decoder answers any bytes with a value that can be written again, or with a reason. */
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readCar } from '../../../src/atproto/car.ts';
import { Cid, cidCodec, cidOfBlock, parseCid } from '../../../src/atproto/cid.ts';
import { indexedCollections } from '../../../src/atproto/collection.ts';
import { decodeDagCbor } from '../../../src/atproto/dag-cbor.ts';
import { ByteString, type DagMap, type DagValue, dagJson } from '../../../src/atproto/dag-value.ts';
import { decodeFirehoseMessage, type FirehoseEvent } from '../../../src/atproto/firehose-event.ts';
import { decodeLabelMessage } from '../../../src/atproto/label-event.ts';
import { checkRecord } from '../../../src/atproto/record-rules.ts';
import { openRepoCar } from '../../../src/atproto/repo-car.ts';
import { checkByFormat } from '../../../src/atproto/string-format.ts';
import { doubleBlock, encodeDagCbor } from '../../support/dag-cbor.ts';
import { authorDid, commitFrame, create, likeRecord, postRecord, SignedRepo } from '../../unit/atproto/signed-repo.ts';

/** Runs a synchronous property; the message of a failure has its seed. */
const assertHolds: <Values>(property: fc.IProperty<Values>, parameters?: fc.Parameters<Values>) => void = fc.assert;

const cids = fc.uint8Array({ minLength: 0, maxLength: 8 }).map((block) => cidOfBlock(block));
const keys = fc.string({ maxLength: 40, unit: 'grapheme' }).filter((key) => key !== '__proto__');
const { value: values } = fc.letrec<{ value: DagValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme' }),
    cids,
    fc.uint8Array({ maxLength: 80 }).map((bytes) => new ByteString(bytes)),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

/** Changes, cuts or lengthens bytes, as a broken or malicious sender would. */
const faults = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.constantFrom('set', 'cut', 'insert') }), {
  minLength: 1,
  maxLength: 4,
});

function withFaults(source: Uint8Array, list: readonly { at: number; byte: number; kind: string }[]): Buffer {
  let bytes = Buffer.from(source);
  for (const { at, byte, kind } of list) {
    const position = at % (bytes.length + 1);
    if (kind === 'cut') bytes = bytes.subarray(0, position);
    else if (kind === 'set' && position < bytes.length) bytes[position] = byte;
    else bytes = Buffer.concat([bytes.subarray(0, position), Buffer.from([byte]), bytes.subarray(position)]);
  }
  return bytes;
}

describe('DAG-CBOR', () => {
  it('decodes what it encoded, to the same bytes and the same JSON', () => {
    assertHolds(
      fc.property(values, (value) => {
        const bytes = encodeDagCbor(value);
        const read = decodeDagCbor(bytes);
        if (!read.ok) throw new Error(read.reason);
        expect(encodeDagCbor(read.value)).toEqual(bytes);
        // Keys are in block order, so JSON is compared as values.
        expect(JSON.parse(dagJson(read.value))).toEqual(JSON.parse(dagJson(value)));
      }),
    );
  });

  it('decodes doubles', () => {
    assertHolds(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decodeDagCbor(doubleBlock(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it('accepts only the canonical encoding of a value', () => {
    let accepted = 0;
    assertHolds(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.tuple(values, faults)), (source) => {
        const bytes = source instanceof Uint8Array ? source : withFaults(encodeDagCbor(source[0]), source[1]);
        const read = decodeDagCbor(bytes);
        if (!read.ok) return;
        accepted++;
        // A whole number may also be a float, which the data model does not distinguish.
        if (!bytes.includes(0xfb)) expect(encodeDagCbor(read.value)).toEqual(Buffer.from(bytes));
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});

describe('CIDs', () => {
  it('have one text each, which decodes to the same bytes', () => {
    assertHolds(
      fc.property(fc.uint8Array(), fc.constantFrom(cidCodec.raw, cidCodec.dagCbor), (block, codec) => {
        const cid = cidOfBlock(block, codec);
        expect(Buffer.from(parseCid(cid.text)!.bytes)).toEqual(Buffer.from(cid.bytes));
        expect(parseCid(cid.text)!.text).toBe(cid.text);
      }),
    );
  });

  it('are never read from a non-canonical text', () => {
    const digit = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567');
    assertHolds(
      fc.property(cids, fc.nat(57), digit, (cid, at, character) => {
        const text = `${cid.text.slice(0, at + 1)}${character}${cid.text.slice(at + 2)}`;
        const read = parseCid(text);
        if (read !== undefined) expect(read.text).toBe(text);
      }),
    );
  });
});

describe('messages of the firehose', () => {
  let frames: Buffer[];
  let car: Buffer;

  beforeAll(async () => {
    const repo = await SignedRepo.start(authorDid, [create('app.bsky.feed.like', 'a', likeRecord())]);
    frames = [
      commitFrame(await repo.commit(1, create('app.bsky.feed.post', 'b', postRecord()))),
      commitFrame(
        await repo.commit(2, create('app.bsky.feed.like', 'c', likeRecord()), create('a.b.c', 'd', likeRecord())),
      ),
    ];
    car = await repo.car();
  });

  function isWhole(event: FirehoseEvent): boolean {
    if (event.kind !== 'commit') return true;
    return event.ops.every(({ op, value }) => {
      checkRecord(event.did, op.collection, op.rkey, value);
      return op.action === 'delete' || cidOfBlock(encodeDagCbor(value)).text === new Cid(op.cid).text;
    });
  }

  it('are refused with a reason or match their CIDs, whatever is broken in them', () => {
    const seen = new Set<string>();
    assertHolds(
      fc.property(fc.nat(1), faults, (index, list) => {
        const read = decodeFirehoseMessage(withFaults(frames[index]!, list));
        seen.add(read.ok ? read.value.kind : read.reason);
        if (read.ok) expect(isWhole(read.value)).toBe(true);
      }),
      { numRuns: 3000 },
    );
    expect(seen.has('commit')).toBe(true);
    expect(seen.size).toBeGreaterThan(5);
  });

  it('are refused at every shorter length', () => {
    for (const frame of frames) {
      for (let length = 0; length < frame.length; length++) {
        expect(decodeFirehoseMessage(frame.subarray(0, length)).ok).toBe(false);
      }
    }
  });

  it('may be any bytes or any values', () => {
    const bodies = fc.record({
      op: fc.constantFrom<DagValue>(1, -1, 2),
      type: fc.constantFrom('#commit', '#sync', '#account', '#identity', '#info', '#labels', 'x'),
    });
    assertHolds(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.tuple(bodies, values)), (source) => {
        const bytes =
          source instanceof Uint8Array
            ? source
            : Buffer.concat([encodeDagCbor({ op: source[0].op, t: source[0].type }), encodeDagCbor(source[1])]);
        expect(typeof decodeFirehoseMessage(bytes).ok).toBe('boolean');
        expect(typeof decodeLabelMessage(bytes).ok).toBe('boolean');
      }),
      { numRuns: 3000 },
    );
  });

  it('and repos are refused or walked to an end, whatever is broken in them', () => {
    let walked = 0;
    assertHolds(
      fc.property(faults, (list) => {
        const opened = openRepoCar(withFaults(car, list));
        if (!opened.ok) return;
        for (const step of opened.value.chunks(1)) if (step.ok) walked += step.value.ops.length;
      }),
      { numRuns: 2000 },
    );
    expect(walked).toBeGreaterThan(0);
    for (let length = 0; length < car.length; length++) {
      const opened = openRepoCar(car.subarray(0, length));
      if (opened.ok) expect([...opened.value.chunks(10)].length).toBeGreaterThan(0);
    }
  });

  it('and CARs of many blocks return every block', () => {
    assertHolds(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.nat(), (count, salt) => {
        const blocks = Array.from({ length: count }, (_unused, index) => encodeDagCbor([salt, index]));
        const sections = blocks.map((block) => Buffer.concat([cidOfBlock(block).bytes, block]));
        const header = encodeDagCbor({ version: 1, roots: [cidOfBlock(Buffer.from('root'))] });
        const bytes = Buffer.concat([header, ...sections].flatMap((part) => [Buffer.from([part.length]), part]));
        const read = readCar(bytes, { bytes: 1e6, blockBytes: 100, blocks: 200 });
        if (!read.ok) throw new Error(read.reason);
        expect(read.value.count).toBe(count);
        for (const block of blocks) {
          const index = read.value.find(cidOfBlock(block));
          expect(bytes.subarray(read.value.startOf(index), read.value.endOf(index))).toEqual(block);
          expect(read.value.isIntact(index)).toBe(true);
        }
        expect(read.value.find(cidOfBlock(Buffer.from('absent')))).toBe(-1);
      }),
      { numRuns: 30 },
    );
  });
});

describe('checks', () => {
  it('answer for any record of any collection', () => {
    const records = fc.dictionary(
      fc.constantFrom(
        'text',
        'subject',
        'createdAt',
        'embed',
        'facets',
        'reply',
        'list',
        'post',
        'avatar',
        'labels',
        'x',
      ),
      fc.oneof(values, fc.constant('2024-05-06T07:08:09.123Z'), fc.constant(authorDid)),
    );
    assertHolds(
      fc.property(fc.constantFrom(...indexedCollections), records, fc.string(), (nsid, record, rkey) => {
        const value = { ...record, $type: nsid } as DagMap;
        expect(typeof checkRecord(authorDid, nsid, rkey, value).ok).toBe('boolean');
        expect(typeof checkRecord(authorDid, nsid, 'self', value).ok).toBe('boolean');
      }),
      { numRuns: 2000 },
    );
  });

  it('of formats answer for any text, however long and repetitive', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 100 }),
      fc
        .tuple(fc.constantFrom('a', '-', '.', 'a-', 'a.', ':', '%', '1', 'en-'), fc.constantFrom(10, 5000))
        .map(([part, count]) => part.repeat(count)),
    );
    assertHolds(
      fc.property(
        fc.constantFrom('', 'did:web:', 'at://', 'at://did:plc:', 'https://', 'en-', 'b'),
        texts,
        (start, rest) => {
          for (const check of Object.values(checkByFormat)) expect(typeof check(start + rest)).toBe('boolean');
        },
      ),
    );
  });
});
