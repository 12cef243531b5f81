/**
 * Methods whose data is not ingested yet: bookmarks, thread mutes.
 *
 * Every view of the AppView asks for them, so each is answered as for a network without such data.
 */
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import { type Plan, planDefaults, requireItemsMax } from '../plan/plan.ts';

/** Returns a plan that answers from the request's items alone; `path` names them in errors. */
function absentPlan(
  method: MethodName,
  path: string,
  items: (request: Buffer) => readonly string[],
  answerFor: (items: readonly string[]) => Uint8Array,
): Plan {
  return {
    method,
    timeoutMs: planDefaults.timeoutMs,
    isShared: false,
    run: (request, context) => {
      const asked = items(request);
      requireItemsMax(asked.length, path);
      context.admit(asked.length);
      return answerFor(asked);
    },
  };
}

export const absentPlans: readonly Plan[] = [
  absentPlan(
    'GetBookmarksByActorAndSubjects',
    'GetBookmarksByActorAndSubjectsRequest.uris',
    (request) => decodeMessage('GetBookmarksByActorAndSubjectsRequest', request).uris,
    (uris) => encodeMessage('GetBookmarksByActorAndSubjectsResponse', { bookmarks: uris.map(() => ({})) }),
  ),
  absentPlan(
    'GetThreadMutesOnSubjects',
    'GetThreadMutesOnSubjectsRequest.threadRoots',
    (request) => decodeMessage('GetThreadMutesOnSubjectsRequest', request).threadRoots,
    (roots) => encodeMessage('GetThreadMutesOnSubjectsResponse', { muted: roots.map(() => false) }),
  ),
];
