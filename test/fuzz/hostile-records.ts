/**
 * Records drawn from the schema of every indexed collection: valid ones, ones with the longest and
 * emptiest values, with foreign members of unions, further fields, and values of other kinds.
 */
import fc from 'fast-check';
import { cidCodec, cidOfBlock } from '../../src/atproto/cid.ts';
import { indexedCollections, nsid } from '../../src/atproto/collection.ts';
import { ByteString, type DagMap, type DagValue } from '../../src/atproto/dag-value.ts';
import { lexiconDefinitions } from '../../src/atproto/lexicon/generated/schema.ts';
import type { LexiconNode, LexiconText } from '../../src/atproto/lexicon/lexicon-definition.ts';
import type { StringFormat } from '../../src/atproto/string-format.ts';
import { tidOf } from '../../src/atproto/tid.ts';
import { anyValues, edgeIntegers, fatTexts, hostileTexts } from './hostile-values.ts';

/** A record with its path in the repo of `did`. */
export type HostileRecord = { readonly collection: string; readonly rkey: string; readonly value: DagMap };

/** Accounts that only ever write valid records; strangers speak of them too. */
export const goodDids: readonly string[] = ['did:plc:ewvi7nxzyoun6zhxrhs64oiz', 'did:plc:z72i7hdynmk6r22z27h6tvur'];

/** Strangers, of every kind of DID that keys take, up to the longest; no host but loopback. */
export const keyableDids: readonly string[] = [
  'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
  'did:plc:77777777777777777777777z',
  'did:web:127.0.0.1%3A9',
  `did:web:${'a'.repeat(60)}:${'b'.repeat(60)}:${'c'.repeat(60)}`,
  `did:other:${'x'.repeat(246)}`,
];

/** Whom records speak of: also DIDs that no key takes, and texts that are none. */
export const anyDids: readonly string[] = [
  ...goodDids,
  ...keyableDids,
  `did:other:${'x'.repeat(247)}`,
  `did:other:${'%41'.repeat(600)}`,
  'did:plc:short',
];

/** Keys of records, from the emptiest to the longest that the protocol allows. */
export const rkeys: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(0, 1, 1_700_000_000_000_000, 1_735_689_600_000_000, 2 ** 53 - 1), fc.nat(1023))
      .map(([micros, clock]) => tidOf(micros, clock)),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom('self', 'a', '-', '_', ':', '~', '1', '3jzfcijpj2z2a', 'zzzzzzzzzzzzz', 'jzzzzzzzzzzzz'),
  },
  { weight: 1, arbitrary: fc.constantFrom('a'.repeat(512), '~'.repeat(511), 'a'.repeat(14)) },
);

const badRkeys = fc.constantFrom(
  '',
  '.',
  '..',
  'a'.repeat(513),
  'é',
  '語'.repeat(512),
  'a/b',
  'a#b',
  'a?b',
  '%00',
  'a b',
);
const collections = fc.oneof(
  fc.constantFrom<string>(...indexedCollections),
  fc.constantFrom('a.b.c', 'com.example.thing', `a.${'b'.repeat(63)}.${'c'.repeat(63)}.d`),
);

const dids = fc.constantFrom(...anyDids);

export const uris: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(dids, collections, rkeys).map(([did, collection, rkey]) => `at://${did}/${collection}/${rkey}`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(dids, collections, badRkeys)
      .map(([did, collection, rkey]) => `at://${did}/${collection}/${rkey}`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'at://example.com/app.bsky.feed.post/self',
      'at://did:plc:ewvi7nxzyoun6zhxrhs64oiz',
      'at://',
      'at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/a#/x',
    ),
  },
);

const cidTexts = fc.constantFrom(
  cidOfBlock(Buffer.from('a')).text,
  cidOfBlock(Buffer.from('b'), cidCodec.raw).text,
  'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
  'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
);

const datetimes = fc.constantFrom(
  '2024-05-06T07:08:09.123Z',
  '2024-05-06T07:08:09Z',
  '0000-01-01T00:00:00.000Z',
  '0001-01-01T00:00:00+23:59',
  '1969-12-31T23:59:59.999Z',
  '1970-01-01T00:00:00.000Z',
  '2255-06-05T23:47:34.740Z',
  '2255-06-05T23:47:34.741Z',
  '9999-12-31T23:59:59.999Z',
  '2024-12-31T23:59:59.123456789012345678901234567890Z',
  '2024-02-29T00:00:00.000-12:00',
);

const textsByFormat: Readonly<Record<StringFormat, fc.Arbitrary<string>>> = {
  'at-identifier': dids,
  'at-uri': uris,
  cid: cidTexts,
  datetime: datetimes,
  did: dids,
  handle: fc.constantFrom(
    'a.example',
    `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(50)}.example`,
    'xn--ls8h.example',
  ),
  language: fc.constantFrom('en', 'en-GB', 'zh-Hant-TW-x-private', 'i-klingon'),
  nsid: collections,
  'record-key': rkeys,
  tid: rkeys,
  uri: fc.constantFrom(
    'https://example.com/',
    `https://example.com/${'a'.repeat(8_000)}`,
    'at://x',
    'x:y',
    `a:${'%00'.repeat(500)}`,
  ),
};

