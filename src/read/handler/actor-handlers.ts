/** Reads about one actor or many: infos, counts, handles, identity, takedowns, notifications. */

import { parseRecordUri } from '../../atproto/compact-key.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { asBuffer, FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { didOfHandle } from '../../slot/table/handle-claim.ts';
import { decodeTexts } from '../../wire/message.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import {
  actorTakedown,
  blobTakedown,
  identityAnswer,
  latestRev,
  notificationSeenMs,
  recordTakedown,
} from '../answer/actor-facts.ts';
import { actorInfoKeys, writeActorInfos } from '../answer/actor-infos.ts';
import { writeCountsForUsers } from '../answer/interaction-counts.ts';
import { notificationsAnswer, unreadCount } from '../answer/notifications.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';
import { prefetching, type RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';

const emptyAnswer = Buffer.alloc(0);
/** Handles longer than this are in no key. Units: characters. */
const handleLengthMax = 253;

function* actorKeys({ lookup, actors }: ReadContext, request: Buffer): Generator<RowKey> {
  const scanner = new FieldScanner(request, 'dids');
  while (scanner.nextOf(fieldNumber.GetActorsRequest.dids)) {
    if (actors.has(request, scanner.start, scanner.end)) continue;
    const did = request.utf8Slice(scanner.start, scanner.end);
    const state = lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner !== undefined) for (const key of actorInfoKeys(owner)) yield { state, key };
  }
}

function didsByHandles({ lookup }: ReadContext, request: Uint8Array): Buffer {
  const { handles } = decodeMessage('GetDidsByHandlesRequest', request);
  const dids = handles.map((asked) => {
    const handle = asked.toLowerCase();
    return handle.length > handleLengthMax ? '' : (didOfHandle(lookup.stateOf(handle), handle) ?? '');
  });
  return encodeMessage('GetDidsByHandlesResponse', { dids });
}

function recordTakedownAnswer({ lookup }: ReadContext, request: Uint8Array): Buffer {
  const { recordUri } = decodeMessage('GetRecordTakedownRequest', request);
  const ref = parseRecordUri(recordUri);
  return ref === undefined
    ? emptyAnswer
    : encodeMessage('GetRecordTakedownResponse', recordTakedown(lookup.stateOf(ref.did), recordUri));
}

function identity({ lookup }: ReadContext, request: Uint8Array): Buffer {
  const [did] = decodeTexts(request);
  return did === undefined ? emptyAnswer : identityAnswer(lookup.stateOf(did), did);
}

/** The handlers of reads about actors. */
export function actorReads(context: ReadContext): Map<string, CallHandler> {
  const { answer, lookup, finder, actors } = context;
  const readInfos = (request: Buffer): Buffer => {
    writeActorInfos(answer.clear(), actors, request);
    return answer.view();
  };
  return new Map<string, CallHandler>([
    ['bsky.GetActors', prefetching(context, readInfos, (request) => actorKeys(context, request))],
    ['bsky.GetDidsByHandles', (payload) => didsByHandles(context, payload)],
    [
      'bsky.GetCountsForUsers',
      (payload) => {
        writeCountsForUsers(answer.clear(), finder, asBuffer(payload));
        return answer.view();
      },
    ],
    [
      'bsky.GetLatestRev',
      (payload) => {
        const { actorDid } = decodeMessage('GetLatestRevRequest', payload);
        return encodeMessage('GetLatestRevResponse', { rev: latestRev(lookup.stateOf(actorDid), actorDid) });
      },
    ],
    [
      'bsky.GetActorTakedown',
      (payload) => {
        const { did } = decodeMessage('GetActorTakedownRequest', payload);
        return encodeMessage('GetActorTakedownResponse', actorTakedown(lookup.stateOf(did), did));
      },
    ],
    [
      'bsky.GetBlobTakedown',
      (payload) => {
        const { did, cid } = decodeMessage('GetBlobTakedownRequest', payload);
        return encodeMessage('GetBlobTakedownResponse', blobTakedown(lookup.stateOf(did), did, cid));
      },
    ],
    ['bsky.GetRecordTakedown', (payload) => recordTakedownAnswer(context, payload)],
    ['bsky.GetLabels', () => emptyAnswer],
    [nodeCalls.identity, (payload) => identity(context, payload)],
    ...notificationReads(context),
  ]);
}

function notificationReads({ lookup }: ReadContext): [string, CallHandler][] {
  return [
    [
      'bsky.GetNotifications',
      (payload) => {
        const request = decodeMessage('GetNotificationsRequest', payload);
        return notificationsAnswer(lookup.stateOf(request.actorDid), request.actorDid, request, request.priority);
      },
    ],
    [
      'bsky.GetNotificationSeen',
      (payload) => {
        const { actorDid } = decodeMessage('GetNotificationSeenRequest', payload);
        return encodeMessage('GetNotificationSeenResponse', {
          timestamp: notificationSeenMs(lookup.stateOf(actorDid), actorDid),
        });
      },
    ],
    [
      'bsky.GetUnreadNotificationCount',
      (payload) => {
        const { actorDid } = decodeMessage('GetUnreadNotificationCountRequest', payload);
        return encodeMessage('GetUnreadNotificationCountResponse', {
          count: unreadCount(lookup.stateOf(actorDid), actorDid),
        });
      },
    ],
  ];
}
