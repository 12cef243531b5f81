/** Lists: members, counts, opt-outs. */
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { fieldOf } from '../../proto/fields.ts';
import { decodeListFacts, type ListFacts } from '../../wire/list-messages.ts';
import { encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { byItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { groupByOwner, ungroup } from '../plan/owner-groups.ts';
import { type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { didOfUri } from '../plan/slot-finder.ts';

const missingList: ListFacts = { exists: false, isReference: false, createdMs: 0, cid: Buffer.alloc(0) };

/** Returns what the records of lists say, each asked in the slot of the list's owner. */
async function listFactsOf(uris: readonly string[], { fanOut, deadlineMs }: PlanContext): Promise<ListFacts[]> {
  const groups = groupByOwner(uris, didOfUri, fanOut);
  const subRequests = groups.map(({ node, texts }) => ({ node, payload: encodeTexts(texts) }));
  const answers = await fanOut.askAll(nodeCalls.lists, subRequests, deadlineMs);
  return ungroup(uris.length, groups, answers.map(decodeListFacts), missingList, nodeCalls.lists);
}

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
