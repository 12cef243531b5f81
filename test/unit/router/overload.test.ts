/** What a router answers in time at three times its capacity, in simulated time. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { encodeMessage } from '../../../src/proto/codec.ts';
import { defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import type { NodeCaller } from '../../../src/wire/node-caller.ts';
import { emptyNetwork, FakeNodes, postOf, twoNodeMap } from '../../support/fake-nodes.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { noIdentitySource } from '../../support/no-identities.ts';

const method = 'GetPostRecords';
const requests = Array.from({ length: 100 }, (_unused, request) =>
  encodeMessage('GetPostRecordsRequest', {
    uris: Array.from({ length: 45 }, (_each, index) => postOf(request * 45 + index, 'r')),
  }),
);
const connections = 2_000;
const usefulMsMax = 1_000;
const warmUpMs = 1_000;
const measuredMs = 1_000;
/** What a router's thread takes for an answer and for a refusal. Units: ms. */
const answerMs = 0.08;
const lateRefusalMs = 0.05;
const earlyRefusalMs = 0.015;

/** Nodes that answer at a fixed rate, in the order of calls. */
class SlowNodes implements NodeCaller {
  readonly #nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
  readonly #clock: ManualClock;
  readonly #msPerCall: number;
  readonly #waiting = new Map<string, { readonly atMs: number; readonly answer: () => void }[]>();

  constructor(clock: ManualClock, msPerCall: number) {
    this.#clock = clock;
    this.#msPerCall = msPerCall;
  }

  call(request: Parameters<NodeCaller['call']>[0]): Promise<Uint8Array> {
    const waiting = this.#waiting.get(request.node) ?? [];
    this.#waiting.set(request.node, waiting);
    const atMs = Math.max(waiting.at(-1)?.atMs ?? 0, this.#clock.monotonicMs()) + this.#msPerCall;
    const kept = { ...request, payload: Buffer.from(request.payload) };
    return new Promise((resolve, reject) => {
      waiting.push({ atMs, answer: () => this.#nodes.call(kept).then(resolve, reject) });
    });
  }

  /** Gives the answers that are due. */
  answer(): void {
    for (const waiting of this.#waiting.values())
      while (waiting.length > 0 && waiting[0]!.atMs <= this.#clock.monotonicMs()) waiting.shift()!.answer();
  }
}

/** Returns the part of the capacity that is answered in time. Units: requests a second. */
async function goodputAt(capacity: number): Promise<number> {
  const clock = new ManualClock(0);
  const nodes = new SlowNodes(clock, 1_000 / capacity);
  const router = new ServiceRouter({
    map: twoNodeMap(),
    caller: nodes,
    identity: noIdentitySource,
    plans: planByMethod,
    admission: defaultAdmissionLimits,
    clock,
    onFault: (error) => expect(error).toBeNull(),
  });
  let [inFlight, good, costMs] = [0, 0, 0];
  const ask = async (request: Buffer): Promise<void> => {
    const startMs = clock.monotonicMs();
    if (router.refusalOf(method, '') !== null) {
      costMs += earlyRefusalMs;
      return;
    }
    inFlight++;
    try {
      await router.handle(method, request, { caller: '', timeoutMs: null });
      costMs += answerMs;
      const nowMs = clock.monotonicMs();
      if (nowMs >= warmUpMs && nowMs - startMs <= usefulMsMax) good++;
    } catch {
      costMs += lateRefusalMs;
    } finally {
      inFlight--;
    }
  };
  for (let sent = 0; clock.monotonicMs() < warmUpMs + measuredMs; ) {
    costMs = 0.05;
    for (const due = (3 * capacity * clock.monotonicMs()) / 1_000; sent < due; sent++)
      if (inFlight < connections) void ask(requests[sent % requests.length]!);
    nodes.answer();
    await nextTurn();
    await nextTurn();
    clock.advance(costMs);
  }
  return (good * 1_000) / measuredMs / capacity;
}

test.each([
  ['some hundred requests a second', 400],
  ['fifteen hundred', 1_500],
])(
  'at three times its capacity a router answers nearly as much, and in time: %s',
  async (_name, capacity) => {
    expect(await goodputAt(capacity)).toBeGreaterThan(0.9);
  },
  60_000,
);
