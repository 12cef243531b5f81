/** Likes, reposts, quotes, and counts. */
import { byItem } from '../plan/by-item.ts';
import type { AnswerField } from '../plan/item-merge.ts';
import { oneSlot } from '../plan/one-slot.ts';
import type { Plan } from '../plan/plan.ts';

function packedFields(numbers: readonly number[]): AnswerField[] {
  return numbers.map((number) => ({ number, form: 'packed' }));
}

const byActor = { number: 1, shape: 'did' } as const;
const bySubject = { number: 1, shape: 'ref' } as const;

/** The methods about interactions. */
export const interactionPlans: readonly Plan[] = [
  oneSlot({ method: 'GetLikesBySubject', owner: bySubject }),
  oneSlot({ method: 'GetLikesBySubjectSorted', owner: bySubject }),
  oneSlot({ method: 'GetLikesByActorAndSubjects', owner: byActor, countedField: 2 }),
  oneSlot({ method: 'GetActorLikes', owner: byActor }),
  oneSlot({ method: 'GetRepostsBySubject', owner: bySubject }),
  oneSlot({ method: 'GetRepostsByActorAndSubjects', owner: byActor, countedField: 2 }),
  oneSlot({ method: 'GetActorReposts', owner: byActor }),
  oneSlot({ method: 'GetQuotesBySubjectSorted', owner: bySubject }),
  byItem({
    method: 'GetInteractionCounts',
    items: { number: 1, place: 'GetInteractionCountsRequest.refs', shape: 'ref', malformed: 'absent' },
    answers: packedFields([1, 2, 3, 4, 5]),
  }),
  byItem({
    method: 'GetCountsForUsers',
    items: { number: 1, place: 'GetCountsForUsersRequest.dids', shape: 'did', malformed: 'absent' },
    // Field 2 (reposts) is filled by nobody.
    answers: packedFields([1, 3, 4, 5, 6, 7, 8]),
  }),
];
