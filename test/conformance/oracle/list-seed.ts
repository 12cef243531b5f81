/** A seed for lists, list blocks, starter packs and gates. */
import type { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';
import { RecordWriter, type StoredRecord } from './record-writer.ts';

const names = ['una', 'vic', 'wes', 'xia', 'yan', 'zed'] as const;
const postCollection = 'app.bsky.feed.post';

/** Runs the seed; every plane has settled when it returns. */
export async function listSeed(seed: PrefixedSeedClient): Promise<Lists> {
  const writer = new RecordWriter(seed);
  for (const name of names) {
    const handle = `${name}.test` as const;
    await seed.createAccount(name, { handle, email: `${name}@test.com`, password: `${name}-pass` });
  }
  await writer.settle();
  const lists = await writeLists(writer);
  await writer.settle();
  await writeListUses(writer, lists);
  await writer.settle();
  await writeGates(writer, lists);
  await writer.settle();
  return lists;
}

export interface Lists {
  readonly moderation: StoredRecord;
  readonly curation: StoredRecord;
  readonly reference: StoredRecord;
}

function now(): string {
  return new Date().toISOString();
}

async function writeLists(writer: RecordWriter): Promise<Lists> {
  const list = (name: string, purpose: string): Promise<StoredRecord> =>
    writer.create('una', 'app.bsky.graph.list', { name, purpose: `app.bsky.graph.defs#${purpose}`, createdAt: now() });
  const moderation = await list('moderation', 'modlist');
  const curation = await list('curation', 'curatelist');
  const reference = await list('reference', 'referencelist');
  for (const [of, name] of [
    [moderation, 'vic'],
    [moderation, 'wes'],
    [curation, 'xia'],
    [reference, 'yan'],
    [reference, 'wes'],
  ] as const) {
    const body = { subject: writer.did(name), list: of.uri, createdAt: now() };
    await writer.create('una', 'app.bsky.graph.listitem', body);
  }
  return { moderation, curation, reference };
}

async function writeListUses(writer: RecordWriter, lists: Lists): Promise<void> {
  // An item in someone else's list does not count.
  const foreign = { subject: writer.did('zed'), list: lists.moderation.uri, createdAt: now() };
  await writer.create('vic', 'app.bsky.graph.listitem', foreign);
  await writer.create('xia', 'app.bsky.graph.listblock', { subject: lists.moderation.uri, createdAt: now() });
  // One member of the list is hidden, and who is no member opts out in vain.
  for (const name of ['yan', 'vic'])
    await writer.create(name, 'app.bsky.graph.referencelistoptout', { subject: lists.reference.uri, createdAt: now() });
  const pack = { name: 'a pack', list: lists.reference.uri, feeds: [], createdAt: now() };
  const starterPack = await writer.create('una', 'app.bsky.graph.starterpack', pack);
  const profile = { displayName: 'zed', joinedViaStarterPack: starterPack, createdAt: now() };
  await writer.put('zed', 'app.bsky.actor.profile', 'self', profile);
}

async function writeGates(writer: RecordWriter, lists: Lists): Promise<void> {
  const root = await writer.create('una', postCollection, { text: 'gated', createdAt: now() });
  const rkey = root.uri.split('/')[4]!;
  const allow = [
    { $type: 'app.bsky.feed.threadgate#listRule', list: lists.curation.uri },
    { $type: 'app.bsky.feed.threadgate#followingRule' },
  ];
  const threadGate = { post: root.uri, createdAt: now(), allow };
  await writer.create('una', 'app.bsky.feed.threadgate', threadGate, rkey);
  const embeddingRules = [{ $type: 'app.bsky.feed.postgate#disableRule' }];
  const postGate = { post: root.uri, createdAt: now(), embeddingRules };
  await writer.create('una', 'app.bsky.feed.postgate', postGate, rkey);
  // Gates whose rkey or author differs from that of their post.
  await writer.create('una', 'app.bsky.feed.threadgate', { post: root.uri, createdAt: now() });
  await writer.create('vic', 'app.bsky.feed.postgate', { post: root.uri, createdAt: now() }, rkey);
  await writer.create('una', 'app.bsky.graph.follow', { subject: writer.did('wes'), createdAt: now() });
  await writer.settle();
  for (const name of names) {
    await writer.create(name, postCollection, { text: 'reply', createdAt: now(), reply: { root, parent: root } });
  }
  const embed = { $type: 'app.bsky.embed.record', record: root };
  await writer.create('vic', postCollection, { text: 'forbidden quote', createdAt: now(), embed });
  await writer.create('una', postCollection, { text: 'own quote', createdAt: now(), embed });
}
