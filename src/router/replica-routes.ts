/** `/v1/replica/…`, by which operators compare the copies of a slot, and have one begin again. */
import type { Clock } from '../base/clock.ts';
import { type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { rebuildAsked, rebuildRequest, verifyAsked } from '../wire/slot-verify.ts';
import { CopyComparison, shardOf, verifyAskMsMax } from './copy-comparison.ts';
import type { ServiceRouter } from './plan/service-router.ts';

export function replicaRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  const comparison = new CopyComparison(() => router.fanOut, clock);
  return [
    postRoute('/v1/replica/verify', verifyAsked, async ({ slot, action }) => {
      if (action === 'rows') return { slot, rows: await comparison.rows(slot) };
      return { slot, copies: action === 'begin' ? await comparison.begin(slot) : await comparison.look(slot, action) };
    }),
    postRoute('/v1/replica/rebuild', rebuildAsked, async ({ slot, node, isDryRun }) => {
      const { fanOut } = router;
      const index = fanOut.nodeNames.indexOf(node);
      if (index < 0) refuseRequest(`the map has no node "${node}"`);
      const { primary, replicas } = shardOf(fanOut, slot);
      const sources = [...replicas, primary].filter((other) => other !== node);
      const deadlineMs = clock.monotonicMs() + verifyAskMsMax;
      const payload = rebuildRequest.encode({ slot, isDryRun });
      await fanOut.ask(index, nodeCalls.rebuild, payload, deadlineMs);
      return { slot, node, sources, isDryRun };
    }),
  ];
}
