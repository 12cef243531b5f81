/** Performs a random history on a network and its planes. */
import type { Community } from './community.ts';
import type { Operation, OperationKind } from './operation.ts';
import { accountOperations } from './perform-accounts.ts';
import { graphOperations } from './perform-graph.ts';
import { operatorOperations } from './perform-operator.ts';
import { type Perform, postOperations } from './perform-posts.ts';
import { privateOperations } from './perform-private.ts';

const performByKind: Readonly<Record<OperationKind, Perform>> = {
  ...postOperations,
  ...graphOperations,
  ...accountOperations,
  ...privateOperations,
  ...operatorOperations,
};

/**
 * Operations that only their own repo's state and the reads influence: the official plane judges
 * none of them by what it has indexed of others.
 */
const unjudgedKinds: ReadonlySet<OperationKind> = new Set([
  'like',
  'repost',
  'follow',
  'block',
  'list',
  'list item',
  'list block',
  'list opt-out',
  'starter pack',
  'feed',
  'labeler',
  'profile',
  'status',
  'declaration',
  'verification',
  'invalid',
] satisfies OperationKind[]);

/**
 * Performs all operations in order.
 *
 * Every plane settles before each that another account can influence, as the official plane judges
 * by what it has indexed: unsettled histories would compare its races.
 */
export async function performAll(community: Community, history: readonly Operation[]): Promise<void> {
  let isSettled = true;
  for (const operation of history) {
    const mustSettle: boolean = !unjudgedKinds.has(operation.kind) && !isSettled;
    if (mustSettle) await community.writer.settle();
    const before = community.trace.length;
    await performByKind[operation.kind](community, operation);
    isSettled = (isSettled || mustSettle) && community.trace.length === before;
  }
  await community.writer.settle();
}
