/** Relations between actors are those of the edges, each in its own direction. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { didOf } from '../../../support/fake-nodes.ts';
import { RouterPlans } from '../../../support/router-plans.ts';

let plans: RouterPlans;
beforeEach(() => {
  plans = new RouterPlans();
});

describe('relations', () => {
  const anyEdges = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 })), {
    maxLength: 60,
  });

  function fill(table: Map<string, Map<string, string>>, edges: readonly (readonly [number, number])[]): void {
    table.clear();
    for (const [from, to] of edges) {
      const edgesOf = table.get(didOf(from)) ?? new Map<string, string>();
      table.set(didOf(from), edgesOf.set(didOf(to), `k${from}-${to}`));
    }
  }

  const uri = (has: boolean, from: number, to: number, collection: string): string =>
    has ? `at://${didOf(from)}/${collection}/k${from}-${to}` : '';

  test('each relation is reported in its own direction', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyEdges,
        anyEdges,
        fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 20 }),
        async (follows, blocks, targets) => {
          fill(plans.nodes.network.follows, follows);
          fill(plans.nodes.network.blocks, blocks);
          const has = (table: Map<string, Map<string, string>>, a: number, b: number): boolean =>
            table.get(didOf(a))?.has(didOf(b)) === true;
          const { relationships } = await plans.ask('GetRelationships', {
            actorDid: didOf(0),
            targetDids: targets.map(didOf),
          });
          expect(relationships).toMatchObject(
            targets.map((target) => ({
              following: uri(has(plans.nodes.network.follows, 0, target), 0, target, 'app.bsky.graph.follow'),
              followedBy: uri(has(plans.nodes.network.follows, target, 0), target, 0, 'app.bsky.graph.follow'),
              blocking: uri(has(plans.nodes.network.blocks, 0, target), 0, target, 'app.bsky.graph.block'),
              blockedBy: uri(has(plans.nodes.network.blocks, target, 0), target, 0, 'app.bsky.graph.block'),
            })),
          );
          // Both directions of a pair may occur in one request.
          const pairs = targets.flatMap((target) => [
            { a: didOf(1), b: didOf(target) },
            { a: didOf(target), b: didOf(1) },
          ]);
          const { exists, blocks: found } = await plans.ask('GetBlockExistence', { pairs });
          targets.forEach((target, index) => {
            const forward = uri(has(plans.nodes.network.blocks, 1, target), 1, target, 'app.bsky.graph.block');
            const reverse = uri(has(plans.nodes.network.blocks, target, 1), target, 1, 'app.bsky.graph.block');
            expect(found[2 * index]).toMatchObject({ blocking: forward, blockedBy: reverse });
            expect(found[2 * index + 1]).toMatchObject({ blocking: reverse, blockedBy: forward });
            expect(exists[2 * index]).toBe(forward !== '' || reverse !== '');
            expect(exists[2 * index + 1]).toBe(exists[2 * index]);
          });
          const either = await plans.ask('GetBidirectionalBlock', { actorDid: didOf(2), targetDid: didOf(3) });
          const forward = uri(has(plans.nodes.network.blocks, 2, 3), 2, 3, 'app.bsky.graph.block');
          expect(either.blockUri).toBe(
            forward || uri(has(plans.nodes.network.blocks, 3, 2), 3, 2, 'app.bsky.graph.block'),
          );
        },
      ),
    );
  });

  test('known followers are those whom the viewer follows and who follow the target', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyEdges,
        fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 5 }),
        async (follows, targets) => {
          fill(plans.nodes.network.follows, follows);
          const { results } = await plans.ask('GetFollowsFollowing', {
            actorDid: didOf(0),
            targetDids: targets.map(didOf),
          });
          const mine = [...(plans.nodes.network.follows.get(didOf(0))?.keys() ?? [])];
          expect(results).toEqual(
            targets.map((target) => ({
              targetDid: didOf(target),
              dids: mine.filter((did) => plans.nodes.network.follows.get(did)?.has(didOf(target))),
            })),
          );
        },
      ),
    );
  });

  test('a malformed DID has no relations', async () => {
    const { relationships } = await plans.ask('GetRelationships', {
      actorDid: didOf(1),
      targetDids: ['', 'x', didOf(2)],
    });
    expect(relationships.map(({ following }) => following)).toEqual(['', '', '']);
    expect(await plans.ask('GetBlockExistence', { pairs: [{ a: '', b: 'y' }] })).toMatchObject({ exists: [false] });
  });
});
