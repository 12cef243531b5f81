/** Posts' threads in two steps: posts → the roots that they claim → the threads in those slots. */
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { decodeOpThreadsAnswer } from '../../wire/thread-messages.ts';
import { whenThere } from '../plan/at-once.ts';
import { groupByOwner, ungroup } from '../plan/owner-groups.ts';
import type { PlanContext } from '../plan/plan.ts';
import { didOfUri } from '../plan/slot-finder.ts';

/** Returns the root that each post claims: itself if it is no reply, '' if it does not exist. */
export function claimedRoots(
  uris: readonly string[],
  { fanOut, deadlineMs }: PlanContext,
): Promise<string[]> | string[] {
  const groups = groupByOwner(uris, didOfUri, fanOut);
  const subRequests = groups.map(({ node, texts }) => ({ node, payload: encodeTexts(texts) }));
  return whenThere(fanOut.askAll(nodeCalls.postRoots, subRequests, deadlineMs), (answers) =>
    ungroup(uris.length, groups, answers.map(decodeTexts), '', nodeCalls.postRoots),
  );
}

/** `uris` begins with the root. */
export type OpThread = { readonly rootUri: string; readonly uris: readonly string[] };

/** Returns the OP threads of the posts' roots, each once; roots without one are left out. */
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
