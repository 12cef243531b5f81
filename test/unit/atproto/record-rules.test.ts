/** Records are kept or refused as by the official data plane. */
import { describe, expect, it } from 'vitest';
import { parseCid } from '../../../src/atproto/cid.ts';
import type { Collection } from '../../../src/atproto/collection.ts';
import { ByteString, type DagMap, type DagValue } from '../../../src/atproto/dag-value.ts';
import { hasMoreGraphemes } from '../../../src/atproto/lexicon/check.ts';
import { checkRecord } from '../../../src/atproto/record-rules.ts';

const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';
const other = 'did:plc:z72i7hdynmk6r22z27h6tvur';
const tid = '3kbd6l2y3gk2z';
const cid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
const createdAt = '2024-05-06T07:08:09.123Z';
const post = { uri: `at://${other}/app.bsky.feed.post/${tid}`, cid };
const blob = {
  $type: 'blob',
  ref: parseCid('bafkreibjfgx2gprinfvicegelk5kosd6y2frmqpqzwqkg7usac74l3t2v4')!,
  mimeType: 'image/png',
  size: 1000,
};
const selfRkey = 'self';

/** One valid record of each indexed collection, with its key. */
const keptByNsid: Readonly<Record<Collection, { rkey: string; record: DagMap }>> = {
  'app.bsky.actor.profile': { rkey: selfRkey, record: { displayName: 'A', avatar: blob, unknownField: [null] } },
  'app.bsky.actor.status': {
    rkey: selfRkey,
    record: { status: 'app.bsky.actor.status#live', createdAt, durationMinutes: 5 },
  },
  'app.bsky.feed.post': {
    rkey: tid,
    record: { text: 'hi', createdAt, langs: ['en'], reply: { root: post, parent: post } },
  },
  'app.bsky.feed.like': { rkey: tid, record: { subject: post, createdAt, via: post } },
  'app.bsky.feed.repost': { rkey: tid, record: { subject: post, createdAt } },
  'app.bsky.feed.generator': { rkey: 'my-feed', record: { did: 'did:web:feed.test', displayName: 'F', createdAt } },
  'app.bsky.feed.threadgate': {
    rkey: tid,
    record: { post: `at://${did}/app.bsky.feed.post/${tid}`, createdAt, allow: [] },
  },
  'app.bsky.feed.postgate': { rkey: tid, record: { post: `at://${did}/app.bsky.feed.post/${tid}`, createdAt } },
  'app.bsky.graph.follow': { rkey: tid, record: { subject: other, createdAt } },
  'app.bsky.graph.block': { rkey: tid, record: { subject: other, createdAt } },
  'app.bsky.graph.list': { rkey: tid, record: { name: 'L', purpose: 'app.bsky.graph.defs#curatelist', createdAt } },
  'app.bsky.graph.listitem': {
    rkey: tid,
    record: { subject: other, list: `at://${did}/app.bsky.graph.list/${tid}`, createdAt },
  },
  'app.bsky.graph.listblock': { rkey: tid, record: { subject: `at://${other}/app.bsky.graph.list/${tid}`, createdAt } },
  'app.bsky.graph.starterpack': {
    rkey: tid,
    record: { name: 'S', list: `at://${did}/app.bsky.graph.list/${tid}`, createdAt },
  },
  'app.bsky.graph.verification': {
    rkey: tid,
    record: { subject: other, handle: 'a.test', displayName: 'A', createdAt },
  },
  'app.bsky.labeler.service': { rkey: selfRkey, record: { policies: { labelValues: ['spam'] }, createdAt } },
  'app.bsky.notification.declaration': { rkey: selfRkey, record: { allowSubscriptions: 'followers' } },
  'chat.bsky.actor.declaration': { rkey: selfRkey, record: { anything: true } },
  'com.germnetwork.declaration': {
    rkey: selfRkey,
    record: { version: '1.0.0', currentKey: new ByteString(Buffer.alloc(32)) },
  },
  'app.bsky.graph.referencelistoptout': {
    rkey: tid,
    record: { subject: `at://${other}/app.bsky.graph.list/${tid}`, createdAt },
  },
  'site.standard.document': {
    rkey: tid,
    record: { site: `at://${did}/site.standard.publication/${tid}`, title: 'D', publishedAt: createdAt },
  },
  'site.standard.publication': { rkey: tid, record: { url: 'https://example.com', name: 'P', icon: blob } },
};

type Nsid = keyof typeof keptByNsid;

function check(nsid: Nsid, fields: Record<string, DagValue | undefined> = {}, rkey = keptByNsid[nsid].rkey) {
  const record: Record<string, DagValue | undefined> = { $type: nsid, ...keptByNsid[nsid].record, ...fields };
  for (const field of Object.keys(record)) if (record[field] === undefined) delete record[field];
  return checkRecord(did, nsid, rkey, record as DagMap);
}

