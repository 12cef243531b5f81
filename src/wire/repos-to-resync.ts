/** The call `slot.reposToResync`: pages of the DIDs of a node whose repos need a resync. */
import * as v from 'valibot';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** DIDs in one page. */
export const resyncReposMax = 1_000;

/** Where a page begins: in this slot, after this DID; '' for the slot's first. */
const positionShape = v.object({ slot: v.pipe(v.number(), v.integer(), v.minValue(0)), after: v.string() });
export type ResyncPosition = v.InferOutput<typeof positionShape>;

export const reposToResyncRequest = controlMessage(nodeCalls.reposToResync, positionShape);

/** `next` begins the next page; null after the last one. */
export const reposToResyncAnswer = controlMessage(
  nodeCalls.reposToResync,
  v.object({
    dids: v.pipe(v.array(v.string()), v.maxLength(resyncReposMax)),
    next: v.nullable(positionShape),
  }),
);
