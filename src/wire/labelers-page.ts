/** The bytes of `slot.labelers`: pages of a node's labelers, by slot and owner number. */
import { beginMessage, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/** Labelers of one page, which also ends at `answerBytesMax`. */
export const labelersPageMax = 500;

/** A page begins after this owner of the slot, 0 for its first. */
export type LabelersPosition = { readonly slot: number; readonly owner: number };

/** Writes the position where a page begins, or as which the next one does; null at the end. */
export function encodeLabelersPosition(position: LabelersPosition | null): Buffer {
  const { slot, owner } = position ?? { slot: 0, owner: 0 };
  return beginMessage()
    .u8(position === null ? 0 : 1)
    .u16(slot)
    .u32(owner)
    .finish();
}

/** A page: a part of the protobuf of GetAllLabelersResponse. */
export type LabelersPage = { readonly next: LabelersPosition | null; readonly answer: Buffer };

/** Opens a page, which begins with the position of the next one. The answer aliases `bytes`. */
export function openLabelersPage(bytes: Uint8Array): LabelersPage {
  const reader = openMessage(bytes, nodeCalls.labelers);
  const hasNext = reader.u8() === 1;
  const position = { slot: reader.u16(), owner: reader.u32() };
  return { next: hasNext ? position : null, answer: reader.bytes(reader.remaining) };
}

/** Reads the position where a page begins. */
export function decodeLabelersPosition(bytes: Uint8Array): LabelersPosition {
  return openLabelersPage(bytes).next ?? { slot: 0, owner: 0 };
}
