/**
 * Completes by-item answers that nodes ended early, by asking again for the items that are left.
 *
 * Owns: which part answers which item. Refuses: a request whose answer has more parts than
 * `answerPartsMax`, by an error that names the limit.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { asBuffer, FieldScanner } from '../../proto/fields.ts';
import { answerBytesMax, answeredOf, withoutMark } from '../../wire/partial-answer.ts';
import type { SubRequest } from './fan-out.ts';
import type { ItemField, ItemSplit } from './item-split.ts';
import type { PlanContext } from './plan.ts';
import { weightOfPart } from './weight.ts';

/** An answer has at most as many further parts, each of which may have `answerBytesMax`. */
export const answerPartsMax = 32;

export type CompletedAnswers = { readonly split: ItemSplit; readonly answers: readonly Buffer[] };

/** Returns the bytes of all answers. */
export function bytesOf(answers: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const { length } of answers) bytes += length;
  return bytes;
}

/** Returns a request without its first `answered` items. */
function withoutItems(request: Buffer, field: ItemField, answered: number): Buffer {
  const scanner = new FieldScanner(request, field.path);
  const kept: Buffer[] = [];
  let items = 0;
  while (scanner.next()) {
    if (scanner.number === field.number && items++ < answered) continue;
    kept.push(request.subarray(scanner.tagStart, scanner.end));
  }
  return Buffer.concat(kept);
}

/** Gives the items of a sub-request after the first `answered` to another one. */
function reassign(subRequestOf: Int16Array, from: number, to: number, answered: number): void {
  let items = 0;
  for (let item = 0; item < subRequestOf.length; item++)
    if (subRequestOf[item] === from && items++ >= answered) subRequestOf[item] = to;
}

function tooLarge(path: string): never {
  const limit = `answerPartsMax = ${answerPartsMax} parts of ${answerBytesMax} bytes`;
  throw new DataPlaneError('ResourceExhausted', `${path}: the answer would pass ${limit}; ask for fewer items`);
}

/**
 * Asks for what partial answers leave out, until there is nothing left.
 *
 * Shape: `split.subRequestOf` is changed. Errors: as of FanOut; `ResourceExhausted`; `Internal` for
 * an answer that is no part of what was asked.
 */
export async function completeAnswers(
  method: string,
  field: ItemField,
  split: ItemSplit,
  rawAnswers: readonly Uint8Array[],
  context: PlanContext,
): Promise<CompletedAnswers> {
  const { subRequestOf, missingCount } = split;
  const subRequests: SubRequest[] = [...split.subRequests];
  const counts = [...split.counts];
  const answers: Buffer[] = [];
  let received = rawAnswers.map(asBuffer);
  while (received.length > 0) {
    const from = answers.length;
    answers.push(...received);
    const rest: SubRequest[] = [];
    for (let index = from; index < from + received.length; index++) {
      const answered = answeredOf(answers[index]!);
      if (answered === null) continue;
      const count = counts[index]!;
      if (answered === 0 || answered >= count)
        throw new DataPlaneError('Internal', `${method}: a part answers ${answered} of ${count} items`);
      const { node, payload } = subRequests[index]!;
      reassign(subRequestOf, index, subRequests.length + rest.length, answered);
      rest.push({ node, payload: withoutItems(asBuffer(payload), field, answered) });
      counts[index] = answered;
      counts.push(count - answered);
      answers[index] = withoutMark(answers[index]!);
    }
    subRequests.push(...rest);
    if (subRequests.length - split.subRequests.length > answerPartsMax) tooLarge(field.path);
    if (rest.length === 0) break;
    const left = counts.slice(-rest.length);
    context.admitParts(left.reduce((total, count) => total + weightOfPart(count), 0));
    const items = left.reduce((total, count) => total + count, 0);
    const more = await context.inTurn(items, () => context.fanOut.askAll(method, rest, context.deadlineMs));
    received = more.map(asBuffer);
    context.hold(bytesOf(received));
  }
  return { split: { subRequestOf, subRequests, counts, missingCount }, answers };
}
