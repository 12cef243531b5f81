/**
 * Records that strangers write to stop a data plane: most are valid by their lexicon.
 *
 * Owns: their shapes. They speak of good accounts, but never of a record that one of those has, so
 * that what good accounts count depends on good accounts alone.
 */
import { nsid } from '../../atproto/collection.ts';
import type { DagMap, DagValue } from '../../atproto/dag-value.ts';
import { isDagMap } from '../../atproto/dag-value.ts';
import type { SeededRandom } from '../../base/seeded-random.ts';

export type HostileRecord = { readonly collection: string; readonly rkey: string; readonly value: DagMap };

/** What a record may speak of. */
export type HostileContext = {
  readonly random: SeededRandom;
  /** Returns the DID of a good account. */
  readonly goodDid: () => string;
  readonly createdAt: string;
  readonly rkey: string;
};

const anyCid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
/** Legal for record keys are 512 ASCII characters: these take three bytes each. */
const longRkey = '\u8a9e'.repeat(512);
const longestRkey = '~'.repeat(512);
const longDid = `did:other:${'x'.repeat(246)}`;
const fatLengths = [2_000, 60_000, 150_000, 500_000] as const;
const integerCounts = [5_000, 60_000] as const;
const nestDepth = 30;
const mentionCount = 300;
const pieces = ['\0', '"', '\u2028', '\u{1f469}\u200d\u{1f467}', 'e\u0301', '\u{10ffff}'] as const;

function chosen<Item>(random: SeededRandom, items: readonly Item[]): Item {
  return items[random.below(items.length)]!;
}

function postWith(context: HostileContext, further: DagMap): DagMap {
  return { $type: nsid.post, text: 'hostile', createdAt: context.createdAt, ...further };
}

function nested(depth: number): DagValue {
  let value: DagValue = 0;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

type Shape = (context: HostileContext) => { readonly collection: string; readonly value: DagMap };

const post =
  (further: (context: HostileContext) => DagMap): Shape =>
  (context) => ({ collection: nsid.post, value: postWith(context, further(context)) });

function refTo(did: string, rkey: string): DagMap {
  return { uri: `at://${did}/${nsid.post}/${rkey}`, cid: anyCid };
}

/** One function each; they are drawn evenly. */
const shapes: readonly Shape[] = [
  // The media is an open union: the lexicon does not look into what it does not name.
  post(({ random, goodDid }) => ({
    embed: {
      $type: 'app.bsky.embed.recordWithMedia',
      record: { record: refTo(goodDid(), longestRkey) },
      media: { $type: 'app.bsky.embed.record', record: refTo(goodDid(), chosen(random, [longRkey, 'a/b', '..', ''])) },
    },
  })),
  post(({ random }) => ({ zzz: chosen(random, pieces).repeat(chosen(random, fatLengths) / 8) })),
  post(({ random }) => ({ zzz: new Array<DagValue>(chosen(random, integerCounts)).fill(-1) })),
  post(() => ({ zzz: nested(nestDepth) })),
  post(({ random }) => ({ text: chosen(random, pieces).repeat(random.below(300)) })),
  post(({ goodDid }) => ({
    facets: Array.from({ length: mentionCount }, (_unused, index) => ({
      index: { byteStart: 0, byteEnd: 1 },
      features: [{ $type: 'app.bsky.richtext.facet#mention', did: [goodDid(), 'did:plc:short', longDid][index % 3]! }],
    })),
  })),
  post(({ goodDid }) => ({ reply: { root: refTo(goodDid(), longestRkey), parent: refTo(longDid, longestRkey) } })),
  ({ createdAt, goodDid }) => ({
    collection: nsid.like,
    value: { $type: nsid.like, subject: refTo(goodDid(), longestRkey), createdAt },
  }),
  ({ createdAt }) => ({ collection: nsid.follow, value: { $type: nsid.follow, subject: longDid, createdAt } }),
  ({ createdAt, goodDid }) => ({
    collection: nsid.listItem,
    value: { $type: nsid.listItem, subject: goodDid(), list: `at://${goodDid()}/${nsid.list}/a`, createdAt },
  }),
  ({ createdAt, goodDid }) => ({
    collection: nsid.threadGate,
    value: { $type: nsid.threadGate, post: `at://${goodDid()}/${nsid.post}/a`, allow: [], createdAt },
  }),
  ({ random }) => ({
    collection: nsid.profile,
    value: { $type: nsid.profile, displayName: chosen(random, pieces), zzz: '\0'.repeat(chosen(random, fatLengths)) },
  }),
  ({ random }) => ({
    collection: nsid.repost,
    value: { $type: nsid.repost, subject: chosen<DagValue>(random, [null, 'x', [], {}]), createdAt: 'yesterday' },
  }),
];

/** Draws one record. */
export function drawHostileRecord(context: HostileContext): HostileRecord {
  const { collection, value } = chosen(context.random, shapes)(context);
  const rkey = collection === nsid.profile ? 'self' : context.rkey;
  return { collection, rkey, value };
}

/** Orders the keys of maps as DAG-CBOR wants them: shorter first, then by bytes. */
export function canonicalOrder(value: DagValue): DagValue {
  if (Array.isArray(value)) return value.map(canonicalOrder);
  if (!isDagMap(value)) return value;
  const keys = Object.keys(value).sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  return Object.fromEntries(keys.map((key) => [key, canonicalOrder(value[key]!)]));
}
