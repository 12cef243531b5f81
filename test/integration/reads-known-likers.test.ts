/** Known likers: those whom a viewer follows among the last who liked a record. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [viewer, author] = [didOf('viewer'), didOf('author')];
const fans = 'abcdefg'.split('').map((name) => didOf(`fan${name}`));
const likersMax = 500;

describe.each([{ slots: 2 }, { slots: 8 }])('known likers over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const knownLikers = async (subjects: readonly Pick<StrongRef, 'uri'>[], limit = 50) =>
    (await routed.ask('GetKnownLikers', { actorDid: viewer, subjectUris: subjects.map(({ uri }) => uri), limit }))
      .results;

  it('are those whom the viewer follows, newest first, and counted beyond the limit', async () => {
    const [one, other, alone] = [network.post(author, '1'), network.post(fans[0]!, '2'), network.post(author, '3')];
    const known = fans.filter((_fan, index) => index % 2 === 0);
    for (const fan of fans) network.like(fan, one);
    for (const fan of fans.slice(2, 4)) network.like(fan, other);
    network.like(fans[1]!, alone);
    for (const fan of known) network.follow(viewer, fan);
    expect(await knownLikers([one, other, alone, one])).toEqual([
      { subjectUri: one.uri, count: 4, dids: known.toReversed() },
      { subjectUri: other.uri, count: 1, dids: [fans[2]] },
      { subjectUri: alone.uri, count: 0, dids: [] },
      { subjectUri: one.uri, count: 4, dids: known.toReversed() },
    ]);
    expect(await knownLikers([one], 3)).toEqual([
      { subjectUri: one.uri, count: 4, dids: known.toReversed().slice(0, 3) },
    ]);
  });

  it('count an actor once, and none whose like or follow is gone', async () => {
    const post = network.post(author, '1');
    const [twice, unliked, deleted, unfollowed] = [fans[0]!, fans[1]!, fans[2]!, fans[3]!];
    const likes = [twice, unliked, deleted, unfollowed, viewer].map((did) => network.like(did, post));
    network.like(twice, post);
    const follows = [twice, unliked, deleted, unfollowed].map((did) => network.follow(viewer, did));
    network.delete(follows[3]!);
    network.delete(likes[1]!);
    network.account(deleted, false, 'deleted');
    expect(await knownLikers([post])).toEqual([{ subjectUri: post.uri, count: 1, dids: [twice] }]);
    network.follow(viewer, viewer);
    expect((await knownLikers([post]))[0]!.dids).toEqual([viewer, twice]);
  });

  it('are sought among the last 500 likers of a record', async () => {
    const post = network.post(author, '1');
    network.follow(viewer, fans[0]!);
    network.like(fans[0]!, post);
    for (let index = 1; index < likersMax; index++) network.like(`did:web:l${index}.example`, post);
    expect((await knownLikers([post]))[0]).toMatchObject({ count: 1 });
    network.like('did:web:last.example', post);
    expect((await knownLikers([post]))[0]).toMatchObject({ count: 0, dids: [] });
  });

  it('are none for a limit of 0, an unknown viewer, an unknown or malformed record', async () => {
    const post = network.post(author, '1');
    network.like(fans[0]!, post);
    network.follow(viewer, fans[0]!);
    const none = (subjectUri: string) => ({ subjectUri, count: 0, dids: [] });
    expect(await knownLikers([post], 0)).toEqual([none(post.uri)]);
    expect(await knownLikers([post], -1)).toEqual([none(post.uri)]);
    const uris = ['', 'nonsense', `at://${didOf('nobody')}/a.b.c/d`, `at://${author}`];
    expect(await knownLikers(uris.map((uri) => ({ uri })))).toEqual(uris.map(none));
    for (const actorDid of [didOf('nobody'), '', 'nonsense']) {
      const { results } = await routed.ask('GetKnownLikers', { actorDid, subjectUris: [post.uri], limit: 5 });
      expect(results).toEqual([none(post.uri)]);
    }
    expect(await knownLikers([])).toEqual([]);
  });

  it('are asked for few records at a time', async () => {
    const subjectUris = Array.from({ length: 201 }, () => `at://${author}/app.bsky.feed.post/1`);
    const error = await refusal(routed.ask('GetKnownLikers', { actorDid: viewer, subjectUris, limit: 3 }));
    expect(error.code).toBe('ResourceExhausted');
  });
});
