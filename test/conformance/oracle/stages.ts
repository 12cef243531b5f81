/** The changes that the oracle makes between its rounds. */
import type { DataPlaneClient } from '@atproto/bsky';
import { Timestamp } from '@bufbuild/protobuf';
import { type ChurnRecords, labelled } from './churn-seed.ts';
import { type Facts, urisOf } from './facts.ts';

const postCollection = 'app.bsky.feed.post';

/** Labels of the records to delete; what refers to them stays. */
const deletedLabels = [
  'cat likes ann',
  'cat likes via ben',
  'dee reposts cat',
  'ben follows ann',
  'ben follows cat',
  'ann follows eli',
  'fay blocks gus',
  'dee blocks eli',
  'ben likes ann',
  'ben reposts ann',
  'depth 5 by dee',
  'dee own 1',
  'cat plain',
  'cat quotes ann',
  'ben past',
  'gus likes nothing',
] as const;

/**
 * Deletes and updates records, changes a handle, deactivates an account, and another temporarily.
 *
 * Returns: the URIs of deleted records, once every plane has settled.
 */
export async function changeRepos(seeded: ChurnRecords): Promise<readonly string[]> {
  const { writer, byLabel } = seeded;
  const gone: string[] = [];
  for (const label of deletedLabels) {
    const { uri } = labelled(byLabel, label);
    await writer.delete(uri);
    gone.push(uri);
  }
  await writer.settle();
  const createdAt = new Date().toISOString();
  await writer.put('ann', 'app.bsky.actor.profile', 'self', {
    displayName: 'ann, renamed',
    description: '',
    createdAt,
  });
  await writer.put('ben', 'app.bsky.notification.declaration', 'self', { allowSubscriptions: 'none' });
  // Created again under its former key.
  const again = labelled(byLabel, 'ben past').uri;
  await writer.create('ben', postCollection, { text: 'again', createdAt }, again.split('/')[4]!);
  await writer.settle();
  await changeAccounts(seeded);
  await writer.settle();
  return gone.filter((uri) => uri !== again);
}

async function changeAccounts({ writer }: ChurnRecords): Promise<void> {
  await writer.changeHandle('gus', 'c-gustav.test');
  await writer.deactivate('hal');
  await writer.deactivate('fay');
  await writer.activate('fay');
}

/** On each plane: takes down an actor, a record and a blob, restores some, marks notices seen. */
export async function changePrivately(facts: Facts, planes: readonly DataPlaneClient[]): Promise<void> {
  const [first, second, third] = facts.dids;
  const posts = urisOf(facts, postCollection);
  const [blob, otherBlob] = facts.blobs;
  if (first === undefined || second === undefined || third === undefined) throw new Error('too few actors');
  if (blob === undefined || otherBlob === undefined) throw new Error('too few blobs');
  const seenAt = new Date();
  const before = new Date(seenAt.getTime() - 60_000);
  await Promise.all(
    planes.map(async (plane) => {
      await plane.takedownActor({ did: first, ref: 'ref-1' });
      await plane.takedownActor({ did: second });
      await plane.takedownActor({ did: third, ref: 'ref-2' });
      await plane.untakedownActor({ did: third });
      await plane.takedownActor({ did: facts.unknownDids[0]!, ref: 'nobody' });
      await plane.takedownBlob({ did: blob.did, cid: blob.cid, ref: 'ref-3' });
      await plane.takedownBlob({ did: otherBlob.did, cid: otherBlob.cid });
      await plane.untakedownBlob({ did: otherBlob.did, cid: otherBlob.cid });
      for (const recordUri of posts.slice(0, 8)) await plane.takedownRecord({ recordUri, ref: 'ref-4' });
      for (const recordUri of posts.slice(4, 8)) await plane.untakedownRecord({ recordUri });
      await plane.takedownRecord({ recordUri: facts.goneUris[0]! });
      await plane.updateNotificationSeen({ actorDid: first, timestamp: Timestamp.fromDate(seenAt) });
      await plane.updateNotificationSeen({ actorDid: first, timestamp: Timestamp.fromDate(before) });
      await plane.updateNotificationSeen({ actorDid: second, timestamp: Timestamp.fromDate(before) });
      await plane.updateNotificationSeen({ actorDid: third });
      await plane.updateNotificationSeen({ actorDid: facts.unknownDids[0]!, timestamp: Timestamp.fromDate(before) });
      await plane.updateActorUpstreamStatus({ actorDid: third, upstreamStatus: 'suspended' });
    }),
  );
}
