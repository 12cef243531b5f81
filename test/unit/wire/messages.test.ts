/** Binary messages of routers and nodes survive encoding; malformed ones fail only the call. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { probeBit } from '../../../src/atproto/edge-kind.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import type * as edges from '../../../src/wire/edge-messages.ts';
import * as feeds from '../../../src/wire/feed-messages.ts';
import { decodeFollowsOf, encodeFollowsOf } from '../../../src/wire/follows-messages.ts';
import { decodeTexts, encodeTexts, messageVersion } from '../../../src/wire/message.ts';
import {
  decodeOpThreadsAnswer,
  decodeThread,
  encodeOpThreadsAnswer,
  encodeThread,
} from '../../../src/wire/thread-messages.ts';
import * as messages from '../../support/wire-messages.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const texts = fc.array(text, { maxLength: 20 });
const index = fc.nat({ max: 1_000_000 });
const timeMs = fc.nat({ max: 2 ** 47 });
const position = fc.record({ sortMs: timeMs, itemUri: text });

const probes = fc.array(text, { minLength: 1, maxLength: 10 }).chain((dids) =>
  fc.record({
    dids: fc.constant(dids),
    probes: fc.array(
      fc.record({
        owner: fc.nat({ max: dids.length - 1 }),
        kinds: fc.integer({ min: 1, max: 31 }),
        subject: fc.nat({ max: dids.length - 1 }),
      }),
    ),
  }),
);

/** What probes found, in the order of the probes. */
const foundEdges = fc
  .array(fc.record({ step: fc.integer({ min: 1, max: 300 }), kinds: fc.integer({ min: 1, max: 7 }), rkey: text }))
  .map((steps) => {
    let probe = -1;
    return steps.map(({ step, kinds, rkey }) => {
      probe += step;
      const bits = [1, 2, 4].filter((bit) => (kinds & bit) !== 0);
      return { probe, rkeys: Object.fromEntries(bits.map((bit) => [bit, `${rkey}${bit}`])) };
    });
  });

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
  codec('texts', texts, encodeTexts, decodeTexts),
  codec('probeEdges', probes, messages.encodeProbeEdges, messages.decodeProbeEdges),
  codec('probeEdges answer', foundEdges, messages.encodeProbesAnswer, messages.decodeProbesAnswer),
  codec('followsOf', fc.record({ did: text, after: text, limit: index }), encodeFollowsOf, decodeFollowsOf),
  codec(
    'followsOf answer',
    fc.record({ dids: texts, next: text }),
    messages.encodeFollowsOfAnswer,
    messages.decodeFollowsOfAnswer,
  ),
  codec(
    'followersAmong',
    fc.record({ subjects: texts, candidates: texts }),
    messages.encodeFollowersAmong,
    messages.decodeFollowersAmong,
  ),
  codec('followersAmong answer', fc.array(texts), messages.encodeFollowersAmongAnswer, (bytes) =>
    messages.decodeFollowersAmongAnswer(bytes).map((dids) => [...dids]),
  ),
  codec(
    'newestByAuthors',
    fc.record({ before: fc.option(position), limit: index, authors: texts }),
    messages.encodeNewestByAuthors,
    messages.decodeNewestByAuthors,
  ),
  codec('newestByAuthors answer', fc.array(feedItem), messages.encodeNewestByAuthorsAnswer, (bytes) =>
    messages.decodeNewestByAuthorsAnswer(bytes),
  ),
  codec(
    'timeline',
    fc.record({ before: fc.option(position), limit: index, did: text }),
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
    messages.encodeTimelineAnswer,
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
  codec('opThreads answer', fc.array(texts), encodeOpThreadsAnswer, (bytes) =>
    decodeOpThreadsAnswer(bytes).map((uris) => [...uris]),
  ),
  codec('thread', fc.record({ root: text, anchor: text, above: index, below: index }), encodeThread, decodeThread),
];

describe.each(codecs)('$name', ({ check, decode }) => {
  test('decode(encode(x)) = x', () => {
    fc.assert(check);
  });

  test('random bytes are a message or an error of the call', () => {
    const anyBytes = fc
      .uint8Array({ maxLength: 100 })
      .map((bytes) => Buffer.concat([Buffer.from([messageVersion]), bytes]));
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

  test('another version is reported as such', () => {
    expect(() => decode(Buffer.from([messageVersion + 1, 0, 0]))).toThrow(
      /version 3 is not 2: routers and nodes differ/,
    );
  });
});

test('a probe names only listed DIDs and known kinds', () => {
  const probe = { owner: 0, kinds: probeBit.follow, subject: 0 };
  const decode = (changed: Partial<edges.EdgeProbe>) =>
    messages.decodeProbeEdges(messages.encodeProbeEdges({ dids: ['a'], probes: [{ ...probe, ...changed }] }));
  expect(decode({}).probes).toEqual([probe]);
  expect(() => decode({ subject: 1 })).toThrow(/not listed/);
  expect(() => decode({ owner: 1 })).toThrow(/not listed/);
  expect(() => decode({ kinds: 0 })).toThrow(/unknown/);
  expect(() => decode({ kinds: 32 })).toThrow(/unknown/);
});

test('a malformed feed item is an error of the call', () => {
  const bytes = messages.encodeNewestByAuthorsAnswer([{ sortMs: 1, itemUri: 'a', postUri: 'a' }]);
  expect(messages.decodeNewestByAuthorsAnswer(bytes)).toHaveLength(1);
  bytes[bytes.length - 2] = 200;
  expect(() => messages.decodeNewestByAuthorsAnswer(bytes)).toThrow(expect.objectContaining({ code: 'Internal' }));
});

test('a list that claims more items than it has bytes is refused before memory is allocated', () => {
  expect(() => decodeTexts(Buffer.from([messageVersion, 255, 255, 63, 0]))).toThrow(/longer than its message/);
});
