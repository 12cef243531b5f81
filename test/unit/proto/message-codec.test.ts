/** Messages survive encoding, as protobuf and as JSON, and malformed ones are refused by name. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonDepthMax } from '../../../src/base/bounded-json.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../../src/proto/codec.ts';
import { FieldScanner } from '../../../src/proto/fields.ts';
import { fieldNumber, fieldsByMessage, type MessageName } from '../../../src/proto/generated/bsky-service.ts';
import { messageFromJson, messageToJson } from '../../../src/proto/json.ts';
import { fieldsMax, nestingDepthMax } from '../../../src/proto/message-decoder.ts';
import type { FieldSchema } from '../../../src/proto/schema.ts';
import { planDefaults } from '../../../src/router/plan/plan.ts';

const names = Object.keys(fieldsByMessage) as MessageName[];

function anyValueOf([, , , type, , of]: FieldSchema, depth: number): fc.Arbitrary<unknown> {
  switch (type) {
    case 'string':
      return fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 300 }), fc.constant('é'.repeat(70)));
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    case 'bool':
      return fc.boolean();
    case 'int32':
      return fc.integer();
    case 'int64':
      return fc.maxSafeInteger();
    case 'double':
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value));
    case 'enum':
      return fc.integer({ min: 0, max: 9 });
    case 'timestamp':
      return fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
    case 'message':
      return anyMessageOf(of as MessageName, depth + 1);
    case 'map':
      return fc
        .uniqueArray(fc.tuple(fc.string(), anyMessageOf(of as MessageName, depth + 1)), {
          selector: ([key]) => key,
          maxLength: 3,
        })
        .map((pairs) => new Map(pairs));
  }
}

function anyFieldOf(field: FieldSchema, depth: number): fc.Arbitrary<unknown> {
  const one = anyValueOf(field, depth);
  if (field[4] === 'repeated') return fc.array(one, { maxLength: 3 });
  const mayBeAbsent = field[4] === 'optional' || field[3] === 'message' || field[3] === 'timestamp';
  return mayBeAbsent ? fc.option(one, { nil: undefined }) : one;
}

/** Any value of a message type, as the decoder returns it. */
function anyMessageOf(name: MessageName, depth = 0): fc.Arbitrary<object> {
  return fc.record(Object.fromEntries(fieldsByMessage[name].map((field) => [field[2], anyFieldOf(field, depth)])));
}

const anyMessage = fc.constantFrom(...names).chain((name) => anyMessageOf(name).map((value) => ({ name, value })));

function problemOf(run: () => unknown): DataPlaneError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof DataPlaneError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

