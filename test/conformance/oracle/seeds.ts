/** Runs the official seeds and ours on one network. */
import { authorFeedSeed, followsSeed, quotesSeed, repostsSeed, seedThreadV2, usersBulkSeed } from '@atproto/dev-env';
import type { AtNetwork } from '../network/at-network.ts';
import { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';
import { type ChurnRecords, churnSeed } from './churn-seed.ts';
import { listSeed } from './list-seed.ts';

const bulkUsersMax = 40;

type Seed = (client: PrefixedSeedClient) => Promise<unknown>;

// The seeds' type is a network with the official AppView, of which they only use `processAll`.
const threads = seedThreadV2 as unknown as Readonly<Record<string, Seed>>;
const threadSeeds = ['simple', 'long', 'deep', 'branchingFactor', 'sort', 'bumpOpAndViewer', 'bumpFollows'] as const;

const seedsByPrefix: Readonly<Record<string, Seed>> = {
  'a-': authorFeedSeed as unknown as Seed,
  'q-': quotesSeed as unknown as Seed,
  'r-': repostsSeed as unknown as Seed,
  'f-': followsSeed as unknown as Seed,
};

/** Fills the network. Returns: once every joined plane has settled. */
export async function runSeeds(network: AtNetwork): Promise<ChurnRecords> {
  for (const [prefix, seed] of Object.entries(seedsByPrefix)) await seed(new PrefixedSeedClient(network, prefix));
  await usersBulkSeed(new PrefixedSeedClient(network, ''), bulkUsersMax);
  for (const name of threadSeeds) {
    const seed = threads[name];
    if (seed === undefined) throw new Error(`the official package has no thread seed ${name}`);
    await seed(new PrefixedSeedClient(network, ''));
  }
  await listSeed(new PrefixedSeedClient(network, 'l-'));
  return await churnSeed(new PrefixedSeedClient(network, 'c-'));
}
