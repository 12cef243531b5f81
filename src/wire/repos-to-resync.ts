/** The answer to `slot.reposToResync`: DIDs of the node whose repo needs a resync. */
import * as v from 'valibot';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** Repos named in one answer; the rest come in the next, when these have been fetched. */
export const resyncReposMax = 1_000;

/** The answer's bytes. */
export const reposToResyncAnswer = controlMessage(
  nodeCalls.reposToResync,
  v.pipe(v.array(v.string()), v.maxLength(resyncReposMax)),
);
