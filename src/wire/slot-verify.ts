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
 * `look`: how far that is. `end`: it is needed no more.
 */
export const verifyActions = ['open', 'read', 'look', 'end'] as const;
export type VerifyAction = (typeof verifyActions)[number];

export const verifyRequest = controlMessage(nodeCalls.verify, v.object({ slot, action: v.picklist(verifyActions) }));
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
});
export type CopyReading = Readonly<v.InferOutput<typeof copyReading>>;
export const verifyAnswer = controlMessage(nodeCalls.verify, copyReading);

/** With `isDryRun` it is only said whether the node may. */
export const rebuildRequest = controlMessage(nodeCalls.rebuild, v.object({ slot, isDryRun: v.boolean() }));

/** What operators ask of a router. `node` is a name in the map. */
export const verifyAsked = objectShape({
  slot,
  action: v.picklist(['begin', 'look', 'end'], 'must be begin, look or end'),
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
