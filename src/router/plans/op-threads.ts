/** Two steps for posts' threads: posts → the roots that they claim → what the roots' slots know. */

import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { decodeOpThreadsAnswer } from '../../wire/thread-messages.ts';
import { groupByOwner, ungroup } from '../plan/owner-groups.ts';
import type { PlanContext } from '../plan/plan.ts';
import { didOfUri } from '../plan/slot-finder.ts';

/**
 * Returns for each post the URI of the root that it claims (its own when it is no reply), '' when
 * it does not exist.
 */
export async function claimedRoots(uris: readonly string[], { fanOut, deadlineMs }: PlanContext): Promise<string[]> {
  const groups = groupByOwner(uris, didOfUri, fanOut);
  const subRequests = groups.map(({ node, texts }) => ({ node, payload: encodeTexts(texts) }));
  const answers = await fanOut.askAll(nodeCalls.postRoots, subRequests, deadlineMs);
  return ungroup(uris.length, groups, answers.map(decodeTexts), '', nodeCalls.postRoots);
}

/** One root with its OP thread, root first. */
export type OpThread = { readonly rootUri: string; readonly uris: readonly string[] };

/** Returns the OP threads of the posts' roots, each root once, only those that have one. */
export async function opThreadsOf(uris: readonly string[], context: PlanContext): Promise<OpThread[]> {
  const roots = [...new Set(await claimedRoots([...new Set(uris)], context))].filter((root) => root !== '');
  const groups = groupByOwner(roots, didOfUri, context.fanOut);
  const subRequests = groups.map(({ node, texts }) => ({ node, payload: encodeTexts(texts) }));
  const answers = await context.fanOut.askAll(nodeCalls.opThreads, subRequests, context.deadlineMs);
  const threads = ungroup<readonly string[]>(
    roots.length,
    groups,
    answers.map(decodeOpThreadsAnswer),
    [],
    nodeCalls.opThreads,
  );
  return roots.flatMap((rootUri, index) => (threads[index]!.length === 0 ? [] : [{ rootUri, uris: threads[index]! }]));
}
