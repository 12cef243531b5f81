/** Actors: rows by DID, DIDs by handle, and the revision that feeds are read at. */
import { encodeMessage } from '../../proto/codec.ts';
import { lengthDelimitedField } from '../../proto/fields.ts';
import { byItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import type { Plan } from '../plan/plan.ts';

const noRecord = { record: Buffer.from('null') };

/** What the official plane answers for a DID that no row has. */
const absentActor = lengthDelimitedField(
  1,
  encodeMessage('ActorInfo', {
    profile: noRecord,
    statusRecord: noRecord,
    germRecord: noRecord,
    allowActivitySubscriptionsFrom: 'followers',
  }),
);

/** The methods about actors. */
export const actorPlans: readonly Plan[] = [
  byItem({
    method: 'GetActors',
    items: { number: 1, place: 'GetActorsRequest.dids', shape: 'did', malformed: 'absent' },
    answers: [{ number: 1, form: 'lengthDelimited', absent: absentActor }],
  }),
  byItem({
    method: 'GetDidsByHandles',
    items: { number: 1, place: 'GetDidsByHandlesRequest.handles', shape: 'handle', malformed: 'absent' },
    answers: [{ number: 1, form: 'lengthDelimited', absent: lengthDelimitedField(1, Buffer.alloc(0)) }],
  }),
  oneSlot({ method: 'GetLatestRev', owner: { number: 1, shape: 'did' }, isShared: false }),
];
