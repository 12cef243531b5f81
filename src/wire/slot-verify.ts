/**
 * The messages by which copies of a slot are compared: each node reads its own as it is at one
 * seq, beside serving; and the order to begin one again from a copy of another node.
 */
import * as v from 'valibot';
import { objectShape, textShape, wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const slot = wholeNumberShape(0, 65_535);
const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);

/**
 * `open`: the slot as it is now, and once more at each asking. `read`: all rows of it from then on.
 * `look`: how far that is. `groups`: which rows are in some groups of those that were read, or for
 * no `pick` a sum of each group; asked again until it is there. `end`: it is needed no more.
 */
export const verifyActions = ['open', 'read', 'look', 'groups', 'end'] as const;
export type VerifyAction = (typeof verifyActions)[number];

/** Rows are in groups by their keys: small enough to name the rows of one that differs. */
const rowsPerGroup = 64;
export const groupCountMax = 2 ** 14;
/** How many groups are looked at row by row. */
export const groupsPickedMax = 4;
/** Rows of the groups that are picked; of more, those with the lowest keys, as they are hashed. */
export const rowsListedMax = 4_096;

/** Returns into how many groups so many rows are divided: a power of two. */
export function groupCountOf(rows: number): number {
  let count = 1;
  while (count < groupCountMax && count * rowsPerGroup < rows) count *= 2;
  return count;
}

const groupsAsked = v.object({
  count: wholeNumberShape(1, groupCountMax),
  pick: v.pipe(v.array(wholeNumberShape(0, groupCountMax - 1)), v.maxLength(groupsPickedMax)),
});
export type GroupsAsked = Readonly<v.InferOutput<typeof groupsAsked>>;

export const verifyRequest = controlMessage(
  nodeCalls.verify,
  v.object({ slot, action: v.picklist(verifyActions), groups: v.optional(v.nullable(groupsAsked), null) }),
);
/** One row: hashes of key and value, and what it is, without what it holds. */
const rowListed = v.object({ key: v.string(), value: v.string(), what: v.string() });
export type RowListed = Readonly<v.InferOutput<typeof rowListed>>;
const groupsRead = v.object({
  /** Eight hexadecimal digits a group, in their order; '' where rows were asked for. */
  sums: v.string(),
  /** By the hashes of their keys. */
  rows: v.array(rowListed),
});
export type GroupsRead = Readonly<v.InferOutput<typeof groupsRead>>;
const copyReading = v.object({
  generation: count,
  /** The last seq that is applied in what is read; inclusive. */
  seq: count,
  rows: count,
  rowsDone: count,
  /** Of all rows; null until they are read. */
  digest: v.nullable(v.string()),
  /** Why its rows cannot be read; '' as long as they can. */
  damage: v.string(),
  /** What was asked of groups; null until it is there. */
  groups: v.optional(v.nullable(groupsRead), null),
});
export type CopyReading = Readonly<v.InferOutput<typeof copyReading>>;
const itemsPerRow = 8;
export const verifyAnswer = controlMessage(nodeCalls.verify, copyReading, 64 + itemsPerRow * rowsListedMax);

/** With `isDryRun` it is only said whether the node may. */
export const rebuildRequest = controlMessage(nodeCalls.rebuild, v.object({ slot, isDryRun: v.boolean() }));

/** What operators ask of a router. `node` is a name in the map. */
export const verifyAsked = objectShape({
  slot,
  action: v.picklist(['begin', 'look', 'rows', 'end'], 'must be begin, look, rows or end'),
});
export const rebuildAsked = objectShape({ slot, node: textShape, isDryRun: v.boolean('must be true or false') });

/**
 * One copy of a slot, as a router answers it. `problem` says why it is not compared, `damage` why
 * its rows cannot be read; both are '' for a copy that is read.
 */
export type VerifiedCopy = {
  readonly node: string;
  readonly role: 'primary' | 'replica';
  readonly seq: number;
  readonly rows: number;
  readonly rowsDone: number;
  readonly digest: string | null;
  readonly problem: string;
  readonly damage: string;
};
