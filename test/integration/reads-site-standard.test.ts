/** Records of site.standard by URI and by version. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { siteAnswerBytesMax, siteUrisMax } from '../../src/router/plans/site-standard.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob] = [didOf('alice'), didOf('bob')];
const publishedAt = '2025-03-01T00:00:00.000Z';

describe.each([{ slots: 1 }, { slots: 8 }])('records of site.standard over $slots slots', ({ slots }) => {
  let reads: RoutedNetwork;
  beforeEach(() => {
    reads = new RoutedNetwork(new ReadsNetwork({ slots }));
  });
  afterEach(() => reads[Symbol.asyncDispose]());

  function publication(did: string, name: string): StrongRef {
    return reads.network.put(did, 'site.standard.publication', { name, url: `https://${name}.example` });
  }

  function document(did: string, site: string, title: string, rkey?: string): StrongRef {
    return reads.network.put(did, 'site.standard.document', { site, title, publishedAt }, rkey);
  }

  it('come by URI with the publication of each document, each once, in the order asked', async () => {
    const [blog, news] = [publication(alice, 'blog'), publication(bob, 'news')];
    const one = document(bob, blog.uri, 'one');
    const two = document(alice, blog.uri, 'two');
    const loose = document(alice, 'https://loose.example', 'loose');
    const orphan = document(bob, `at://${alice}/site.standard.publication/gone`, 'orphan');
    const post = reads.network.post(alice, 'x');
    reads.network.settle();
    const answer = await reads.ask('GetSiteStandardRecordsByURI', {
      uris: ['', 'x', two, news, one, two, loose, orphan, post].map((ref) => (typeof ref === 'string' ? ref : ref.uri)),
    });
    expect(answer.documents.map(({ ref }) => ref)).toEqual([two, one, loose, orphan]);
    expect(answer.publications.map(({ ref }) => ref)).toEqual([news, blog]);
    const [first] = answer.documents;
    expect(JSON.parse(Buffer.from(first!.record!.record).toString())).toMatchObject({ title: 'two', site: blog.uri });
    expect(first!.record!.cid).toBe(two.cid);
    expect(await reads.ask('GetSiteStandardRecordsByURI', { uris: [] })).toEqual({ documents: [], publications: [] });
  });

  it('come by version only if that is the version stored, and without their publications', async () => {
    const blog = publication(alice, 'blog');
    const old = document(bob, blog.uri, 'old', 'one');
    const now = document(bob, blog.uri, 'new', 'one');
    const gone = document(bob, blog.uri, 'gone');
    reads.network.delete(gone);
    reads.network.settle();
    const answer = await reads.ask('GetSiteStandardRecordsByRef', { refs: [old, gone, now, { uri: 'x', cid: 'y' }] });
    expect(answer.documents.map(({ ref }) => ref)).toEqual([now]);
    expect(answer.publications).toEqual([]);
    const both = await reads.ask('GetSiteStandardRecordsByRef', { refs: [blog, now] });
    expect(both.publications.map(({ ref }) => ref)).toEqual([blog]);
  });

  it('are refused past a number of URIs and past a number of bytes, with the limit in the error', async () => {
    const uri = `at://${alice}/site.standard.document/x`;
    const uris = Array.from({ length: siteUrisMax + 1 }, () => uri);
    const many = await refusal(reads.ask('GetSiteStandardRecordsByURI', { uris }));
    expect([many.code, many.message.includes(String(siteUrisMax))]).toEqual(['ResourceExhausted', true]);
    const refs = uris.map((each) => ({ uri: each, cid: 'c' }));
    expect((await refusal(reads.ask('GetSiteStandardRecordsByRef', { refs }))).code).toBe('ResourceExhausted');
    const filler = 'x'.repeat(2 ** 20 - 1_000);
    const large = Array.from({ length: Math.ceil(siteAnswerBytesMax / filler.length) + 1 }, () => {
      const ref = reads.network.put(alice, 'site.standard.document', { site: '', title: filler, publishedAt });
      reads.network.settle();
      return ref.uri;
    });
    const { documents } = await reads.ask('GetSiteStandardRecordsByURI', { uris: large.slice(0, 3) });
    expect(documents.map(({ ref }) => ref?.uri)).toEqual(large.slice(0, 3));
    const heavy = await refusal(reads.ask('GetSiteStandardRecordsByURI', { uris: large }));
    expect([heavy.code, heavy.message.includes(String(siteAnswerBytesMax))]).toEqual(['ResourceExhausted', true]);
  });

  it('come with their takedown', async () => {
    const blog = publication(alice, 'blog');
    const rkey = blog.uri.split('/').at(-1)!;
    reads.network.write(alice, { type: 'record-takedown', collection: 'site.standard.publication', rkey, ref: 'T' });
    reads.network.settle();
    const { publications } = await reads.ask('GetSiteStandardRecordsByURI', { uris: [blog.uri] });
    expect(publications.map(({ record }) => record?.takedownRef)).toEqual(['T']);
  });
});
