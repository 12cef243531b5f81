/** What the official plane leaves to others: sitemaps, and cards of records of site.standard. */
import { describe, expect, inject, it } from 'vitest';
import { postsOf } from './feature-reads.ts';
import type { FeatureStage } from './feature-stage.ts';

const deadlineMs = 10_000;

/** Declares the tests of the web around posts. */
export function siteTests(stage: FeatureStage): void {
  const isOfficial = inject('planeName') === 'official';

  describe.skipIf(isOfficial)('sitemaps', () => {
    const locationsAt = async (path: string): Promise<string[]> => {
      const { url } = stage.appView;
      const answer = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(deadlineMs) });
      expect(answer.status).toBe(200);
      return [...(await answer.text()).matchAll(/<loc>(.*?)<\/loc>/g)].map(([, location]) => location!);
    };

    it('name the profiles of active accounts', async () => {
      const profiles: string[] = [];
      for (const page of await locationsAt('/external/sitemap/users.xml.gz')) {
        const { pathname } = new URL(page);
        profiles.push(...(await locationsAt(`/external${pathname}`)));
      }
      const names = ['ann', 'ben', 'cat', 'dee', 'eli'] as const;
      const expected = names.map((name) => `https://bsky.app/profile/${stage.handle(name)}`);
      expect(profiles).toEqual(expect.arrayContaining(expected));
      expect(new Set(profiles).size).toBe(profiles.length);
    });
  });

  describe.skipIf(isOfficial)('records of site.standard', () => {
    it('make the cards of links to what they describe', async () => {
      const { reader, writer, write, post } = stage;
      const url = 'https://eli.example';
      const publication = await write('eli', 'site.standard.publication', { name: 'Notes of eli', url });
      const publishedAt = '2025-01-31T12:00:00.000Z';
      const body = { site: publication.uri, path: '/first', title: 'On lists', publishedAt };
      const document = await write('eli', 'site.standard.document', body);
      await writer.settle();
      const card = { url: `${url}/first`, uris: [document.uri] };
      expect(await reader.query('app.bsky.embed.getEmbedExternalView', card)).toMatchObject({
        view: { external: { uri: card.url, title: 'On lists' } },
        associatedRefs: [{ uri: document.uri }, { uri: publication.uri }],
      });
      const scraped = { uri: card.url, title: 'scraped', description: '', associatedRefs: [document, publication] };
      const shared = await post('cat', 'read this', { embed: { $type: 'app.bsky.embed.external', external: scraped } });
      await writer.settle();
      const titleOf = async (): Promise<unknown> =>
        (await postsOf(stage, [shared], 'ann'))[0]?.embed as { external?: { title?: string } } | undefined;
      expect(await titleOf()).toMatchObject({ external: { title: 'On lists' } });
      await writer.delete(document.uri);
      await writer.settle();
      expect(await titleOf()).toMatchObject({ external: { title: 'scraped' } });
    });
  });
}
