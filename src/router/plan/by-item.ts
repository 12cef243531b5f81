/** The plan "by item": one request to each node, whose answers are merged in the order asked. */
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import { type AnswerField, mergeItems } from './item-merge.ts';
import { type ItemField, splitItems } from './item-split.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from './plan.ts';

export type ByItemMethod = {
  readonly method: MethodName;
  readonly items: ItemField;
  readonly answers: readonly AnswerField[];
};

/** Asks the nodes for a request's items and merges their answers. */
export async function askByItem(request: Buffer, method: ByItemMethod, context: PlanContext): Promise<Uint8Array> {
  const split = splitItems(request, method.items, context.fanOut);
  const itemCount = split.subRequestOf.length;
  if (itemCount === 0) return emptyAnswer;
  context.admit(itemCount);
  const answers =
    split.subRequests.length === 0
      ? []
      : await context.fanOut.askAll(`bsky.${method.method}`, split.subRequests, context.deadlineMs);
  if (answers.length === 1 && split.missingCount === 0) return answers[0]!;
  return mergeItems(split, answers, method.answers, method.method);
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