const letters = ['a', 'é', 'e\u0301', '\u{1f469}\u200d\u{1f467}', '\0', '\u{10ffff}'] as const;

/** The longest text of one letter that the limits allow, or one letter more. */
function longest({ maxLength = 2_000, maxGraphemes = 2_000 }: LexiconText, letter: string, extra: number): string {
  const count = Math.min(maxGraphemes, Math.floor(maxLength / Buffer.byteLength(letter)));
  return letter.repeat(count + extra);
}

function texts(node: LexiconText): fc.Arbitrary<string> {
  if (node.format !== undefined) return textsByFormat[node.format];
  const ends = fc
    .tuple(fc.constantFrom(...letters), fc.constantFrom(0, 0, 0, 1))
    .map(([letter, extra]) => longest(node, letter, extra));
  const short = fc.constantFrom('a'.repeat(Math.max(1, node.minLength ?? 1)), 'a'.repeat(node.minLength ?? 0));
  return fc.oneof({ weight: 4, arbitrary: short }, { weight: 1, arbitrary: ends });
}

function lengths(minLength: number, maxLength: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(minLength, minLength + 1, Math.min(2, maxLength)) },
    { weight: 1, arbitrary: fc.constantFrom(maxLength, maxLength + 1) },
  );
}

/** Where a schema names no greatest length. Units: items. */
const openLength = 150;

const definitionNames = Object.keys(lexiconDefinitions);

/** An object of a type that a union does not name: unknown, or known from elsewhere. */
const foreignMembers: fc.Arbitrary<DagValue> = fc.oneof(
  fc.tuple(hostileTexts, anyValues).map(([$type, inner]) => ({ $type, inner })),
  // Its lexicon is not checked in a union that does not name it, while rules may read it.
  fc
    .constantFrom(...definitionNames)
    .chain((name) =>
      fc.tuple(objects(name, 0.5), anyValues).map(([value, inner]) => ({ ...value, inner, $type: name })),
    ),
  fc.tuple(uris, cidTexts).map(([uri, cid]) => ({ $type: 'app.bsky.embed.record', record: { uri, cid } })),
  anyValues,
);

function kindOf(node: LexiconNode, wildness: number): fc.Arbitrary<DagValue> {
  switch (node.kind) {
    case 'string':
      return texts(node);
    case 'integer': {
      const { minimum = 0, maximum = 2 ** 53 - 1 } = node;
      return fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(minimum, maximum) },
        { weight: 1, arbitrary: edgeIntegers },
      );
    }
    case 'bytes':
      return fc
        .constantFrom(node.minLength ?? 0, 33, node.maxLength ?? 5_000)
        .map((length) => new ByteString(new Uint8Array(length)));
    case 'blob':
      return fc.record({
        $type: fc.constant('blob'),
        mimeType: fc.constantFrom(...(node.accept ?? ['a/b'])).map((type) => type.replace('*', 'x')),
        ref: fc.constantFrom(0, 1).map((byte) => cidOfBlock(Buffer.from([byte]), cidCodec.raw)),
        size: fc.constantFrom(0, 1, node.maxSize ?? 2 ** 53 - 1),
      });
    case 'boolean':
      return fc.boolean();
    case 'array': {
      const items = draw(node.items, wildness);
      const { minLength = 0, maxLength = openLength } = node;
      // Long lists repeat few different items, which keeps drawing them cheap.
      return fc
        .tuple(fc.array(items, { minLength: 1, maxLength: 3 }), lengths(minLength, maxLength))
        .map(([few, count]) => Array.from({ length: count }, (_unused, index) => few[index % few.length]!));
    }
    case 'named':
      return objects(node.name, wildness);
    case 'union': {
      const members = node.names.map((name) => objects(name, wildness).map((value) => ({ ...value, $type: name })));
      return fc.oneof(...members.map((arbitrary) => ({ weight: 3, arbitrary })), {
        weight: 2,
        arbitrary: foreignMembers,
      });
    }
  }
}

/** Mostly what the schema asks for; with a chance that grows with `wildness`, anything. */
function draw(node: LexiconNode, wildness: number): fc.Arbitrary<DagValue> {
  const kind = kindOf(node, wildness);
  return wildness === 0
    ? kind
    : fc.oneof({ weight: 40, arbitrary: kind }, { weight: Math.ceil(wildness), arbitrary: anyValues });
}

const objectsByName = new Map<string, fc.Arbitrary<DagMap>>();