describe('messages', () => {
  test('the schema has every method and message of the service', () => {
    expect(methodByName.size).toBe(117);
    expect(names).toHaveLength(275);
  });

  test('decode(encode(x)) = x for every message type', () => {
    fc.assert(
      fc.property(anyMessage, ({ name, value }) => {
        expect(decodeMessage(name, encodeMessage(name, value as never))).toEqual(value);
      }),
      { numRuns: 600 },
    );
  });

  test('JSON holds the same values as the bytes', () => {
    fc.assert(
      fc.property(anyMessage, ({ name, value }) => {
        const bytes = encodeMessage(name, value as never);
        // A lone surrogate has no UTF-8, so the bytes are compared after one round trip.
        const once = encodeMessage(name, decodeMessage(name, bytes) as never);
        const text = messageToJson(name, decodeMessage(name, once) as never);
        // Maps have no order, and JSON objects put keys that are numbers first.
        const back = messageFromJson(name, text);
        expect(back).toHaveLength(once.length);
        expect(decodeMessage(name, back)).toEqual(decodeMessage(name, once));
      }),
      { numRuns: 300 },
    );
  });

  test('absent fields have their proto3 defaults', () => {
    expect(decodeMessage('Record', Buffer.alloc(0))).toEqual({
      record: Buffer.alloc(0),
      cid: '',
      indexedAt: undefined,
      takenDown: false,
      createdAt: undefined,
      sortedAt: undefined,
      takedownRef: '',
      tags: [],
    });
    expect(encodeMessage('Record', { cid: '', takenDown: false, tags: [] })).toHaveLength(0);
  });

  test('decoding skips unknown fields', () => {
    const known = encodeMessage('GetLatestRevResponse', { rev: 'abc' });
    const unknown = Buffer.from([0x78, 5, 0x7a, 2, 1, 2, 0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(decodeMessage('GetLatestRevResponse', Buffer.concat([unknown, known, unknown])).rev).toBe('abc');
  });

  test('repeated numbers are read packed and unpacked', () => {
    const unpacked = Buffer.from([8, 1, 8, 2, 10, 2, 3, 4]);
    expect(decodeMessage('GetInteractionCountsResponse', unpacked).likes).toEqual([1, 2, 3, 4]);
  });
});

test('field numbers by name are those of the schema', () => {
  const numbersOf = (name: MessageName): [string, number][] =>
    fieldsByMessage[name].map(([no, , local]) => [local, no]);
  const withFields = names.filter((name) => fieldsByMessage[name].length > 0);
  expect(fieldNumber).toEqual(
    Object.fromEntries(withFields.map((name) => [name, Object.fromEntries(numbersOf(name))])),
  );
});

describe('malformed messages', () => {
  test('random bytes decode or are refused with InvalidArgument', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 200 }), (name, bytes) => {
        try {
          decodeMessage(name, bytes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(DataPlaneError);
          expect((thrown as DataPlaneError).code).toBe('InvalidArgument');
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('every truncated message is an error that names the message', () => {
    const whole = encodeMessage('GetActorsResponse', {
      actors: [
        {
          handle: 'a.test',
          profile: { cid: 'c', createdAt: 5 },
          verifiedBy: new Map([['did:plc:x', { rkey: 'r' }]]),
          tags: ['t'],
        },
      ],
    });
    for (let end = 1; end < whole.length; end++) {
      expect(problemOf(() => decodeMessage('GetActorsResponse', whole.subarray(0, end))).message).toMatch(
        /^(ActorInfo|GetActorsResponse)/,
      );
    }
  });

  test.each([
    ['a foreign wire type', 'GetLatestRevRequest', [8, 1], /GetLatestRevRequest\.actor_did: wire type 0/],
    ['field number 0', 'GetLatestRevRequest', [2, 0], /number 0/],
    ['a group', 'GetLatestRevRequest', [0x7b, 0x7c], /wire type 3/],
    [
      'an endless varint',
      'GetFollowsRequest',
      [16, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
      /GetFollowsRequest\.limit: a varint/,
    ],
    ['a length of 4 GB', 'GetLatestRevRequest', [10, 255, 255, 255, 255, 15], /actor_did: the bytes end early/],
    [
      'a timestamp beyond all dates',
      'Record',
      [0x22, 10, 8, 255, 255, 255, 255, 255, 255, 255, 15, 0],
      /Record\.indexed_at/,
    ],
  ] as const)('%s is refused by name', (_what, name, bytes, problem) => {
    const error = problemOf(() => decodeMessage(name, Buffer.from(bytes)));
    expect(error.code).toBe('InvalidArgument');
    expect(error.message).toMatch(problem);
  });

  /** Returns a message with one field too many, each of the bytes of `field`, behind `head`. */
  function manyFields(field: readonly number[], head: readonly number[] = []): Buffer {
    return Buffer.concat([Buffer.from(head), Buffer.alloc((fieldsMax + 1) * field.length, Buffer.from(field))]);
  }

  const [emptyText, unknownNumber] = [
    [10, 0],
    [0xf8, 0x01, 0],
  ];
  test.each([
    ['empty items', 'GetInteractionCountsRequest', manyFields(emptyText)],
    ['unknown fields', 'GetInteractionCountsRequest', manyFields(unknownNumber)],
    ['one field again and again', 'GetFollowsRequest', manyFields([0x10, 1])],
  ] as const)('a message of %s is read only up to a bound', (_what, name, bytes) => {
    expect(problemOf(() => decodeMessage(name, bytes))).toMatchObject({ code: 'ResourceExhausted' });
    const scanner = new FieldScanner(bytes, name);
    const scanAll = (): void => {
      while (scanner.next());
    };
    expect(problemOf(scanAll)).toMatchObject({ code: 'ResourceExhausted' });
  });

  test('what is in messages and packed lists counts too', () => {
    const inner = manyFields(unknownNumber);
    const length = [(inner.length & 127) | 128, ((inner.length >> 7) & 127) | 128, inner.length >> 14];
    const nested = Buffer.concat([Buffer.from([10, ...length]), inner]);
    expect(problemOf(() => decodeMessage('GetBlockExistenceRequest', nested)).code).toBe('ResourceExhausted');
    const items = Buffer.alloc(fieldsMax + 1);
    const packed = Buffer.concat([
      Buffer.from([10, (items.length & 127) | 128, ((items.length >> 7) & 127) | 128, items.length >> 14]),
      items,
    ]);
    expect(problemOf(() => decodeMessage('GetCountsForUsersResponse', packed)).code).toBe('ResourceExhausted');
    const scanner = new FieldScanner(nested, 'pairs');
    expect([scanner.next(), scanner.next()]).toEqual([true, false]);
    const pair = new FieldScanner(nested, 'pair', 0, 0);
    const scanHalves = (): void => {
      for (const [from, to] of [
        [scanner.start, scanner.start + 300_000],
        [scanner.start + 300_000, scanner.end],
      ] as const) {
        pair.reset(nested, from, to);
        while (pair.next());
      }
    };
    expect(problemOf(scanHalves).code).toBe('ResourceExhausted');
  });

  test.each([
    ['not JSON', '{', /GetFollowsRequest: the body is not JSON/],
    ['an unknown key', '{"actorDidd":"x"}', /actorDidd: GetFollowsRequest has no such field/],
    ['a wrong type', '{"limit":"many"}', /limit: must be a whole number/],
    ['too great a number', '{"limit":3000000000}', /within 32 bits/],
    ['an array', '[]', /must be an object/],
    ['a prototype', '{"__proto__":{"limit":1}}', /no such field/],
  ])('JSON with %s is refused by name', (_what, text, problem) => {
    expect(problemOf(() => messageFromJson('GetFollowsRequest', text)).message).toMatch(problem);
  });

  test('JSON accepts both spellings of a name, base64, times and enum names', () => {
    expect(
      decodeMessage('GetFollowsRequest', messageFromJson('GetFollowsRequest', '{"actor_did":"a","limit":"7"}')),
    ).toMatchObject({ actorDid: 'a', limit: 7 });
    const seen = messageFromJson('UpdateNotificationSeenRequest', '{"timestamp":"2024-02-03T04:05:06.789Z"}');
    expect(decodeMessage('UpdateNotificationSeenRequest', seen).timestamp).toBe(Date.UTC(2024, 1, 3, 4, 5, 6, 789));
    const feed = messageFromJson('GetAuthorFeedRequest', '{"feedType":"FEED_TYPE_POSTS_NO_REPLIES"}');
    expect(decodeMessage('GetAuthorFeedRequest', feed).feedType).toBe(2);
    expect(
      Buffer.from(decodeMessage('Record', messageFromJson('Record', '{"record":"bnVsbA=="}')).record).toString(),
    ).toBe('null');
  });

  test('JSON that nests deeper than messages do is refused', () => {
    const text = `{"actors":[{"profile":${'['.repeat(50)}${']'.repeat(50)}}]}`;
    expect(problemOf(() => messageFromJson('GetActorsResponse', text)).message).toMatch(/profile: must be an object/);
    expect(nestingDepthMax).toBeLessThan(jsonDepthMax);
  });

  test.each([
    ['InvalidArgument', 'levels', `{"dids":${'['.repeat(500_000)}${']'.repeat(500_000)}}`],
    ['ResourceExhausted', 'values', `{"dids":[${'"",'.repeat(300_000)}""]}`],
    ['ResourceExhausted', 'keys', `{${Array.from({ length: 100_000 }, (_unused, key) => `"${key}":1`).join(',')}}`],
  ])('JSON is %s for its many %s before it is parsed', (code, _what, text) => {
    expect(problemOf(() => messageFromJson('GetActorsRequest', text))).toMatchObject({
      code,
      message: expect.stringMatching(/^GetActorsRequest: the body (has more|is nested deeper) than /),
    });
  });

  test('JSON may ask for as many things as a request may', () => {
    const refs = Array.from({ length: planDefaults.itemsMax }, () => ({ uri: 'at://a', cid: '{[,:]}' }));
    const bytes = messageFromJson('GetInteractionCountsRequest', JSON.stringify({ refs }));
    expect(decodeMessage('GetInteractionCountsRequest', bytes).refs).toHaveLength(refs.length);
  });
});
