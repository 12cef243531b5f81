/** Runs the official seeds and ours on one network. */
import {
  authorFeedSeed,
  basicSeed,
  followsSeed,
  quotesSeed,
  repostsSeed,
  seedThreadV2,
  usersBulkSeed,
  usersSeed,
  verificationsSeed,
} from '@atproto/dev-env';
import type { AtNetwork } from '../network/at-network.ts';
import { BsyncWriter } from '../network/bsync-writer.ts';
import type { Operator } from '../network/operator.ts';
import { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';
import { seedAppView, seedLabeler } from '../network/seed-tables.ts';
import { type ChurnRecords, churnSeed } from './churn-seed.ts';
import { listSeed } from './list-seed.ts';
import { operatorSeed, privateSeed } from './operator-seed.ts';

const bulkUsersMax = 40;

type Seed = (client: PrefixedSeedClient, labeler?: string) => Promise<unknown>;

// The seeds' type is a network with the official AppView, of which they use what all planes have.
const threads = seedThreadV2 as unknown as Readonly<Record<string, Seed>>;
const threadSeeds = [
  'simple',
  'long',
  'deep',
  'branchingFactor',
  'annotateMoreReplies',
  'annotateOP',
  'sort',
  'bumpOpAndViewer',
  'bumpGroupSorting',
  'bumpFollows',
  'blockDeletionAuth',
  'mutes',
  'threadgated',
  'tags',
] as const;

const seedsByPrefix: Readonly<Record<string, Seed>> = {
  'u-': usersSeed as unknown as Seed,
  'b-': basicSeed as unknown as Seed,
  'a-': authorFeedSeed as unknown as Seed,
  'q-': quotesSeed as unknown as Seed,
  'r-': repostsSeed as unknown as Seed,
  'f-': followsSeed as unknown as Seed,
  'v-': verificationsSeed as unknown as Seed,
};

/** Fills the network. Returns: once every joined plane has settled. */
export async function runSeeds(network: AtNetwork, operators: readonly Operator[]): Promise<ChurnRecords> {
  const dropHandle = async (did: string): Promise<void> => await network.dropHandle(did);
  network.bsky = seedAppView({ operators, dropHandle });
  for (const [prefix, seed] of Object.entries(seedsByPrefix)) await seed(new PrefixedSeedClient(network, prefix));
  await usersBulkSeed(new PrefixedSeedClient(network, ''), bulkUsersMax);
  for (const name of threadSeeds) {
    const seed = threads[name];
    if (seed === undefined) throw new Error(`the official package has no thread seed ${name}`);
    await network.processAll();
    // Of the others, a second argument is something else.
    await seed(new PrefixedSeedClient(network, ''), ...(name === 'blockDeletionAuth' ? [seedLabeler] : []));
  }
  const lists = await listSeed(new PrefixedSeedClient(network, 'l-'));
  const seeded = await churnSeed(new PrefixedSeedClient(network, 'c-'));
  await privateSeed(new BsyncWriter(network.bsync.url), seeded, lists);
  await operatorSeed(operators, seeded);
  await network.processAll();
  return seeded;
}