/** Objects of a definition, with or without its optional fields. */
function objects(name: string, wildness: number): fc.Arbitrary<DagMap> {
  const key = `${name} ${wildness}`;
  let arbitrary = objectsByName.get(key);
  if (arbitrary === undefined) {
    const { fields } = lexiconDefinitions[name]!;
    const entries = Object.entries(fields).map(([field, node]) => {
      const value = draw(node, wildness);
      const isLeftOut = node.isOptional === true ? 2 : wildness > 0 ? 0.05 : 0;
      return [
        field,
        isLeftOut === 0 ? value : fc.option(value, { nil: undefined, freq: node.isOptional === true ? 1 : 30 }),
      ] as const;
    });
    arbitrary = fc.record(Object.fromEntries(entries)).map((drawn) => {
      const value: DagMap = {};
      for (const [field, inner] of Object.entries(drawn)) if (inner !== undefined) value[field] = inner;
      return value;
    });
    objectsByName.set(key, arbitrary);
  }
  return arbitrary;
}

/** Fields that no lexicon names: those pass, whatever they hold. */
const furtherFields: fc.Arbitrary<DagMap> = fc.oneof(
  { weight: 10, arbitrary: fc.constant({}) },
  { weight: 3, arbitrary: anyValues.map((inner) => ({ zzz: inner })) },
  { weight: 1, arbitrary: fatTexts.map((fat) => ({ zzz: fat })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(3_000, 60_000).map((count) => ({ zzz: new Array<DagValue>(count).fill(-1) })),
  },
);

const selfCollections: ReadonlySet<string> = new Set([
  nsid.profile,
  nsid.status,
  nsid.labeler,
  nsid.notificationDeclaration,
  nsid.chatDeclaration,
  nsid.germDeclaration,
]);

function recordOf(collection: string, wildness: number): fc.Arbitrary<HostileRecord> {
  const keys = selfCollections.has(collection)
    ? fc.oneof({ weight: 9, arbitrary: fc.constant('self') }, { weight: 1, arbitrary: rkeys })
    : rkeys;
  return fc.tuple(objects(collection, wildness), furtherFields, keys).map(([value, further, rkey]) => ({
    collection,
    rkey,
    value: { ...value, ...further, $type: collection },
  }));
}

/** Few posts that all speak of each other: replies that move, quotes and gates that come and go. */
const meetingRkeys = fc.constantFrom('3jzfcijpj2z2a', 'p0', 'p1', 'p2', 'p3', '~'.repeat(512));
const meetingRefs = fc
  .tuple(fc.constantFrom(...goodDids, ...keyableDids), meetingRkeys)
  .map(([did, rkey]) => ({ uri: `at://${did}/${nsid.post}/${rkey}`, cid: cidOfBlock(Buffer.from('a')).text }));
const meetingMentions = fc.array(fc.constantFrom(...goodDids, ...keyableDids), { maxLength: 3 }).map((mentioned) =>
  mentioned.map((did) => ({
    index: { byteStart: 0, byteEnd: 1 },
    features: [{ $type: 'app.bsky.richtext.facet#mention', did }],
  })),
);

const meetingRecords: fc.Arbitrary<HostileRecord> = fc
  .record({
    kind: fc.constantFrom('reply', 'reply', 'reply', 'quote', 'post', 'like', 'repost', 'gate'),
    rkey: meetingRkeys,
    root: meetingRefs,
    parent: meetingRefs,
    facets: meetingMentions,
    createdAt: datetimes,
  })
  .map(({ kind, rkey, root, parent, facets, createdAt }) => {
    const post = { $type: nsid.post, text: 'x', facets, createdAt };
    switch (kind) {
      case 'reply':
        return { collection: nsid.post, rkey, value: { ...post, reply: { root, parent } } };
      case 'quote':
        return {
          collection: nsid.post,
          rkey,
          value: { ...post, embed: { $type: 'app.bsky.embed.record', record: root } },
        };
      case 'post':
        return { collection: nsid.post, rkey, value: post };
      case 'gate':
        return {
          collection: nsid.postGate,
          rkey,
          value: { $type: nsid.postGate, post: '', createdAt, detachedEmbeddingUris: [root.uri] },
        };
      default: {
        const collection = kind === 'like' ? nsid.like : nsid.repost;
        return { collection, rkey, value: { $type: collection, subject: root, createdAt } };
      }
    }
  });

/** Any record of any collection; posts come more often, since most rules are about them. */
export const hostileRecords: fc.Arbitrary<HostileRecord> = fc.oneof(
  { weight: 2, arbitrary: meetingRecords },
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.oneof(fc.constantFrom<string>(...indexedCollections), fc.constant<string>(nsid.post)),
        fc.constantFrom(0, 0, 1, 4),
      )
      .chain(([collection, wildness]) => recordOf(collection, wildness)),
  },
);

/** The same record in the repo of `did`: what must be its own says so. */
export function ownedBy(did: string, { collection, rkey, value }: HostileRecord): HostileRecord {
  if (collection === nsid.threadGate || collection === nsid.postGate) {
    return { collection, rkey, value: { ...value, post: `at://${did}/app.bsky.feed.post/${rkey}` } };
  }
  if (collection === nsid.listItem && typeof value['list'] === 'string') {
    return { collection, rkey, value: { ...value, list: value['list'].replace(/^at:\/\/[^/]*/, `at://${did}`) } };
  }
  return { collection, rkey, value };
}
