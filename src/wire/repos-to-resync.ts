/** The answer to `slot.reposToResync`: DIDs of the node whose repos need a resync. */
import * as v from 'valibot';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** Further repos come in the next answer, once these have been fetched. */
export const resyncReposMax = 1_000;

export const reposToResyncAnswer = controlMessage(
  nodeCalls.reposToResync,
  v.pipe(v.array(v.string()), v.maxLength(resyncReposMax)),
);
