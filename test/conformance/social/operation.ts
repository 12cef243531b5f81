/**
 * A random social history as data: a list of operations.
 *
 * An operation names other records by numbers that choose among those that exist when it runs, so
 * that a list stays meaningful when some of its operations are left out.
 */
import fc from 'fast-check';

/** How often each kind of operation occurs, relative to the others. */
const weights = {
  post: 16,
  reply: 20,
  'reply before its parent': 2,
  'late parent': 3,
  like: 10,
  repost: 6,
  follow: 9,
  block: 4,
  list: 4,
  'list item': 8,
  'list block': 4,
  'list opt-out': 4,
  'thread gate': 5,
  'post gate': 4,
  'starter pack': 2,
  feed: 2,
  labeler: 1,
  profile: 3,
  status: 2,
  site: 3,
  declaration: 3,
  verification: 3,
  update: 8,
  delete: 10,
  recreate: 5,
  invalid: 2,
  handle: 2,
  deactivate: 1,
  activate: 2,
  'delete account': 0.3,
  'take down actor': 2,
  'restore actor': 1,
  'take down record': 5,
  'restore record': 3,
  'take down blob': 4,
  'restore blob': 4,
  'upstream status': 0.5,
  'notifications seen': 2,
  mute: 4,
  unmute: 2,
  'clear mutes': 0.5,
  'mute list': 3,
  'unmute list': 1,
  'clear list mutes': 0.5,
  'mute thread': 3,
  'unmute thread': 1,
  'clear thread mutes': 0.5,
  label: 5,
  'trust a verifier': 1.5,
  'tag a record': 1,
  suggest: 6,
  bookmark: 4,
  draft: 3,
  'activity subscription': 3,
  'notification preferences': 1,
  'notification priority': 1,
  'set age assurance': 3,
  'clear age assurance': 2,
  'age assurance': 3,
  'mute an actor at bsync': 3,
  'mute a record at bsync': 3,
  'clear mutes at bsync': 0.5,
} as const;

export type OperationKind = keyof typeof weights;

/** When a record says it was made: now, years ago, at one time shared by many, or later. */
const ages = ['now', 'now', 'now', 'now', 'old', 'same', 'future'] as const;

export type Age = (typeof ages)[number];

/** One step of a history. Each kind uses the fields that it needs. */
export interface Operation {
  readonly kind: OperationKind;
  /** Identifies the record that the operation makes. */
  readonly id: number;
  /** The acting account. */
  readonly by: number;
  /** Another account, or the same. */
  readonly whom: number;
  /** Chooses a record. */
  readonly first: number;
  /** Chooses another record. */
  readonly second: number;
  /** Chooses a variant of the kind. */
  readonly variant: number;
  readonly age: Age;
}

export const accountCount = 6;
export const idsMax = 2 ** 30;
export const variantCount = 12;

const kinds = fc.oneof(
  ...Object.entries(weights).map(([kind, weight]) => ({
    weight: Math.round(weight * 10),
    arbitrary: fc.constant(kind as OperationKind),
  })),
);

const operation = fc.record({
  kind: kinds,
  id: fc.noBias(fc.nat(idsMax - 1)),
  whom: fc.noBias(fc.nat(accountCount - 1)),
  first: fc.noBias(fc.nat(idsMax - 1)),
  second: fc.noBias(fc.nat(idsMax - 1)),
  variant: fc.noBias(fc.nat(variantCount - 1)),
  age: fc.constantFrom(...ages),
});

/** What one account does before another acts: planes need to settle only between two sessions. */
const session: fc.Arbitrary<readonly Operation[]> = fc
  .record({
    by: fc.noBias(fc.nat(accountCount - 1)),
    operations: fc.noBias(fc.array(operation, { minLength: 1, maxLength: 7, size: 'max' })),
  })
  .map(({ by, operations }) => operations.map((each) => ({ ...each, by })));

const sessionCounts = { minLength: 25, maxLength: 50, size: 'max' } as const;

/** The history of a seed, always the same. */
export function historyOf(seed: number): readonly Operation[] {
  return fc.sample(fc.noBias(fc.array(session, sessionCounts)), { seed, numRuns: 1 })[0]!.flat();
}
