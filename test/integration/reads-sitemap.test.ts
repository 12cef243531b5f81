/** Sitemaps name each public account once. */

import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

function locationsOf(sitemap: Uint8Array): string[] {
  const text = gunzipSync(sitemap).toString();
  return [...text.matchAll(/<loc>(.*?)<\/loc>/g)].map(([, location]) => location!);
}

describe.each([{ slots: 1 }, { slots: 8 }])('sitemaps over $slots slots', ({ slots }) => {
  let reads: RoutedNetwork;
  beforeEach(() => {
    reads = new RoutedNetwork(new ReadsNetwork({ slots }));
  });
  afterEach(() => reads[Symbol.asyncDispose]());

  it('name each active account with a profile and a handle once, unless it asks not to be shown', async () => {
    const names = 'abcdefghij'.split('');
    for (const name of names) reads.network.profile(didOf(name), `${name}.test`);
    reads.network.identity(didOf('noprofile'), 'noprofile.test');
    for (const name of ['deactivated', 'takendown', 'hidden', 'nohandle', 'deleted'])
      reads.network.profile(didOf(name), `${name}.test`);
    reads.network.account(didOf('deactivated'), false, 'deactivated');
    reads.network.account(didOf('deleted'), false, 'deleted');
    reads.network.write(didOf('takendown'), { type: 'actor-takedown', ref: 'T' });
    reads.network.identity(didOf('nohandle'), null);
    const labels = { $type: 'com.atproto.label.defs#selfLabels', values: [{ val: '!no-unauthenticated' }] };
    reads.network.put(didOf('hidden'), 'app.bsky.actor.profile', { labels }, 'self');
    reads.network.settle();

    const pages = locationsOf((await reads.ask('GetSitemapIndex', { type: 1 })).sitemap);
    const profiles: string[] = [];
    for (const location of pages) {
      const [, day, bucket] = /\/sitemap\/users\/(\d{4}-\d\d-\d\d)\/(\d+)\.xml\.gz$/.exec(location)!;
      const { sitemap } = await reads.ask('GetSitemapPage', {
        type: 1,
        date: Date.parse(day!),
        bucket: Number(bucket),
      });
      profiles.push(...locationsOf(sitemap));
    }
    expect(profiles.sort()).toEqual(names.map((name) => `https://bsky.app/profile/${name}.test`));
    expect(new Set(pages).size).toBe(pages.length);
  });

  it('have no page of a day to come or long past, of no day, or beyond the last', async () => {
    reads.network.profile(didOf('a'), 'a.test');
    reads.network.settle();
    const nowMs = systemClock.nowMs();
    const bucketsMax = 8;
    for (const request of [
      { date: nowMs + 3 * 86_400_000, bucket: 1 },
      { date: nowMs - 40 * 86_400_000, bucket: 1 },
      { date: 0, bucket: 1 },
      { bucket: 1 },
      { date: nowMs, bucket: 0 },
      { date: nowMs, bucket: bucketsMax + 1 },
    ])
      await expect(reads.ask('GetSitemapPage', request)).rejects.toMatchObject({ code: 'NotFound' });
  });
});
