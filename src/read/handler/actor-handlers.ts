/** Reads about actors: infos, counts, handles, identities, takedowns, notifications. */
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import {
  actorTakedown,
  blobTakedown,
  didOfAskedHandle,
  latestRev,
  notificationSeenMs,
  recordTakedown,
  storedIdentity,
} from '../answer/actor-facts.ts';
import { actorInfoKeys, writeActorInfos } from '../answer/actor-infos.ts';
import { writeCountsForUsers } from '../answer/interaction-counts.ts';
import { newActorsOfSlots } from '../answer/new-actors.ts';
import { unreadCount, writeNotifications } from '../answer/notifications.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';
import type { RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';
import { byItem, type ReadRow, read, readMessage, sliced, writtenMessage } from './read-row.ts';

/** Yields the keys of the rows of a request's actors that are not cached. */
function* actorKeys({ lookup, actors }: ReadContext, request: Buffer): Generator<RowKey> {
  const scanner = new FieldScanner(request, 'dids');
  while (scanner.nextOf(fieldNumber.GetActorsRequest.dids)) {
    if (actors.cache.has(request, scanner.start, scanner.end)) continue;
    const did = request.utf8Slice(scanner.start, scanner.end);
    const state = lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner !== undefined) for (const key of actorInfoKeys(owner)) yield { state, key };
  }
}

/** About what a handle takes. */
const handleMicros = 5;

function writeDidsOfHandles(into: MessageWriter, { lookup, turn }: ReadContext, request: Buffer): number | null {
  const { handles } = decodeMessage('GetDidsByHandlesRequest', request);
  for (let count = 1; count <= handles.length; count++) {
    into.textField(fieldNumber.GetDidsByHandlesResponse.dids, didOfAskedHandle(lookup, handles[count - 1]!));
    if (turn.isOver(handleMicros) && count < handles.length) return count;
  }
  return null;
}

export const actorReads: readonly ReadRow[] = [
  byItem('bsky.GetActors', writeActorInfos, actorKeys),
  byItem('bsky.GetCountsForUsers', writeCountsForUsers),
  byItem('bsky.GetDidsByHandles', writeDidsOfHandles),
  sliced(nodeCalls.newActors, function* (into, { lookup, turn }, request) {
    const [startMs = 0, endMs = 0] = decodeTexts(request).map(Number);
    const { slots, actors } = yield* newActorsOfSlots(lookup, { startMs, endMs }, turn);
    into.raw(encodeTexts([String(slots), String(actors)]));
  }),
  readMessage('GetLatestRev', ({ lookup }, { actorDid }) => ({ rev: latestRev(lookup.stateOf(actorDid), actorDid) })),
  read(
    nodeCalls.identity,
    decodeTexts,
    ({ lookup }, [did]) => (did === undefined ? {} : storedIdentity(lookup.stateOf(did), did)),
    (identity) => encodeMessage('GetIdentityByDidResponse', identity),
  ),
  readMessage('GetActorTakedown', ({ lookup }, { did }) => actorTakedown(lookup.stateOf(did), did)),
  readMessage('GetBlobTakedown', ({ lookup }, { did, cid }) => blobTakedown(lookup.stateOf(did), did, cid)),
  readMessage('GetRecordTakedown', ({ lookup }, { recordUri }) => recordTakedown(lookup, recordUri)),
  writtenMessage('GetNotifications', (into, { lookup, edges }, page) =>
    writeNotifications(into, { state: lookup.stateOf(page.actorDid), did: page.actorDid, edges }, page, page.priority),
  ),
  readMessage('GetNotificationSeen', ({ lookup }, { actorDid }) => ({
    timestamp: notificationSeenMs(lookup.stateOf(actorDid), actorDid),
  })),
  readMessage('GetUnreadNotificationCount', ({ lookup }, { actorDid }) => ({
    count: unreadCount(lookup.stateOf(actorDid), actorDid),
  })),
];
