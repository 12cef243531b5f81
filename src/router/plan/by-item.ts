/**
 * The plan "by item": one request to each node, whose answers are merged in the order asked.
 *
 * A request for more than `itemsPerTurn` items is asked in rounds of one part for each node, so
 * that other requests go first in between, here and on the nodes.
 */
import { asBuffer } from '../../proto/fields.ts';
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import { readCall } from '../../wire/node-calls.ts';
import { answeredOf } from '../../wire/partial-answer.ts';
import { whenThere } from './at-once.ts';
import { itemsPerTurn } from './fair-queue.ts';
import type { SubRequest } from './fan-out.ts';
import { type AnswerField, mergeInTurns, mergeItems } from './item-merge.ts';
import { type ItemField, type ItemSplit, splitItems } from './item-split.ts';
import { bytesOf, completeAnswers } from './partial-answers.ts';
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
  const call = method.call ?? readCall(method.method);
  if (itemCount > itemsPerTurn) return askInTurns(method, call, split, context);
  context.admit(itemCount);
  const asked = keptAcrossAwait(request, split);
  const running = asked.length === 0 ? [] : context.fanOut.askAll(call, asked, context.deadlineMs);
  return whenThere(running, (answers) => {
    if (answers.some((answer) => answeredOf(asBuffer(answer)) !== null))
      return completed(method, call, { ...split, subRequests: asked }, answers, context);
    if (answers.length === 1 && split.missingCount === 0) return answers[0]!;
    return mergeItems(split, answers, method.answers, method.method);
  });
}

async function askInTurns(
  method: ByItemMethod,
  call: string,
  split: ItemSplit,
  context: PlanContext,
): Promise<Uint8Array> {
  context.admitForTurns(split.subRequestOf.length);
  const answers = new Array<Uint8Array>(split.subRequests.length);
  for (const round of roundsOf(split)) {
    const asked = round.map((index) => split.subRequests[index]!);
    const items = round.reduce((total, index) => total + split.counts[index]!, 0);
    const answered = await context.inTurn(items, () => context.fanOut.askAll(call, asked, context.deadlineMs));
    for (const [at, index] of round.entries()) answers[index] = answered[at]!;
    context.hold(bytesOf(answered));
  }
  return mergedWhole(method, call, split, answers, context);
}

/** Returns indexes of sub-requests in rounds, in each of which a node occurs once. */
function roundsOf({ subRequests }: ItemSplit): number[][] {
  const rounds: number[][] = [];
  const partsOfNode = new Map<number, number>();
  for (const [index, { node }] of subRequests.entries()) {
    const round = partsOfNode.get(node) ?? 0;
    partsOfNode.set(node, round + 1);
    if (round === rounds.length) rounds.push([]);
    rounds[round]!.push(index);
  }
  return rounds;
}

function completed(
  method: ByItemMethod,
  call: string,
  asked: ItemSplit,
  answers: readonly Uint8Array[],
  context: PlanContext,
): Promise<Uint8Array> {
  context.hold(bytesOf(answers));
  return mergedWhole(method, call, asked, answers, context);
}

/** Asks for the rest of answers in part, and merges all, over several turns of the event loop. */
async function mergedWhole(
  method: ByItemMethod,
  call: string,
  asked: ItemSplit,
  answers: readonly Uint8Array[],
  context: PlanContext,
): Promise<Uint8Array> {
  const whole = await completeAnswers(call, method.items, asked, answers, context);
  context.hold(bytesOf(whole.answers));
  return mergeInTurns(whole.split, whole.answers, method.answers, method.method);
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
