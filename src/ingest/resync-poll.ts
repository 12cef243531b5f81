/**
 * Fetches again the repos that slots found incomplete: after a commit that does not follow the one
 * they hold, or a `#sync`.
 *
 * Slots cannot request repos, since apply uses no network; they record the DID, and this polls
 * them.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { reposToResyncAnswer } from '../wire/repos-to-resync.ts';

export type ResyncPollOptions = {
  readonly caller: NodeCaller;
  readonly map: () => ShardMap;
  readonly clock: Clock;
  readonly requestResync: (did: string, revMin: string) => Promise<void>;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly signal: AbortSignal;
};

const pollMs = 5_000;
const callTimeoutMs = 5_000;
/** A repo is not requested again within this time, while its fetch runs. */
const repeatMs = 60_000;

/** Polls until the signal aborts. A node that does not answer is polled again next time. */
export async function pollResyncs(options: ResyncPollOptions): Promise<void> {
  const { caller, map, clock, signal } = options;
  const requestedMsByDid = new Map<string, number>();
  while (!signal.aborted) {
    await clock.sleep(pollMs, signal);
    const nowMs = clock.monotonicMs();
    for (const [did, requestedMs] of requestedMsByDid) if (nowMs - requestedMs > repeatMs) requestedMsByDid.delete(did);
    for (const node of map().nodes.keys()) {
      if (signal.aborted) return;
      try {
        const payload = Buffer.alloc(0);
        const answer = await caller.call({ node, method: nodeCalls.reposToResync, payload, timeoutMs: callTimeoutMs });
        for (const did of reposToResyncAnswer.decode(answer)) {
          if (requestedMsByDid.has(did)) continue;
          requestedMsByDid.set(did, nowMs);
          await options.requestResync(did, '');
        }
      } catch (thrown) {
        options.note('a node did not name its incomplete repos', { node, error: operatingFailure(thrown).message });
      }
    }
  }
}
