/** The plan "by item": one request to each node, whose answers are merged in the order asked. */

import { asBuffer } from '../../proto/fields.ts';
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import { answeredOf } from '../../wire/partial-answer.ts';
import { whenThere } from './at-once.ts';
import type { SubRequest } from './fan-out.ts';
import { type AnswerField, mergeItems } from './item-merge.ts';
import { type ItemField, type ItemSplit, splitItems } from './item-split.ts';
import { completeAnswers } from './partial-answers.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from './plan.ts';

export type ByItemMethod = {
  readonly method: MethodName;
  /** What nodes are asked, if it is not the method itself. */
  readonly call?: string;
  readonly items: ItemField;
  readonly answers: readonly AnswerField[];
};

/** Asks the nodes for a request's items and merges their answers, at once if these are there. */
export function askByItem(
  request: Buffer,
  method: ByItemMethod,
  context: PlanContext,
): Promise<Uint8Array> | Uint8Array {
  const split = splitItems(request, method.items, context.fanOut);
  const itemCount = split.subRequestOf.length;
  if (itemCount === 0) return emptyAnswer;
  context.admit(itemCount);
  const call = method.call ?? `bsky.${method.method}`;
  const asked = keptAcrossAwait(request, split);
  const running = asked.length === 0 ? [] : context.fanOut.askAll(call, asked, context.deadlineMs);
  return whenThere(running, (answers) => {
    if (answers.some((answer) => answeredOf(asBuffer(answer)) !== null))
      return mergedWhole(method, call, { ...split, subRequests: asked }, answers, context);
    if (answers.length === 1 && split.missingCount === 0) return answers[0]!;
    return mergeItems(split, answers, method.answers, method.method);
  });
}

/** Asks for the rest of answers in part, and merges all. */
async function mergedWhole(
  method: ByItemMethod,
  call: string,
  asked: ItemSplit,
  answers: readonly Uint8Array[],
  context: PlanContext,
): Promise<Uint8Array> {
  const whole = await completeAnswers(call, method.items, asked, answers, context);
  return mergeItems(whole.split, whole.answers, method.answers, method.method);
}

/** Copies a request that is its only sub-request: an answer in part needs it again. */
function keptAcrossAwait(request: Buffer, { subRequestOf, subRequests }: ItemSplit): readonly SubRequest[] {
  const [first] = subRequests;
  if (first?.payload !== request || subRequestOf.length === 1) return subRequests;
  return [{ node: first.node, payload: Buffer.from(request) }];
}

/** Declares a by-item method. */
export function byItem(method: ByItemMethod): Plan {
  return {
    method: method.method,
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: (request, context) => askByItem(request, method, context),
  };
}
