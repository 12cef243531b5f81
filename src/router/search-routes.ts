/** `/v1/search/…`, by which operators see the search indexes of nodes, build and compare them. */
import * as v from 'valibot';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { objectShape, wholeNumberShape } from '../config/json-shape.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  searchCatchUpRequest,
  searchSlotRequest,
  searchStatusAnswer,
  searchVerifyAnswer,
} from '../wire/search-messages.ts';
import type { ServiceRouter } from './plan/service-router.ts';

const askTimeoutMs = 30_000;
/** A node compares a slot with its index beside its other work. */
const verifyTimeoutMs = 600_000;
const slotsMax = 65_535;
/** An index thread that has failed is started again. */
const catchUpRetryMs = 100;
/** Beyond a node's own, so that its answer, which says what is missing, comes first. */
const catchUpGraceMs = 2_000;

const slotOrAll = objectShape({ slot: v.nullable(wholeNumberShape(0, slotsMax)) });
const oneSlot = objectShape({ slot: wholeNumberShape(0, slotsMax) });

/**
 * Waits until the index of every node has all that is applied now.
 *
 * Units: `deadlineMs` is monotonic. Errors: DataPlaneError `DeadlineExceeded` saying what lacks.
 */
export async function catchUpSearch({ fanOut }: ServiceRouter, clock: Clock, deadlineMs: number): Promise<void> {
  const one = async (name: string, node: number): Promise<void> => {
    for (;;) {
      const timeoutMs = Math.max(1, Math.floor(deadlineMs - clock.monotonicMs()));
      try {
        const payload = searchCatchUpRequest.encode({ timeoutMs });
        await fanOut.ask(node, nodeCalls.searchCatchUp, payload, deadlineMs + catchUpGraceMs);
        return;
      } catch (thrown) {
        const { code, message } = operatingFailure(thrown);
        // A node of an earlier version does not know the call.
        if (code === 'Unimplemented') return;
        if (code !== 'Unavailable' || clock.monotonicMs() >= deadlineMs)
          throw new DataPlaneError(code, `not settled: ${name}: ${message}`);
      }
      await clock.sleep(catchUpRetryMs);
    }
  };
  await Promise.all(fanOut.nodeNames.map(one));
}

export function searchRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  const nodeOf = (slot: number): number =>
    router.fanOut.nodeBySlot[slot] ?? refuseRequest(`the map has no slot ${slot}`);
  return [
    getRoute('/v1/search/status', async () => {
      const { fanOut } = router;
      const deadlineMs = clock.monotonicMs() + askTimeoutMs;
      const nodes = fanOut.nodeNames.map(async (name, node) => {
        try {
          const answer = await fanOut.ask(node, nodeCalls.searchStatus, Buffer.alloc(0), deadlineMs);
          return { name, error: '', ...searchStatusAnswer.decode(answer) };
        } catch (thrown) {
          return { name, error: operatingFailure(thrown).message };
        }
      });
      return { nodes: await Promise.all(nodes) };
    }),
    postRoute('/v1/search/rebuild', slotOrAll, async ({ slot }) => {
      const { fanOut } = router;
      const asked = slot === null ? fanOut.primaries : [nodeOf(slot)];
      const payload = searchSlotRequest.encode({ slot });
      const deadlineMs = clock.monotonicMs() + askTimeoutMs;
      await fanOut.askAll(
        nodeCalls.searchRebuild,
        asked.map((node) => ({ node, payload })),
        deadlineMs,
      );
      return { nodes: asked.map((node) => fanOut.nodeNames[node]!) };
    }),
    postRoute('/v1/search/verify', oneSlot, async ({ slot }) => {
      const deadlineMs = clock.monotonicMs() + verifyTimeoutMs;
      const payload = searchSlotRequest.encode({ slot });
      return searchVerifyAnswer.decode(
        await router.fanOut.ask(nodeOf(slot), nodeCalls.searchVerify, payload, deadlineMs),
      );
    }),
  ];
}
