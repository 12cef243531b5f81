/** Operators' endpoints for what is suggested to everyone. */
import * as v from 'valibot';
import { isKeyableDid, parseRecordUri } from '../atproto/compact-key.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, textShape, wholeNumberShape } from '../config/json-shape.ts';
import {
  type SuggestionChange,
  type SuggestionList,
  suggestionChangesMax,
  suggestionLists,
  suggestionOrderMax,
  suggestionsKey,
  suggestionsMax,
} from '../entry/suggestion.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { encodeTexts } from '../wire/message.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeSuggestions, type WireSuggestion } from '../wire/suggestion-messages.ts';
import { askSlotOf, writeAs } from './operator-write.ts';
import type { ServiceRouter } from './plan/service-router.ts';

/** Units: characters. */
const tagLengthMax = 128;
const tagMessage = `must be a text of at most ${tagLengthMax} characters`;
const tagShape = v.pipe(v.string(tagMessage), v.maxLength(tagLengthMax, tagMessage));
const listMessage = `must be one of ${suggestionLists.join(', ')}`;

const itemShape = objectShape({
  subject: textShape,
  tag: v.optional(tagShape),
  subjectType: v.optional(tagShape),
  order: v.optional(wholeNumberShape(0, suggestionOrderMax)),
});
const itemsMessage = `must be a list of 1 to ${suggestionChangesMax} items`;
const bodyShape = objectShape({
  list: v.picklist(suggestionLists, listMessage),
  items: v.pipe(
    v.array(itemShape, itemsMessage),
    v.minLength(1, itemsMessage),
    v.maxLength(suggestionChangesMax, itemsMessage),
  ),
});
type Body = v.InferOutput<typeof bodyShape>;
type Item = Body['items'][number];

/** Returns the change of an item. Errors: `InvalidArgument` where the list takes no such item. */
function changeOf(list: SuggestionList, item: Item, order: SuggestionChange['order']): SuggestionChange {
  const { subject, tag = '', subjectType } = item;
  const isDid = isKeyableDid(subject);
  if (list === 'follows' && !isDid) refuseRequest(`${subject.slice(0, 80)} is not a DID`);
  if (list === 'feeds' && parseRecordUri(subject) === undefined) refuseRequest(`${subject.slice(0, 80)} is no AT-URI`);
  if (!isDid && parseRecordUri(subject) === undefined)
    refuseRequest(`${subject.slice(0, 80)} is neither a DID nor the AT-URI of a record`);
  if ((list === 'tagged') !== (tag !== '')) refuseRequest('items of the list "tagged" have a tag, others have none');
  if (list !== 'tagged') return { tag, subject, subjectType: '', order };
  return { tag, subject, subjectType: subjectType ?? (isDid ? 'actor' : 'feed'), order };
}

/**
 * `GET /v1/suggestions` shows all lists; `POST` adds or moves items, at the end unless an order is
 * given; `POST …/order` gives items the first positions; `POST …/remove` removes them. Each answers
 * with the list as it is then.
 */
export function suggestionRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  const listed = async (list: SuggestionList): Promise<WireSuggestion[]> => {
    const call = { method: nodeCalls.suggestions, payload: encodeTexts([list]) };
    return decodeSuggestions(await askSlotOf(router, clock, suggestionsKey, call));
  };
  const change = async (
    { list, items }: Body,
    orderOf: (item: Item, index: number) => SuggestionChange['order'],
  ): Promise<object> => {
    const changes = items.map((item, index) => changeOf(list, item, orderOf(item, index)));
    const before = new Set((await listed(list)).map(keyOf));
    const added = new Set(changes.filter(({ order }) => order !== 'gone').map(keyOf));
    if (new Set([...before, ...added]).size > Math.max(suggestionsMax, before.size))
      throw new DataPlaneError('ResourceExhausted', `a list holds at most ${suggestionsMax} suggestions`);
    await writeAs(router, clock, suggestionsKey, { type: 'suggestions', list, changes });
    return { [list]: await listed(list) };
  };
  return [
    getRoute('/v1/suggestions', async () => {
      const lists = await Promise.all(suggestionLists.map(async (list) => [list, await listed(list)]));
      return Object.fromEntries(lists);
    }),
    postRoute('/v1/suggestions', bodyShape, (body) => change(body, ({ order }) => order ?? 'last')),
    postRoute('/v1/suggestions/order', bodyShape, (body) => change(body, (_item, index) => index + 1)),
    postRoute('/v1/suggestions/remove', bodyShape, (body) => change(body, () => 'gone')),
  ];
}

function keyOf({ tag, subject }: { readonly tag: string; readonly subject: string }): string {
  return `${tag}\n${subject}`;
}
