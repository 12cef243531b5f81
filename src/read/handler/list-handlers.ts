/** Reads of lists and of mutes. */
import { decodeMessage } from '../../proto/codec.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { encodeListFacts } from '../../wire/list-messages.ts';
import { decodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { recordSubject, urisOfEdges } from '../answer/edge-probes.ts';
import { listFactsOf, listMemberCount, writeListMembers, writeListMembership } from '../answer/list-pages.ts';
import { isListMuted, muteOf, mutesPage } from '../answer/mutes.ts';
import type { ReadContext } from './read-context.ts';
import { byItem, type ReadRow, readMessage, sliced } from './read-row.ts';

/** About what the count of a list takes. */
const countMicros = 3;

function writeListCounts(into: MessageWriter, { lookup, turn }: ReadContext, request: Buffer): number | null {
  const { refs } = decodeMessage('GetListCountsRequest', request);
  const start = into.begin(fieldNumber.GetListCountsResponse.listItems, 1);
  let answered = 0;
  for (const { uri } of refs) {
    into.varint(listMemberCount(lookup, uri));
    answered++;
    if (turn.isOver(countMicros)) break;
  }
  into.end(start, 1);
  return answered === refs.length ? null : answered;
}

export const listReads: readonly ReadRow[] = [
  sliced('bsky.GetListMembers', function* (into, { lookup, turn }, bytes) {
    yield* writeListMembers(into, lookup, decodeMessage('GetListMembersRequest', bytes), turn);
  }),
  readMessage('GetListCount', ({ lookup }, { listUri }) => ({ count: listMemberCount(lookup, listUri) })),
  byItem('bsky.GetListCounts', writeListCounts),
  sliced('bsky.GetListMembership', function* (into, { lookup, turn }, bytes) {
    const { actorDid: did, listUris } = decodeMessage('GetListMembershipRequest', bytes);
    yield* writeListMembership(into, { state: lookup.stateOf(did), did }, listUris, turn);
  }),
  sliced('bsky.GetReferencelistoptoutsByActorAndSubjects', function* (into, { lookup, turn }, bytes) {
    const { actorDid: did, subjectUris } = decodeMessage('GetReferencelistoptoutsByActorAndSubjectsRequest', bytes);
    const { uris } = fieldNumber.GetReferencelistoptoutsByActorAndSubjectsResponse;
    const actor = { state: lookup.stateOf(did), did };
    const found = yield* urisOfEdges(actor, 'list-opt-out', subjectUris.map(recordSubject), turn);
    for (const uri of found) into.textField(uris, uri);
  }),
  sliced(nodeCalls.lists, function* (into, { lookup, turn }, request) {
    into.raw(encodeListFacts(yield* listFactsOf(lookup, decodeTexts(request), turn)));
  }),
  sliced('bsky.GetBlocklistSubscription', function* (into, { lookup, turn }, bytes) {
    const { actorDid: did, listUri } = decodeMessage('GetBlocklistSubscriptionRequest', bytes);
    const [uri = ''] = yield* urisOfEdges(
      { state: lookup.stateOf(did), did },
      'list-block',
      [recordSubject(listUri)],
      turn,
    );
    into.optionalTextField(fieldNumber.GetBlocklistSubscriptionResponse.listblockUri, uri);
  }),
  readMessage('GetMutelistSubscription', ({ lookup }, { actorDid, listUri }) => ({
    subscribed: isListMuted(lookup.stateOf(actorDid), actorDid, listUri),
  })),
  readMessage('GetActorMutesActor', ({ lookup }, { actorDid, targetDid }) =>
    muteOf(lookup.stateOf(actorDid), actorDid, targetDid),
  ),
  readMessage('GetMutes', ({ lookup }, page) => mutesPage(lookup.stateOf(page.actorDid), page.actorDid, page)),
];
