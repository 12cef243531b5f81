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
  'site',
  'declaration',
  'verification',
  'invalid',
] satisfies OperationKind[]);

/** Operations that reach the planes by bsync. */
const bsyncKinds: ReadonlySet<string> = new Set(Object.keys(privateOperations));

/** Operations that every plane must have seen before anything else happens. */
const accountKinds: ReadonlySet<OperationKind> = new Set([
  'handle',
  'deactivate',
  'activate',
  'delete account',
] satisfies OperationKind[]);

/** Operations that no PDS takes part in. */
function isAside(kind: OperationKind): boolean {
  return bsyncKinds.has(kind) || kind in operatorOperations || (kind in accountOperations && !accountKinds.has(kind));
}

/** What is not settled since it was written. */
class Unsettled {
  /** Accounts whose writes an official plane may not have indexed. */
  readonly #byOfficial = new Set<number>();
  #byAny = false;
  #isBsync = false;
  #isAccount = false;

  /** Settles what the operation may not overtake. */
  async settleBefore({ network }: Community['seed'], { kind, by }: Operation): Promise<void> {
    const isWhole = isAside(kind) || accountKinds.has(kind);
    const isOvertaken = this.#isAccount || (this.#isBsync && !bsyncKinds.has(kind));
    if (isOvertaken || (isWhole && this.#byAny)) {
      await network.processAll();
      this.#byOfficial.clear();
      this.#byAny = false;
      this.#isBsync = false;
      this.#isAccount = false;
    } else if (!isWhole && !unjudgedKinds.has(kind) && [...this.#byOfficial].some((other) => other !== by)) {
      await network.processOfficial();
      this.#byOfficial.clear();
    }
  }

  add({ kind, by }: Operation): void {
    this.#isBsync ||= bsyncKinds.has(kind);
    this.#isAccount ||= accountKinds.has(kind);
    if (isAside(kind)) return;
    this.#byOfficial.add(by);
    this.#byAny = true;
  }
}

/**
 * Performs all operations in order.
 *
 * The official plane judges a record by what it has indexed of others, so it settles before each
 * that the unsettled writes of another account can influence: else its races would be compared.
 * Ours judges by the times of events, in whatever order they arrive, so it settles only before what
 * has no event: private writes, those of operators, and changes of accounts.
 */
export async function performAll(community: Community, history: readonly Operation[]): Promise<void> {
  const unsettled = new Unsettled();
  for (const operation of history) {
    await unsettled.settleBefore(community.seed, operation);
    const before = community.trace.length;
    await performByKind[operation.kind](community, operation);
    if (community.trace.length > before) unsettled.add(operation);
  }
  await community.writer.settle();
}
