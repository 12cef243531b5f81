/** The plan "one slot": all data is in the owner's slot; bytes pass through unchanged. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { type FieldName, FieldScanner, fieldOf, type NumberedMessage } from '../../proto/fields.ts';
import { fieldNumber, type MethodName } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { readCall } from '../../wire/node-calls.ts';
import { emptyAnswer, type Plan, planDefaults, requireItemsMax } from './plan.ts';
import { slotOfDid, slotOfUri } from './slot-finder.ts';

export type OneSlotMethod<Method extends SlotMethod> = {
  readonly method: Method;
  /** The field of the request that names the owner, as a DID unless `shape` says otherwise. */
  readonly owner: FieldName<`${Method}Request`>;
  readonly shape?: 'did' | 'uri' | 'ref';
  /** A repeated field of the request, and the repeated text of the response that answers it. */
  readonly items?: {
    readonly request: FieldName<`${Method}Request`>;
    readonly response: FieldName<`${Method}Response`>;
    /** The answer of an owner that no slot can hold; by default empty texts or messages. */
    readonly missing?: (owner: string, count: number) => Uint8Array;
  };
  /** False for private data and takedowns: a caller must see its own write. */
  readonly isShared?: boolean;
};

/** A method whose request and response have fields. */
type SlotMethod = {
  [Method in MethodName]: `${Method}Request` | `${Method}Response` extends NumberedMessage ? Method : never;
}[MethodName];

/** The fields of a request that are read: the owner and, to count them, the items. */
type Fields = {
  readonly message: string;
  readonly owner: number;
  readonly shape: 'did' | 'uri' | 'ref';
  readonly items: number | null;
};

type OwnerSlot = { readonly slot: number; readonly items: number; readonly start: number; readonly end: number };

/** Returns the slot of the request's owner, negative if no slot can hold it, and counts items. */
function ownerSlot(request: Buffer, fields: Fields, slots: number): OwnerSlot {
  const { message, owner, shape } = fields;
  const scanner = new FieldScanner(request, message);
  let items = 0;
  let start = 0;
  let end = 0;
  while (scanner.next()) {
    const { number, wire } = scanner;
    if (number !== owner && number !== fields.items) continue;
    if (wire !== wireType.lengthDelimited)
      throw new DataPlaneError('InvalidArgument', `${message}: wire type ${wire} does not fit field ${number}`);
    if (number === fields.items) items++;
    if (number !== owner) continue;
    start = scanner.start;
    end = scanner.end;
  }
  if (shape === 'did') return { slot: slotOfDid(request, start, end, slots), items, start, end };
  if (shape === 'uri') return { slot: slotOfUri(request, start, end, slots), items, start, end };
  scanner.reset(request, start, end).lastOf(fieldNumber.RecordRef.uri);
  return { slot: slotOfUri(request, scanner.start, scanner.end, slots), items, start, end };
}

/** Returns an answer with one empty text in field `number` for each item. */
function emptyTexts(number: number, items: number): Uint8Array {
  const answer = Buffer.alloc(items * 2);
  for (let index = 0; index < answer.length; index += 2) answer[index] = number * 8 + wireType.lengthDelimited;
  return answer;
}

/** Declares a one-slot method. An invalid owner has an empty answer, as in the official plane. */
export function oneSlot<Method extends SlotMethod>(options: OneSlotMethod<Method>): Plan {
  const { method, owner, shape = 'did', items: counted, isShared = true } = options;
  const fields: Fields = {
    message: `${method}Request`,
    owner: fieldOf(`${method}Request`, owner).number,
    shape,
    items: counted === undefined ? null : fieldOf(`${method}Request`, counted.request).number,
  };
  const answerNumber = counted === undefined ? 0 : fieldOf(`${method}Response`, counted.response).number;
  return {
    method,
    timeoutMs: planDefaults.timeoutMs,
    isShared,
    run: (request, context) => {
      const { fanOut, deadlineMs } = context;
      const { slot, items, start, end } = ownerSlot(request, fields, fanOut.map.slots);
      requireItemsMax(items, method);
      if (slot < 0) {
        if (items === 0) return emptyAnswer;
        return counted?.missing?.(request.utf8Slice(start, end), items) ?? emptyTexts(answerNumber, items);
      }
      if (items > 0) context.admit(items);
      return fanOut.ask(fanOut.nodeBySlot[slot]!, readCall(method), request, deadlineMs);
    },
  };
}
