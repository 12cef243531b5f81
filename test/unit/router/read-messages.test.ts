import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import * as edges from '../../../src/wire/edge-messages.ts';
import * as feeds from '../../../src/wire/feed-messages.ts';
import * as calls from '../../../src/wire/read-messages.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const texts = fc.array(text, { maxLength: 20 });
const index = fc.nat({ max: 1_000_000 });
const timeMs = fc.nat({ max: 2 ** 47 });
const place = fc.record({ sortMs: timeMs, itemUri: text });

const probes = fc.array(text, { minLength: 1, maxLength: 10 }).chain((dids) =>
  fc.record({
    dids: fc.constant(dids),
    probes: fc.array(
      fc.record({
        owner: fc.nat({ max: dids.length - 1 }),
        kinds: fc.integer({ min: 1, max: edges.probeKind.follow | edges.probeKind.block }),
        subject: fc.nat({ max: dids.length - 1 }),
      }),
    ),
  }),
);

type Codec = {
  readonly name: string;
  readonly check: fc.IProperty<[unknown]>;
  readonly decode: (bytes: Uint8Array) => unknown;
};

function codec<Value>(
  name: string,
  value: fc.Arbitrary<Value>,
  encode: (value: Value) => Buffer,
  decode: (bytes: Uint8Array) => Value,
): Codec {
  const check = fc.property(value, (sent) => {
    expect(decode(encode(sent))).toEqual(sent);
  });
  return { name, check: check as unknown as fc.IProperty<[unknown]>, decode };
}

const feedItem = fc.record({
  sortMs: timeMs,
  itemUri: fc.string({ minLength: 1 }),
  postUri: fc.string({ minLength: 1 }),
});

const codecs: readonly Codec[] = [
  codec('texts', texts, calls.encodeTexts, calls.decodeTexts),
  codec('probeEdges', probes, edges.encodeProbeEdges, edges.decodeProbeEdges),
  codec('probeEdges answer', texts, edges.encodeProbesAnswer, edges.decodeProbesAnswer),
  codec('followsOf', fc.record({ did: text, after: text, limit: index }), calls.encodeFollowsOf, calls.decodeFollowsOf),
  codec(
    'followsOf answer',
    fc.record({ dids: texts, next: text }),
    calls.encodeFollowsOfAnswer,
    calls.decodeFollowsOfAnswer,
  ),
  codec(
    'followersAmong',
    fc.record({ subjects: texts, candidates: texts }),
    edges.encodeFollowersAmong,
    edges.decodeFollowersAmong,
  ),
  codec('followersAmong answer', fc.array(texts), edges.encodeFollowersAmongAnswer, (bytes) =>
    edges.decodeFollowersAmongAnswer(bytes).map((dids) => [...dids]),
  ),
  codec(
    'newestByAuthors',
    fc.record({ before: fc.option(place), limit: index, authors: texts }),
    feeds.encodeNewestByAuthors,
    feeds.decodeNewestByAuthors,
  ),
  codec('newestByAuthors answer', fc.array(feedItem), feeds.encodeNewestByAuthorsAnswer, (bytes) =>
    feeds.decodeNewestByAuthorsAnswer(bytes),
  ),
  codec(
    'timeline',
    fc.record({ before: fc.option(place), limit: index, did: text }),
    feeds.encodeTimeline,
    feeds.decodeTimeline,
  ),
  codec(
    'timeline answer',
    fc.record({
      own: fc.array(feedItem),
      followed: fc.array(feedItem),
      followCount: index,
      next: text,
      elsewhere: fc.array(
        fc.record({ slot: index, count: index, texts: fc.uint8Array().map((bytes) => Buffer.from(bytes)) }),
      ),
    }),
    feeds.encodeTimelineAnswer,
    (bytes) => {
      const answer = feeds.openTimelineAnswer(bytes);
      const itemsOf = (feed: feeds.RawFeed) =>
        Array.from({ length: feed.count }, (_unused, at) => feeds.feedItemAt(feed, at));
      return {
        ...answer,
        own: itemsOf(answer.own),
        followed: itemsOf(answer.followed),
        elsewhere: [...answer.elsewhere],
      };
    },
  ),
  codec('opThreads answer', fc.array(texts), calls.encodeOpThreadsAnswer, (bytes) =>
    calls.decodeOpThreadsAnswer(bytes).map((uris) => [...uris]),
  ),
  codec(
    'thread',
    fc.record({ root: text, anchor: text, above: index, below: index }),
    calls.encodeThread,
    calls.decodeThread,
  ),
  codec(
    'write',
    fc.record({ did: text, entry: fc.uint8Array().map((bytes): Uint8Array => Buffer.from(bytes)) }),
    calls.encodeWrite,
    (bytes): calls.WriteRequest => calls.decodeWrite(bytes),
  ),
];

describe.each(codecs)('$name', ({ check, decode }) => {
  test('decode(encode(x)) = x', () => {
    fc.assert(check);
  });

  test('any bytes are a message or the peer’s error', () => {
    const anyBytes = fc
      .uint8Array({ maxLength: 100 })
      .map((bytes) => Buffer.concat([Buffer.from([calls.messageVersion]), bytes]));
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        try {
          decode(bytes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(DataPlaneError);
          expect((thrown as DataPlaneError).code).toBe('Internal');
        }
      }),
    );
  });

  test('another version is told as such', () => {
    expect(() => decode(Buffer.from([calls.messageVersion + 1, 0, 0]))).toThrow(
      /version 3 is not 2: routers and nodes differ/,
    );
  });
});

test('a probe names only listed DIDs and known kinds', () => {
  const probe = { owner: 0, kinds: edges.probeKind.follow, subject: 0 };
  const decode = (changed: Partial<edges.EdgeProbe>) =>
    edges.decodeProbeEdges(edges.encodeProbeEdges({ dids: ['a'], probes: [{ ...probe, ...changed }] }));
  expect(decode({}).probes).toEqual([probe]);
  expect(() => decode({ subject: 1 })).toThrow(/not listed/);
  expect(() => decode({ owner: 1 })).toThrow(/not listed/);
  expect(() => decode({ kinds: 0 })).toThrow(/unknown/);
  expect(() => decode({ kinds: 4 })).toThrow(/unknown/);
});

test('a feed item that is no message is the peer’s error', () => {
  const bytes = feeds.encodeNewestByAuthorsAnswer([{ sortMs: 1, itemUri: 'a', postUri: 'a' }]);
  expect(feeds.decodeNewestByAuthorsAnswer(bytes)).toHaveLength(1);
  bytes[bytes.length - 2] = 200;
  expect(() => feeds.decodeNewestByAuthorsAnswer(bytes)).toThrow(expect.objectContaining({ code: 'Internal' }));
});

test('a list that claims more items than it has bytes is refused before any room is made', () => {
  expect(() => calls.decodeTexts(Buffer.from([calls.messageVersion, 255, 255, 63, 0]))).toThrow(
    /longer than its message/,
  );
});
