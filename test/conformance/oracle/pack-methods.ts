/** Rows of the oracle's table: feed generators and starter packs of actors. */
import type { Facts } from './facts.ts';
import { listOf, type MethodName, type MethodRow } from './method-row.ts';

function byActor(method: MethodName): MethodRow {
  return {
    method,
    requests: (facts: Facts) => [...facts.dids, ...facts.unknownDids, ''].map((actorDid) => ({ actorDid })),
    paging: { field: 'uris', sortUri: String, compare: 'whole' },
    isFilled: (answer) => listOf(answer, 'uris').length > 0,
    // Not every network has feed generators or starter packs.
    mayBeEmpty: 'always',
  };
}

/** Feed generators, starter packs. */
export const packMethods: readonly MethodRow[] = [byActor('getActorFeeds'), byActor('getActorStarterPacks')];
