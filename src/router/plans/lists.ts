/** Lists: members, counts, opt-outs. */
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { fieldOf } from '../../proto/fields.ts';
import { byItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { listFactsOf } from './list-facts.ts';
import { listFeedOf } from './list-feed.ts';

const optOutMethod = 'GetReferencelistoptoutsByActorAndSubjects';
const optOuts = oneSlot({
  method: optOutMethod,
  owner: 'actorDid',
  items: { request: 'subjectUris', response: 'uris' },
});

/** The actor's opt-outs, but for lists whose record does not call them reference lists. */
async function referenceListOptOuts(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { subjectUris } = decodeMessage(`${optOutMethod}Request`, request);
  const answer = await optOuts.run(request, context);
  const { uris } = decodeMessage(`${optOutMethod}Response`, answer);
  const indexes = uris.flatMap((uri, index) => (uri === '' ? [] : [index]));
  if (indexes.length === 0) return answer;
  const facts = await listFactsOf(
    indexes.map((index) => subjectUris[index]!),
    context,
  );
  const outside = new Set(indexes.filter((_index, at) => !facts[at]!.isReference));
  return encodeMessage(`${optOutMethod}Response`, { uris: uris.map((uri, index) => (outside.has(index) ? '' : uri)) });
}

export const listPlans: readonly Plan[] = [
  {
    method: 'GetListFeed',
    timeoutMs: 2 * planDefaults.timeoutMs,
    isShared: true,
    run: (request, context) => listFeedOf(decodeMessage('GetListFeedRequest', request), context),
  },
  oneSlot({ method: 'GetActorLists', owner: 'actorDid' }),
  oneSlot({ method: 'GetListMembers', owner: 'listUri', shape: 'uri' }),
  oneSlot({ method: 'GetListCount', owner: 'listUri', shape: 'uri' }),
  byItem({
    method: 'GetListCounts',
    items: { ...fieldOf('GetListCountsRequest', 'refs'), shape: 'ref', malformed: 'missing' },
    answers: [{ number: fieldOf('GetListCountsResponse', 'listItems').number, form: 'packed' }],
  }),
  oneSlot({
    method: 'GetListMembership',
    owner: 'actorDid',
    items: { request: 'listUris', response: 'listitemUris' },
  }),
  oneSlot({ method: 'GetBlocklistSubscription', owner: 'actorDid' }),
  { method: optOutMethod, timeoutMs: planDefaults.timeoutMs, isShared: true, run: referenceListOptOuts },
];
