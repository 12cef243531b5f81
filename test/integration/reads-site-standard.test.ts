/** Records of site.standard by URI and by version. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RoutedNetwork } from '../support/routed-network.ts';
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

  it('come with their takedown', async () => {
    const blog = publication(alice, 'blog');
    const rkey = blog.uri.split('/').at(-1)!;
    reads.network.write(alice, { type: 'record-takedown', collection: 'site.standard.publication', rkey, ref: 'T' });
    reads.network.settle();
    const { publications } = await reads.ask('GetSiteStandardRecordsByURI', { uris: [blog.uri] });
    expect(publications.map(({ record }) => record?.takedownRef)).toEqual(['T']);
  });
});
