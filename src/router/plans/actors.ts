/** Actors: rows by DID, DIDs by handle, and an actor's latest revision. */
import { encodeMessage } from '../../proto/codec.ts';
import { fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { byItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import type { Plan } from '../plan/plan.ts';

const noRecord = { record: Buffer.from('null') };

/** The official plane's answer for a DID without a row. */
const missingActor = lengthDelimitedField(
  fieldNumber.GetActorsResponse.actors,
  encodeMessage('ActorInfo', {
    profile: noRecord,
    statusRecord: noRecord,
    germRecord: noRecord,
    allowActivitySubscriptionsFrom: 'followers',
  }),
);

const { dids } = fieldNumber.GetDidsByHandlesResponse;

export const actorPlans: readonly Plan[] = [
  byItem({
    method: 'GetActors',
    items: { ...fieldOf('GetActorsRequest', 'dids'), shape: 'did', malformed: 'missing' },
    answers: [{ number: fieldNumber.GetActorsResponse.actors, form: 'lengthDelimited', missing: missingActor }],
  }),
  byItem({
    method: 'GetDidsByHandles',
    items: { ...fieldOf('GetDidsByHandlesRequest', 'handles'), shape: 'handle', malformed: 'missing' },
    answers: [{ number: dids, form: 'lengthDelimited', missing: lengthDelimitedField(dids, Buffer.alloc(0)) }],
  }),
  oneSlot({ method: 'GetLatestRev', owner: 'actorDid', isShared: false }),
];
