/** The call `slot.privatePage`: all that an actor keeps in private, in pages. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** In this order; `items` are private data of any namespace. */
export const privateSections = ['items', 'mutes', 'list-mutes', 'thread-mutes'] as const;
export type PrivateSection = (typeof privateSections)[number];

/** Items in one page, and bytes of their payloads after which it ends. */
export const privatePageItemsMax = 200;
export const privatePageBytesMax = 1_048_576;

/** Where a page begins: in this section, after this key in hex; '' for its first. */
const positionShape = v.object({ section: v.picklist(privateSections), after: v.string() });
export type PrivatePosition = v.InferOutput<typeof positionShape>;

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
/** Of a mute, `key` is its subject and all else is empty. */
const itemShape = v.object({
  section: v.picklist(privateSections),
  namespace: v.string(),
  key: v.string(),
  createdMs: count,
  updatedMs: count,
  payload: v.string(),
});
export type PrivatePageItem = Readonly<v.InferOutput<typeof itemShape>>;

export const privatePageRequest = controlMessage(
  nodeCalls.privatePage,
  v.object({ did: v.string(), from: positionShape }),
);
/** `next` begins the next page; null after the last one. */
export const privatePageAnswer = controlMessage(
  nodeCalls.privatePage,
  v.object({
    items: v.pipe(v.array(itemShape), v.maxLength(privatePageItemsMax)),
    next: v.nullable(positionShape),
  }),
);