function postWith(embed: DagValue): ReturnType<typeof check> {
  return check('app.bsky.feed.post', { embed });
}

describe('checkRecord', () => {
  it.each(Object.keys(keptByNsid) as Nsid[])('keeps a valid record of %s', (nsid) => {
    expect(check(nsid)).toEqual({ ok: true });
  });

  it.each(Object.keys(keptByNsid).filter((nsid) => !nsid.startsWith('chat.')) as Nsid[])(
    'refuses a record of %s with another or no type, or that is no object',
    (nsid) => {
      expect(check(nsid, { $type: 'com.example.thing' })).toEqual({ ok: false, reason: 'lexicon-type-wrong' });
      expect(check(nsid, { $type: undefined })).toEqual({ ok: false, reason: 'lexicon-type-wrong' });
      for (const value of [null, 1, 'x', [], parseCid(cid)!, new ByteString(Buffer.alloc(1))]) {
        expect(checkRecord(did, nsid, keptByNsid[nsid].rkey, value)).toEqual({
          ok: false,
          reason: 'lexicon-not-an-object',
        });
      }
    },
  );

  it.each<[string, Nsid, Record<string, DagValue | undefined>]>([
    ['lexicon-field-missing', 'app.bsky.feed.like', { createdAt: undefined }],
    ['lexicon-field-missing', 'app.bsky.feed.like', { subject: { uri: post.uri } }],
    ['lexicon-not-an-object', 'app.bsky.feed.like', { subject: post.uri }],
    ['lexicon-type-wrong', 'app.bsky.feed.like', { subject: { ...post, $type: 'com.example.ref' } }],
    ['lexicon-format-bad', 'app.bsky.feed.like', { createdAt: 'now' }],
    ['lexicon-format-bad', 'app.bsky.feed.like', { subject: { uri: 'https://a.b', cid } }],
    ['lexicon-format-bad', 'app.bsky.feed.like', { subject: { uri: post.uri, cid: 'x' } }],
    ['lexicon-kind-wrong', 'app.bsky.feed.like', { subject: { uri: post.uri, cid: parseCid(cid)! } }],
    ['lexicon-kind-wrong', 'app.bsky.feed.post', { text: null }],
    ['lexicon-kind-wrong', 'app.bsky.feed.post', { langs: 'en' }],
    ['lexicon-too-long', 'app.bsky.feed.post', { langs: ['en', 'de', 'fr', 'es'] }],
    ['lexicon-format-bad', 'app.bsky.feed.post', { langs: ['english language'] }],
    ['lexicon-too-many-graphemes', 'app.bsky.feed.post', { text: 'x'.repeat(301) }],
    ['lexicon-too-many-graphemes', 'app.bsky.feed.post', { text: 'é'.repeat(301) }],
    ['lexicon-too-long', 'app.bsky.feed.post', { text: '👨‍👩‍👧'.repeat(200) }],
    ['lexicon-union-untyped', 'app.bsky.feed.post', { embed: {} }],
    ['lexicon-union-untyped', 'app.bsky.feed.post', { embed: { $type: 5 } }],
    ['lexicon-union-untyped', 'app.bsky.feed.post', { embed: null }],
    ['lexicon-kind-wrong', 'app.bsky.feed.post', { facets: [{ index: { byteStart: 0.5, byteEnd: 1 }, features: [] }] }],
    [
      'lexicon-out-of-range',
      'app.bsky.feed.post',
      { facets: [{ index: { byteStart: -1, byteEnd: 1 }, features: [] }] },
    ],
    ['lexicon-out-of-range', 'app.bsky.actor.status', { durationMinutes: 0 }],
    ['lexicon-too-short', 'app.bsky.graph.list', { name: '' }],
    ['lexicon-too-long', 'app.bsky.graph.list', { name: 'x'.repeat(65) }],
    ['lexicon-kind-wrong', 'com.germnetwork.declaration', { currentKey: 'text' }],
    ['lexicon-kind-wrong', 'app.bsky.feed.generator', { acceptsInteractions: 1 }],
    ['lexicon-blob-bad', 'app.bsky.actor.profile', { avatar: { cid, mimeType: 'image/png' } }],
    ['lexicon-blob-bad', 'app.bsky.actor.profile', { avatar: { ...blob, ref: parseCid(cid)! } }],
    ['lexicon-blob-bad', 'app.bsky.actor.profile', { avatar: { ...blob, size: -1 } }],
    ['lexicon-blob-bad', 'app.bsky.actor.profile', { avatar: { ...blob, more: 1 } }],
    ['lexicon-blob-bad', 'app.bsky.actor.profile', { avatar: { ...blob, mimeType: 'png' } }],
    ['lexicon-blob-not-accepted', 'app.bsky.actor.profile', { avatar: { ...blob, mimeType: 'text/plain' } }],
    ['lexicon-blob-too-large', 'app.bsky.actor.profile', { avatar: { ...blob, size: 1_000_001 } }],
    ['gate-not-of-own-post', 'app.bsky.feed.threadgate', { post: post.uri }],
    ['gate-not-of-own-post', 'app.bsky.feed.threadgate', { post: `at://${did}/app.bsky.feed.post/3kbd6l2y3gk22` }],
    ['gate-not-of-own-post', 'app.bsky.feed.postgate', { post: `at://${did}` }],
    ['gate-not-of-own-post', 'app.bsky.feed.postgate', { post: `at://alice.test/app.bsky.feed.post/${tid}` }],
    ['list-not-own', 'app.bsky.graph.listitem', { list: `at://${other}/app.bsky.graph.list/${tid}` }],
    ['opt-out-subject-bad', 'app.bsky.graph.referencelistoptout', { subject: post.uri }],
    [
      'opt-out-subject-bad',
      'app.bsky.graph.referencelistoptout',
      { subject: `at://a.test/app.bsky.graph.list/${tid}` },
    ],
    ['opt-out-subject-bad', 'app.bsky.graph.referencelistoptout', { subject: `at://${other}/app.bsky.graph.list` }],
    ['subject-unkeyable', 'app.bsky.graph.follow', { subject: `did:web:${'a'.repeat(600)}` }],
    ['subject-unkeyable', 'app.bsky.feed.like', { subject: { uri: `at://did:web:${'a'.repeat(600)}`, cid } }],
  ])('refuses as %s a record of %s', (reason, nsid, fields) => {
    expect(check(nsid, fields)).toEqual({ ok: false, reason });
  });

  it.each(Object.keys(keptByNsid).filter((nsid) => keptByNsid[nsid as Nsid].rkey === selfRkey) as Nsid[])(
    'keeps %s only under the key self',
    (nsid) => {
      expect(check(nsid, {}, tid)).toEqual({ ok: false, reason: 'rkey-not-self' });
    },
  );

  it('refuses what does not fit storage keys', () => {
    const { record, rkey } = keptByNsid['app.bsky.feed.like'];
    const like = { $type: 'app.bsky.feed.like', ...record };
    expect(checkRecord(did, 'com.example.thing', rkey, like)).toEqual({ ok: false, reason: 'collection-not-indexed' });
    expect(checkRecord(did, 'constructor', rkey, like)).toEqual({ ok: false, reason: 'collection-not-indexed' });
    expect(checkRecord('alice.test', 'app.bsky.feed.like', rkey, like)).toEqual({ ok: false, reason: 'did-bad' });
    expect(checkRecord(`did:web:${'a'.repeat(510)}`, 'app.bsky.feed.like', rkey, like)).toEqual({
      ok: false,
      reason: 'did-bad',
    });
    expect(checkRecord(did, 'app.bsky.feed.like', '..', like)).toEqual({ ok: false, reason: 'rkey-bad' });
  });

  it('checks known members of a union and accepts unknown ones', () => {
    const image = { image: blob, alt: '' };
    expect(postWith({ $type: 'app.bsky.embed.images', images: [image] })).toEqual({ ok: true });
    expect(postWith({ $type: 'com.example.embed', images: 5 })).toEqual({ ok: true });
    expect(postWith({ $type: 'app.bsky.embed.images', images: [image, image, image, image, image] })).toEqual({
      ok: false,
      reason: 'lexicon-too-long',
    });
    const withMedia = {
      $type: 'app.bsky.embed.recordWithMedia',
      record: { record: post },
      media: { $type: 'app.bsky.embed.images', images: [{ image: blob }] },
    };
    expect(postWith(withMedia)).toEqual({ ok: false, reason: 'lexicon-field-missing' });
  });

  it('accepts a text of the maximal graphemes, with any bytes within their limit', () => {
    expect(check('app.bsky.feed.post', { text: 'x'.repeat(300) })).toEqual({ ok: true });
    expect(check('app.bsky.feed.post', { text: 'e\u0301'.repeat(300) })).toEqual({ ok: true });
    expect(check('app.bsky.feed.post', { text: '\r\n'.repeat(300) })).toEqual({ ok: true });
  });
});

describe('hasMoreGraphemes', () => {
  it('counts clusters, not UTF-16 units', () => {
    expect(hasMoreGraphemes('👨‍👩‍👧👨‍👩‍👧', 2)).toBe(false);
    expect(hasMoreGraphemes('👨‍👩‍👧👨‍👩‍👧', 1)).toBe(true);
    expect(hasMoreGraphemes('\r\n\r\n', 2)).toBe(false);
    expect(hasMoreGraphemes('abc', 2)).toBe(true);
    expect(hasMoreGraphemes('abc', 3)).toBe(false);
  });
});
