/**
 * By-item answers that end before the last item, since these are large or took their turn.
 *
 * Such an answer begins with a field that no response has: how many items it answers, at least one.
 * The router asks again for the rest.
 */
import type { MessageWriter } from '../proto/message-writer.ts';

/** A node ends an answer after the item with which it passes this. Units: bytes. */
export const answerBytesMax = 4 * 2 ** 20;

/** The tag of field 1000 as a fixed32: no response has as many fields. */
const tag = Buffer.of(0xc5, 0x3e);
const markBytes = tag.length + 4;

/** Marks the answer in `into` as that of the first `answered` items only. */
export function markPartial(into: MessageWriter, answered: number): void {
  into.reserve(markBytes);
  into.buffer.copyWithin(markBytes, 0, into.length);
  tag.copy(into.buffer);
  into.buffer.writeUInt32LE(answered, tag.length);
  into.length += markBytes;
}

/** Returns how many items an answer has if it is partial, else null. */
export function answeredOf(answer: Buffer): number | null {
  if (answer[0] !== tag[0] || answer[1] !== tag[1] || answer.length < markBytes) return null;
  return answer.readUInt32LE(tag.length);
}

/** Returns a partial answer without its mark. */
export function withoutMark(answer: Buffer): Buffer {
  return answer.subarray(markBytes);
}
