/**
 * A seed for cases that the official seeds leave out: odd times, every kind of embed, duplicates,
 * likes of missing records, replies with a wrong root, invalid records.
 *
 * Where the official plane's answer depends on which repo it indexes first, the seed settles in
 * between, so that runs differ only in DIDs, rkeys and times that the PDS writes.
 */
import type { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';
import type { SiteRecord } from './facts.ts';
import { type RecordBody, RecordWriter, type StoredRecord } from './record-writer.ts';

const names = ['ann', 'ben', 'cat', 'dee', 'eli', 'fay', 'gus', 'hal'] as const;
const missingDid = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const missingCid = 'bafyreidfcsgyxkbkrrwcmuyqkqjjgpxzdzxntzfcdvxlhzlxqjijbhjzwy';
const postCollection = 'app.bsky.feed.post';

/** What later stages need of the seed. */
export interface ChurnRecords {
  readonly writer: RecordWriter;
  /** By label of the record in the seed. */
  readonly byLabel: ReadonlyMap<string, StoredRecord>;
  /** DIDs and URIs that were never on the network. */
  readonly missing: { readonly did: string; readonly postUri: string };
  readonly siteRecords: readonly SiteRecord[];
}

interface Churn {
  readonly seed: PrefixedSeedClient;
  readonly writer: RecordWriter;
  readonly byLabel: Map<string, StoredRecord>;
}

/** Runs the seed; every plane has settled when it returns. */
export async function churnSeed(seed: PrefixedSeedClient): Promise<ChurnRecords> {
  const churn: Churn = { seed, writer: new RecordWriter(seed), byLabel: new Map() };
  const missing = { did: missingDid, postUri: `at://${missingDid}/${postCollection}/3kaaaaaaaaaaa` };
  for (const name of names) {
    const handle = `${name}.test` as const;
    await seed.createAccount(name, { handle, email: `${name}@test.com`, password: `${name}-pass` });
  }
  await churn.writer.settle();
  await writeProfiles(churn);
  await writePosts(churn);
  await churn.writer.settle();
  await writeQuotesAndReplies(churn, missing.postUri);
  await churn.writer.settle();
  await writeDeepReplies(churn);
  await churn.writer.settle();
  await writeReactions(churn, missing.postUri);
  await writeGraph(churn, missing.did);
  await writeDeclarations(churn);
  await writeInvalid(churn);
  const siteRecords = await writeSites(churn);
  await churn.writer.settle();
  return { writer: churn.writer, byLabel: churn.byLabel, missing, siteRecords };
}

/** Returns a record of the seed by its label. */
export function labelled(byLabel: ReadonlyMap<string, StoredRecord>, label: string): StoredRecord {
  const record = byLabel.get(label);
  if (record === undefined) throw new Error(`the seed has no record ${label}`);
  return record;
}

async function post(churn: Churn, label: string, by: string, body: Record<string, unknown> = {}): Promise<void> {
  const record = { text: label, createdAt: now(), ...body };
  churn.byLabel.set(label, await churn.writer.create(by, postCollection, record));
}

async function write(
  churn: Churn,
  label: string,
  by: string,
  collection: string,
  body: Record<string, unknown>,
): Promise<void> {
  churn.byLabel.set(label, await churn.writer.create(by, collection, { createdAt: now(), ...body }));
}

function now(): string {
  return new Date().toISOString();
}

async function writeProfiles(churn: Churn): Promise<void> {
  const { seed } = churn;
  for (const name of ['ann', 'ben', 'cat', 'dee'] as const) {
    await seed.createProfile(
      seed.dids[name]!,
      `the ${name}`,
      `I am ${name}`,
      name === 'ben' ? ['self-label'] : undefined,
    );
  }
  // One profile without createdAt, and one whose createdAt is no date.
  await churn.writer.put('eli', 'app.bsky.actor.profile', 'self', { displayName: 'eli' });
  await churn.writer.put('fay', 'app.bsky.actor.profile', 'self', { displayName: 'fay', createdAt: 'yesterday' });
}

async function writePosts(churn: Churn): Promise<void> {
  const { seed } = churn;
  const ann = seed.dids['ann']!;
  const image = await seed.uploadFile(ann, 'a picture', 'image/jpeg');
  const video = await seed.uploadFile(ann, 'a film', 'video/mp4');
  const external = { uri: 'https://example.com/', title: 'a page', description: 'somewhere', thumb: image.image };
  const aspectRatio = { width: 3, height: 2 };
  await post(churn, 'ann plain', 'ann', { langs: ['en', 'de'], tags: ['one', 'two'] });
  await post(churn, 'ann images', 'ann', { embed: { $type: 'app.bsky.embed.images', images: [image, image] } });
  await post(churn, 'ann external', 'ann', { embed: { $type: 'app.bsky.embed.external', external } });
  const items = [{ $type: 'app.bsky.embed.gallery#image', ...image, aspectRatio }];
  await post(churn, 'ann gallery', 'ann', { embed: { $type: 'app.bsky.embed.gallery', items } });
  await post(churn, 'ann video', 'ann', { embed: { $type: 'app.bsky.embed.video', video: video.image } });
  const unicode =
    'snowman \u2603, a family \u{1F468}\u200D\u{1F469}\u200D\u{1F467}, "quotes", \\ and \u0001\u001f\u2028';
  await post(churn, 'ann unicode', 'ann', { text: unicode });
  await writeOddTimes(churn);
  await post(churn, 'cat plain', 'cat');
  await post(churn, 'cat unknown fields', 'cat', { extra: { deep: [1, { $bytes: 'aGVsbG8' }, null, true] } });
  await post(churn, 'dee plain', 'dee');
  for (let index = 0; index < 12; index += 1) await post(churn, `eli ${index}`, 'eli');
}

async function writeOddTimes(churn: Churn): Promise<void> {
  const times: readonly (readonly [string, string])[] = [
    ['past', '1999-12-31T23:59:59.999Z'],
    ['future', '2099-01-01T00:00:00.000Z'],
    ['microseconds', '2023-05-06T07:08:09.123456Z'],
    ['zone', '2023-05-06T07:08:09.123+05:30'],
    ['whole second', '2023-05-06T07:08:09Z'],
    ['same time, first', '2024-02-29T12:00:00.000Z'],
    ['same time, second', '2024-02-29T12:00:00.000Z'],
    ['same time, third', '2024-02-29T12:00:00.000Z'],
  ];
  for (const [label, createdAt] of times) await post(churn, `ben ${label}`, 'ben', { createdAt });
}

async function writeQuotesAndReplies(churn: Churn, missingPostUri: string): Promise<void> {
  const ref = (label: string): StoredRecord => labelled(churn.byLabel, label);
  const quote = (of: StoredRecord): object => ({ $type: 'app.bsky.embed.record', record: of });
  const missing = { uri: missingPostUri, cid: missingCid };
  await post(churn, 'ben quotes ann', 'ben', { embed: quote(ref('ann plain')) });
  await post(churn, 'cat quotes ann', 'cat', { embed: quote(ref('ann plain')) });
  await post(churn, 'ann quotes herself', 'ann', { embed: quote(ref('ann images')) });
  await post(churn, 'dee quotes nothing', 'dee', { embed: quote(missing) });
  const media = {
    $type: 'app.bsky.embed.external',
    external: { uri: 'https://example.com/', title: '', description: '' },
  };
  const withMedia = { $type: 'app.bsky.embed.recordWithMedia', record: { record: ref('cat plain') }, media };
  await post(churn, 'dee quotes cat with media', 'dee', { embed: withMedia });
  const stale = { uri: ref('ann plain').uri, cid: missingCid };
  await post(churn, 'eli quotes ann by a stale cid', 'eli', { embed: quote(stale) });
  const root = ref('ann plain');
  await post(churn, 'ben replies', 'ben', { reply: { root, parent: root } });
  await post(churn, 'cat replies', 'cat', { reply: { root, parent: root } });
  await post(churn, 'ann replies to herself', 'ann', { reply: { root, parent: root } });
  await post(churn, 'dee replies to nothing', 'dee', { reply: { root: missing, parent: missing } });
  await post(churn, 'dee replies with a wrong root', 'dee', { reply: { root: ref('cat plain'), parent: root } });
  const both = {
    reply: { root, parent: root },
    embed: quote(root),
    facets: [mentionOf(churn, 'ann'), mentionOf(churn, 'eli')],
  };
  await post(churn, 'fay replies, quotes and mentions', 'fay', both);
  await post(churn, 'gus mentions twice', 'gus', { facets: [mentionOf(churn, 'hal'), mentionOf(churn, 'hal')] });
  await post(churn, 'gus mentions himself', 'gus', { facets: [mentionOf(churn, 'gus')] });
}

function mentionOf(churn: Churn, name: string): object {
  const features = [{ $type: 'app.bsky.richtext.facet#mention', did: churn.writer.did(name) }];
  return { index: { byteStart: 0, byteEnd: 3 }, features };
}

async function writeDeepReplies(churn: Churn): Promise<void> {
  const root = labelled(churn.byLabel, 'ann plain');
  const authors = ['ann', 'ben', 'cat', 'dee', 'eli', 'fay', 'gus', 'ann', 'ann'];
  let parentLabel = 'ben replies';
  for (const [index, author] of authors.entries()) {
    const label = `depth ${index + 2} by ${author}`;
    await post(churn, label, author, { reply: { root, parent: labelled(churn.byLabel, parentLabel) } });
    await churn.writer.settle();
    parentLabel = label;
  }
  // A whole thread by one author, with no posts of other repos in between.
  const own = labelled(churn.byLabel, 'dee plain');
  await post(churn, 'dee own 1', 'dee', { reply: { root: own, parent: own } });
  await post(churn, 'dee own 2', 'dee', { reply: { root: own, parent: labelled(churn.byLabel, 'dee own 1') } });
  await post(churn, 'dee own 3', 'dee', { reply: { root: own, parent: labelled(churn.byLabel, 'dee own 2') } });
  await post(churn, 'dee own branch', 'dee', { reply: { root: own, parent: labelled(churn.byLabel, 'dee own 1') } });
}

async function writeReactions(churn: Churn, missingPostUri: string): Promise<void> {
  const ref = (label: string): StoredRecord => labelled(churn.byLabel, label);
  const missing = { uri: missingPostUri, cid: missingCid };
  const like = 'app.bsky.feed.like';
  const repost = 'app.bsky.feed.repost';
  for (const name of names) {
    await write(churn, `${name} likes ann`, name, like, { subject: ref('ann plain') });
    await write(churn, `${name} reposts cat`, name, repost, { subject: ref('cat plain') });
  }
  await write(churn, 'ben reposts ann', 'ben', repost, { subject: ref('ann plain') });
  await churn.writer.settle();
  await write(churn, 'ben likes ann again', 'ben', like, { subject: ref('ann plain') });
  await write(churn, 'ben reposts ann again', 'ben', repost, { subject: ref('ann plain') });
  await write(churn, 'cat likes via ben', 'cat', like, { subject: ref('ann images'), via: ref('ben reposts ann') });
  await write(churn, 'cat reposts via ben', 'cat', repost, { subject: ref('ann images'), via: ref('ben reposts ann') });
  await write(churn, 'ben likes via himself', 'ben', like, { subject: ref('ann images'), via: ref('ben reposts ann') });
  await write(churn, 'gus likes nothing', 'gus', like, { subject: missing });
  await write(churn, 'gus reposts nothing', 'gus', repost, { subject: missing });
  await write(churn, 'hal likes a reply', 'hal', like, { subject: ref('depth 4 by cat') });
  await write(churn, 'hal reposts a reply', 'hal', repost, { subject: ref('depth 4 by cat') });
  await write(churn, 'hal likes a like', 'hal', like, { subject: ref('ben likes ann') });
  const early = { subject: ref('cat unknown fields'), createdAt: '2001-01-01T00:00:00.000Z' };
  await write(churn, 'gus likes early', 'gus', like, early);
}

async function writeGraph(churn: Churn, missingDid: string): Promise<void> {
  const follow = 'app.bsky.graph.follow';
  const block = 'app.bsky.graph.block';
  const did = (name: string): string => churn.writer.did(name);
  for (const name of ['ben', 'cat', 'dee', 'eli', 'fay', 'hal']) {
    await write(churn, `${name} follows ann`, name, follow, { subject: did('ann') });
  }
  for (const name of ['ben', 'cat', 'eli']) {
    await write(churn, `ann follows ${name}`, 'ann', follow, { subject: did(name) });
  }
  await write(churn, 'ben follows ann again', 'ben', follow, { subject: did('ann') });
  await write(churn, 'ben follows ann a third time', 'ben', follow, { subject: did('ann') });
  await write(churn, 'ben follows cat', 'ben', follow, { subject: did('cat') });
  await write(churn, 'cat follows ben', 'cat', follow, { subject: did('ben') });
  await write(churn, 'gus follows himself', 'gus', follow, { subject: did('gus') });
  await write(churn, 'gus follows nobody', 'gus', follow, { subject: missingDid });
  await write(churn, 'dee blocks eli', 'dee', block, { subject: did('eli') });
  await write(churn, 'eli blocks dee', 'eli', block, { subject: did('dee') });
  await write(churn, 'fay blocks gus', 'fay', block, { subject: did('gus') });
  await write(churn, 'fay blocks hal', 'fay', block, { subject: did('hal') });
  await write(churn, 'fay blocks gus again', 'fay', block, { subject: did('gus') });
}

async function writeDeclarations(churn: Churn): Promise<void> {
  const { writer } = churn;
  await writer.put('ann', 'chat.bsky.actor.declaration', 'self', { allowIncoming: 'none' });
  await writer.put('ben', 'app.bsky.notification.declaration', 'self', { allowSubscriptions: 'mutuals' });
  const embed = {
    $type: 'app.bsky.embed.external',
    external: { uri: 'https://example.com/', title: 'on', description: 'air' },
  };
  const live = { status: 'app.bsky.actor.status#live', embed, durationMinutes: 30, createdAt: now() };
  await writer.put('cat', 'app.bsky.actor.status', 'self', live);
  for (const name of ['dee', 'eli'] as const) {
    const policies = { labelValues: ['spam'] };
    await writer.put(name, 'app.bsky.labeler.service', 'self', { policies, createdAt: now() });
    const feed = { did: writer.did(name), displayName: 'a feed' };
    await write(churn, `${name} feed`, name, 'app.bsky.feed.generator', feed);
  }
  const claim = { subject: writer.did('ben'), handle: 'ben.test', displayName: 'the ben' };
  await write(churn, 'ann verifies ben', 'ann', 'app.bsky.graph.verification', claim);
  const germ = { version: '1.0.0', currentKey: { $bytes: 'aGVsbG8' } };
  await writer.put('eli', 'com.germnetwork.declaration', 'self', germ);
}

/** Writes a publication, one document of it and another of the web. */
async function writeSites({ writer }: Churn): Promise<readonly SiteRecord[]> {
  const written: SiteRecord[] = [];
  const write = async (by: string, collection: string, body: RecordBody): Promise<string> => {
    const { uri, cid } = await writer.create(by, collection, body);
    written.push({ uri, cid, record: { $type: collection, ...body } });
    return uri;
  };
  const site = await write('ann', 'site.standard.publication', { name: 'a site', url: 'https://example.com' });
  for (const [by, of] of [
    ['ben', site],
    ['cat', 'https://example.com'],
  ] as const)
    await write(by, 'site.standard.document', { site: of, title: `of ${by}`, publishedAt: now() });
  return written;
}

async function writeInvalid(churn: Churn): Promise<void> {
  await churn.writer.create('hal', postCollection, { createdAt: now() });
  await churn.writer.create('hal', postCollection, { text: 'x'.repeat(4000), createdAt: now() });
  await churn.writer.create('hal', postCollection, { text: 'no time' });
  await churn.writer.create('hal', 'app.bsky.feed.like', { subject: 'no reference', createdAt: now() });
  await churn.writer.create('hal', 'app.bsky.graph.follow', { subject: 'not a did', createdAt: now() });
  await churn.writer.create('hal', 'com.example.unknown', { whatever: 1 });
  await churn.writer.put('hal', 'app.bsky.actor.profile', 'other', { displayName: 'not self' });
  await churn.writer.put('hal', 'app.bsky.actor.profile', 'self', { displayName: 'x'.repeat(700) });
}
