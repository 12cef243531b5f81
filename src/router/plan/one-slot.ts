/** The plan "one slot": everything stands with one owner; request and answer pass through as they are. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { FieldScanner } from '../../proto/fields.ts';
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { emptyAnswer, type Plan, planDefaults } from './plan.ts';
import { slotOfDid, slotOfUri } from './slot-finder.ts';

/** A one-slot method. */
export type OneSlotMethod = {
  readonly method: MethodName;
  /** The field that names the owner: a DID, a record URI, or a RecordRef. */
  readonly owner: { readonly number: number; readonly shape: 'did' | 'uri' | 'ref' };
  /** The repeated field that is answered item by item in the texts of response field 1, when the request has one. */
  readonly countedField?: number;
  /** False for private data and takedowns, where a caller must read its own write. */
  readonly isShared?: boolean;
};

/** Returns the slot of the owner that the request names, or a negative number when no slot can hold it. */
function ownerSlot(
  request: Buffer,
  { method, owner, countedField }: OneSlotMethod,
  slots: number,
): { slot: number; items: number } {
  const scanner = new FieldScanner(request, `${method}Request`);
  let items = 0;
  let start = 0;
  let end = 0;
  while (scanner.next()) {
    if (scanner.number === countedField) items++;
    if (scanner.number !== owner.number) continue;
    if (scanner.wire !== wireType.lengthDelimited) {
      throw new DataPlaneError(
        'InvalidArgument',
        `${method}Request: wire type ${scanner.wire} does not fit field ${owner.number}`,
      );
    }
    start = scanner.start;
    end = scanner.end;
  }
  if (owner.shape === 'did') return { slot: slotOfDid(request, start, end, slots), items };
  if (owner.shape === 'uri') return { slot: slotOfUri(request, start, end, slots), items };
  const inner = new FieldScanner(request, `${method}Request`, start, end);
  start = 0;
  end = 0;
  while (inner.next()) {
    if (inner.number !== 1 || inner.wire !== wireType.lengthDelimited) continue;
    start = inner.start;
    end = inner.end;
  }
  return { slot: slotOfUri(request, start, end, slots), items };
}

/** One empty text in response field 1 for each item. */
function emptyTexts(items: number): Uint8Array {
  if (items === 0) return emptyAnswer;
  const answer = Buffer.alloc(items * 2);
  for (let index = 0; index < answer.length; index += 2) answer[index] = 8 + wireType.lengthDelimited;
  return answer;
}

/** Declares a one-slot method. An owner that cannot exist has an empty answer, as the official plane gives. */
export function oneSlot(method: OneSlotMethod): Plan {
  const itemsMax = planDefaults.itemsMax;
  return {
    method: method.method,
    itemsMax,
    timeoutMs: planDefaults.timeoutMs,
    isShared: method.isShared ?? true,
    run: (request, { fanOut, deadlineMs, admit }) => {
      const { slot, items } = ownerSlot(request, method, fanOut.map.slots);
      if (items > itemsMax)
        throw new DataPlaneError('ResourceExhausted', `${method.method}: more than ${itemsMax} items`);
      if (slot < 0) return emptyTexts(items);
      if (items > 0) admit(items);
      return fanOut.ask(fanOut.nodeBySlot[slot]!, `bsky.${method.method}`, request, deadlineMs);
    },
  };
}
