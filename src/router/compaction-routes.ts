/** `POST /v1/compact`, by which operators have the file of a slot compacted, or look at it. */
import type { Clock } from '../base/clock.ts';
import { type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { compactAnswer, compactionAsked, compactRequest } from '../wire/slot-compaction.ts';
import type { ServiceRouter } from './plan/service-router.ts';

const askTimeoutMs = 30_000;

export function compactionRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  return [
    postRoute('/v1/compact', compactionAsked, async (asked) => {
      const { fanOut } = router;
      const node = fanOut.nodeBySlot[asked.slot] ?? refuseRequest(`the map has no slot ${asked.slot}`);
      const deadlineMs = clock.monotonicMs() + askTimeoutMs;
      return compactAnswer.decode(await fanOut.ask(node, nodeCalls.compact, compactRequest.encode(asked), deadlineMs));
    }),
  ];
}
