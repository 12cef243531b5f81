/** The small community of the AppView tests. */
import type { AtNetwork } from '../network/at-network.ts';
import { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';

export const members = ['alice', 'bob', 'carol', 'dan', 'eve'] as const;

export type Member = (typeof members)[number];

type Ref = Awaited<ReturnType<PrefixedSeedClient['repost']>>;

/** What the tests need to know of the records that were written. */
export interface Scenario {
  readonly seed: PrefixedSeedClient;
  /** Posts, replies and reposts by their name in the scenario. */
  readonly refs: Readonly<Record<PostName | RepostName, Ref>>;
}

export type PostName =
  | 'alice hello'
  | 'alice picture'
  | 'alice film'
  | 'alice thread'
  | 'bob hello'
  | 'bob gone'
  | 'bob answers'
  | 'bob under the gone one'
  | 'alice answers bob'
  | 'carol answers alice'
  | 'carol quotes'
  | 'dan mentions'
  | 'eve hello'
  | 'eve answers bob';

export type RepostName = 'dan reposts alice' | 'carol reposts bob';

/** Returns the DID of a member. */
export function didOf(scenario: Scenario, member: Member): `did:plc:${string}` {
  return scenario.seed.dids[member] as `did:plc:${string}`;
}

/** Returns the AT-URI of a post or repost. */
export function uriOf(scenario: Scenario, name: PostName | RepostName): string {
  return scenario.refs[name].uriStr;
}

/** Writes the scenario at the PDS. Returns: once the plane has settled. */
export async function writeScenario(network: AtNetwork, prefix: string): Promise<Scenario> {
  const seed = new PrefixedSeedClient(network, prefix);
  for (const name of members) {
    const handle = `${name}.test` as const;
    await seed.createAccount(name, { handle, email: `${name}@test.com`, password: `${name}-pass` });
  }
  const refs: Partial<Record<PostName | RepostName, Ref>> = {};
  const scenario: Scenario = { seed, refs: refs as Scenario['refs'] };
  const did = (member: Member): `did:plc:${string}` => didOf(scenario, member);
  for (const name of ['alice', 'bob', 'carol'] as const)
    await seed.createProfile(did(name), `the ${name}`, `I am ${name}`);
  await writeGraph(scenario);
  await writePosts(scenario, refs);
  await network.processAll();
  await writeReplies(scenario, refs);
  await network.processAll();
  await writeReactions(scenario, refs);
  await network.processAll();
  await deleteSome(scenario);
  await network.processAll();
  return scenario;
}

async function writeGraph(scenario: Scenario): Promise<void> {
  const { seed } = scenario;
  const follows: readonly (readonly [Member, Member])[] = [
    ['alice', 'bob'],
    ['alice', 'carol'],
    ['alice', 'dan'],
    ['bob', 'alice'],
    ['carol', 'alice'],
    ['carol', 'bob'],
    ['dan', 'bob'],
    ['dan', 'carol'],
  ];
  for (const [from, to] of follows) await seed.follow(didOf(scenario, from), didOf(scenario, to));
}

async function writePosts(scenario: Scenario, refs: Partial<Record<string, Ref>>): Promise<void> {
  const { seed } = scenario;
  const [alice, bob, dan, eve] = (['alice', 'bob', 'dan', 'eve'] as const).map((name) => didOf(scenario, name));
  const image = await seed.uploadFile(alice!, 'a picture', 'image/jpeg');
  const film = await seed.uploadFile(alice!, 'a film', 'video/mp4');
  const video = { $type: 'app.bsky.embed.video', video: film.image } as const;
  refs['alice hello'] = (await seed.post(alice!, 'hello')).ref;
  refs['alice picture'] = (await seed.post(alice!, 'look', undefined, [image])).ref;
  refs['alice film'] = (await seed.post(alice!, 'watch', undefined, undefined, undefined, { embed: video })).ref;
  refs['bob hello'] = (await seed.post(bob!, 'hello, I am bob')).ref;
  refs['bob gone'] = (await seed.post(bob!, 'soon gone')).ref;
  const features = [{ $type: 'app.bsky.richtext.facet#mention' as const, did: alice! }];
  const facets = [{ index: { byteStart: 0, byteEnd: 6 }, features }];
  refs['dan mentions'] = (await seed.post(dan!, '@alice look', facets)).ref;
  refs['eve hello'] = (await seed.post(eve!, 'hello, I am eve')).ref;
}

async function writeReplies(scenario: Scenario, refs: Partial<Record<string, Ref>>): Promise<void> {
  const { seed } = scenario;
  const settle = (): Promise<void> => seed.network.processAll();
  const reply = async (by: Member, root: string, parent: string): Promise<Ref> =>
    (await seed.reply(didOf(scenario, by), refs[root]!, refs[parent]!, `${by} replies`)).ref;
  refs['bob answers'] = await reply('bob', 'alice hello', 'alice hello');
  refs['alice thread'] = await reply('alice', 'alice hello', 'alice hello');
  refs['bob under the gone one'] = await reply('bob', 'bob gone', 'bob gone');
  refs['eve answers bob'] = await reply('eve', 'bob hello', 'bob hello');
  await settle();
  refs['alice answers bob'] = await reply('alice', 'alice hello', 'bob answers');
  await settle();
  refs['carol answers alice'] = await reply('carol', 'alice hello', 'alice answers bob');
  const quoted = refs['alice hello'];
  refs['carol quotes'] = (await seed.post(didOf(scenario, 'carol'), 'see', undefined, undefined, quoted)).ref;
}

async function writeReactions(scenario: Scenario, refs: Partial<Record<string, Ref>>): Promise<void> {
  const { seed } = scenario;
  const [alice, bob, carol, dan, eve] = members.map((name) => didOf(scenario, name));
  for (const did of [bob!, carol!, dan!]) await seed.like(did, refs['alice hello']!);
  await seed.like(alice!, refs['bob hello']!);
  await seed.like(alice!, refs['bob gone']!);
  refs['dan reposts alice'] = await seed.repost(dan!, refs['alice hello']!);
  refs['carol reposts bob'] = await seed.repost(carol!, refs['bob hello']!);
  await seed.block(eve!, bob!);
}

async function deleteSome(scenario: Scenario): Promise<void> {
  const { seed, refs } = scenario;
  const { agent } = seed;
  const [carol, dan] = [didOf(scenario, 'carol'), didOf(scenario, 'dan')];
  await seed.deletePost(didOf(scenario, 'bob'), refs['bob gone'].uri);
  const like = seed.likes[dan]![refs['alice hello'].uriStr]!;
  await agent.app.bsky.feed.like.delete({ repo: dan, rkey: like.rkey }, seed.getHeaders(dan));
  const repost = refs['carol reposts bob'].uri;
  await agent.app.bsky.feed.repost.delete({ repo: carol, rkey: repost.rkey }, seed.getHeaders(carol));
  await seed.unfollow(dan, carol);
}
