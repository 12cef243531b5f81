/** The status of every node, as a router asks for it. */
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, operatingFailure } from '../base/data-plane-error.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { nodeStatusMessage } from '../wire/node-status.ts';
import type { NodeState } from './live-rows.ts';
import type { ServiceRouter } from './plan/service-router.ts';
import type { NodeCounts } from './settle.ts';

export const statusTimeoutMs = 2_000;

/** The status of a node, or the error that it answered. */
export type NodeStatus = NodeCounts &
  NodeState & { readonly state: 'up' | 'down'; readonly code?: ErrorCode; readonly hint?: string };

/** Asks every node for its status; one that does not answer is reported as `down`. */
export async function nodeStatuses(router: ServiceRouter, clock: Clock): Promise<NodeStatus[]> {
  const { fanOut } = router;
  const deadlineMs = clock.monotonicMs() + statusTimeoutMs;
  return Promise.all(
    fanOut.nodeNames.map(async (name, index): Promise<NodeStatus> => {
      try {
        const answer = await fanOut.ask(index, nodeCalls.status, Buffer.alloc(0), deadlineMs);
        return { ...nodeStatusMessage.decode(answer), name, state: 'up' };
      } catch (thrown) {
        const { code, message, hint } = operatingFailure(thrown);
        return { name, state: 'down', error: message, code, hint };
      }
    }),
  );
}

/** Returns the status of the nodes that the map names without slots. */
export function idleStatuses(router: ServiceRouter): Promise<NodeStatus[]> {
  const { fanOut } = router;
  const names = [...router.map.nodes.keys()].filter((name) => !fanOut.nodeNames.includes(name));
  return Promise.all(
    names.map(async (name): Promise<NodeStatus> => {
      try {
        const answer = await fanOut.askNamed(name, nodeCalls.status, Buffer.alloc(0), statusTimeoutMs);
        return { ...nodeStatusMessage.decode(answer), name, state: 'up' };
      } catch (thrown) {
        const { code, message, hint } = operatingFailure(thrown);
        return { name, state: 'down', error: message, code, hint };
      }
    }),
  );
}
