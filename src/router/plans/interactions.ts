/** Likes, reposts, quotes, and counts. */
import { type FieldName, fieldOf } from '../../proto/fields.ts';
import { byItem } from '../plan/by-item.ts';
import type { AnswerField } from '../plan/item-merge.ts';
import { oneSlot } from '../plan/one-slot.ts';
import type { Plan } from '../plan/plan.ts';

type PackedCounts = 'GetInteractionCountsResponse' | 'GetCountsForUsersResponse' | 'GetStarterPackCountsResponse';

function packed<Message extends PackedCounts>(message: Message, fields: readonly FieldName<Message>[]): AnswerField[] {
  return fields.map((field) => ({ number: fieldOf(message, field).number, form: 'packed' }));
}

/** A page of the records that refer to a record. */
const bySubject = { owner: 'subject', shape: 'ref' } as const;
/** Records of one actor, by the records that they refer to. */
const byActorAndSubjects = { owner: 'actorDid', items: { request: 'refs', response: 'uris' } } as const;

export const interactionPlans: readonly Plan[] = [
  oneSlot({ method: 'GetLikesBySubject', ...bySubject }),
  oneSlot({ method: 'GetLikesBySubjectSorted', ...bySubject }),
  oneSlot({ method: 'GetLikesByActorAndSubjects', ...byActorAndSubjects }),
  oneSlot({ method: 'GetActorLikes', owner: 'actorDid' }),
  oneSlot({ method: 'GetRepostsBySubject', ...bySubject }),
  oneSlot({ method: 'GetRepostsByActorAndSubjects', ...byActorAndSubjects }),
  oneSlot({ method: 'GetActorReposts', owner: 'actorDid' }),
  oneSlot({ method: 'GetQuotesBySubjectSorted', ...bySubject }),
  byItem({
    method: 'GetInteractionCounts',
    items: { ...fieldOf('GetInteractionCountsRequest', 'refs'), shape: 'ref', malformed: 'missing' },
    answers: packed('GetInteractionCountsResponse', ['likes', 'reposts', 'replies', 'quotes', 'bookmarks']),
  }),
  byItem({
    method: 'GetStarterPackCounts',
    items: { ...fieldOf('GetStarterPackCountsRequest', 'refs'), shape: 'ref', malformed: 'missing' },
    answers: packed('GetStarterPackCountsResponse', ['joinedWeek', 'joinedAllTime']),
  }),
  byItem({
    method: 'GetCountsForUsers',
    items: { ...fieldOf('GetCountsForUsersRequest', 'dids'), shape: 'did', malformed: 'missing' },
    // No node fills `reposts`.
    answers: packed('GetCountsForUsersResponse', [
      'posts',
      'following',
      'followers',
      'lists',
      'feeds',
      'starterPacks',
      'drafts',
    ]),
  }),
];
