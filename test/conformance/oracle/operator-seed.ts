/** What actors keep to themselves and what operators say, so that every row has some to compare. */
import { type BsyncWriter, privateNamespaces, wholePreferences } from '../network/bsync-writer.ts';
import type { Operator } from '../network/operator.ts';
import { seedLabeler } from '../network/seed-tables.ts';
import { type ChurnRecords, labelled } from './churn-seed.ts';
import type { Lists } from './list-seed.ts';

const keys = ['3kaaaaaaaaa2a', '3kaaaaaaaaa2b', '3kaaaaaaaaa2c'] as const;

/** Bookmarks, drafts, subscriptions, preferences, and mutes of lists, threads and actors. */
export async function privateSeed(
  bsync: BsyncWriter,
  { writer, byLabel }: ChurnRecords,
  { moderation, curation }: Lists,
): Promise<void> {
  const posts = ['ann plain', 'cat plain', 'dee plain'].map((label) => labelled(byLabel, label));
  const { bookmark, draft, subscription, preferences } = privateNamespaces;
  for (const name of ['ann', 'ben']) {
    const actorDid = writer.did(name);
    for (const [index, key] of keys.entries()) {
      await bsync.put('CREATE', { actorDid, namespace: bookmark, key }, { subject: posts[index]! });
      const posted = { id: key, draft: { posts: [{ text: `draft ${index}` }] } };
      await bsync.put('CREATE', { actorDid, namespace: draft, key }, posted);
      const subject = writer.did(['cat', 'eli', 'fay'][index]!);
      const activity = { subject, activitySubscription: { post: true, reply: index === 0 } };
      await bsync.put('CREATE', { actorDid, namespace: subscription, key }, activity);
    }
    const wanted = wholePreferences('follows', name === 'ann');
    await bsync.put('CREATE', { actorDid, namespace: preferences, key: 'self' }, wanted);
    await bsync.mute('ADD', actorDid, moderation.uri);
    await bsync.mute('ADD', actorDid, curation.uri);
    await bsync.mute('ADD', actorDid, labelled(byLabel, 'ann plain').uri);
    await bsync.mute('ADD', actorDid, writer.did('fay'), { onlyReposts: true });
  }
}

/** Labels, suggestions, tags, trusted verifiers and ages, on every plane. */
export async function operatorSeed(operators: readonly Operator[], { writer, byLabel }: ChurnRecords): Promise<void> {
  const feeds = ['eli feed', 'dee feed'].map((label) => labelled(byLabel, label).uri);
  const [eli, cat] = ['eli', 'cat'].map((name) => writer.did(name)) as [string, string];
  const post = labelled(byLabel, 'ann plain');
  const cts = new Date().toISOString();
  for (const operator of operators) {
    await operator.label({ src: seedLabeler, uri: post.uri, cid: post.cid, val: 'test-label', cts });
    await operator.label({ src: seedLabeler, uri: eli, val: 'spam', cts });
    await operator.tagRecord(post.uri, ['one', 'two']);
    await operator.trustVerifier(writer.did('ann'), true);
    await operator.suggest('follows', [eli, cat]);
    await operator.suggest('feeds', feeds);
    await operator.suggestTagged('art', eli, 'actor');
    await operator.suggestTagged('news', feeds[0]!, 'feed');
    await operator.setAge(cat, { status: 'assured', access: 'safe', lastInitiatedAt: cts });
    await operator.setAge(eli, { status: 'blocked' });
    await operator.setAge(writer.did('ann'), { status: 'pending' });
    await operator.clearAge(writer.did('ann'));
  }
}
