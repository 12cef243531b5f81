/** Performs a random history on a network and its planes. */
import type { Community } from './community.ts';
import type { Operation, OperationKind } from './operation.ts';
import { accountOperations } from './perform-accounts.ts';
import { graphOperations } from './perform-graph.ts';
import { type Perform, postOperations } from './perform-posts.ts';
import { privateOperations } from './perform-private.ts';

const performByKind: Readonly<Record<OperationKind, Perform>> = {
  ...postOperations,
  ...graphOperations,
  ...accountOperations,
  ...privateOperations,
};

/** Operations on which nothing of another account depends. */
const localKinds: ReadonlySet<OperationKind> = new Set([
  'declaration',
  'feed',
  'invalid',
  'labeler',
  'list',
  'status',
] satisfies OperationKind[]);

/**
 * Performs all operations in order.
 *
 * Every plane settles after each, as the official plane judges by what it has indexed: unsettled
 * histories would compare its races. Shape: `leftOut` are kinds that a plane does not judge yet.
 */
export async function performAll(
  community: Community,
  history: readonly Operation[],
  leftOut: ReadonlySet<OperationKind>,
): Promise<void> {
  let isSettled = true;
  for (const operation of history) {
    if (leftOut.has(operation.kind)) continue;
    const isLocal = localKinds.has(operation.kind);
    if (!isLocal && !isSettled) await community.writer.settle();
    const before = community.trace.length;
    await performByKind[operation.kind](community, operation);
    isSettled = (isSettled || !isLocal) && community.trace.length === before;
  }
  await community.writer.settle();
}
