/**
 * Fetches again the repos that slots found incomplete: after a commit that does not follow the one
 * they hold, or a `#sync`.
 *
 * Slots cannot request repos, since apply uses no network; they record the DID, and this polls
 * them. Each poll goes on where the last one ended, so repos that can never be fetched hide no
 * others.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { type ResyncPosition, reposToResyncAnswer, reposToResyncRequest } from '../wire/repos-to-resync.ts';

export type ResyncPollOptions = {
  readonly caller: NodeCaller;
  readonly map: () => ShardMap;
  readonly clock: Clock;
  /** Returns: once the requests are durable. */
  readonly requestResyncs: (repos: readonly { readonly did: string; readonly revMin: string }[]) => Promise<void>;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly signal: AbortSignal;
};

const pollMs = 5_000;
/** Pages of one node in one poll; the next poll goes on after them. */
const pagesPerPoll = 10;
const callTimeoutMs = 5_000;
/** A repo is not requested again within this time, while its fetch runs. */
const repeatMs = 60_000;

const firstPosition: ResyncPosition = { slot: 0, after: '' };

async function readPage(
  caller: NodeCaller,
  node: string,
  from: ResyncPosition,
): Promise<ReturnType<typeof reposToResyncAnswer.decode>> {
  const payload = reposToResyncRequest.encode(from);
  const method = nodeCalls.reposToResync;
  return reposToResyncAnswer.decode(await caller.call({ node, method, payload, timeoutMs: callTimeoutMs }));
}

/** Polls until the signal aborts. A node that does not answer is polled again next time. */
export async function pollResyncs(options: ResyncPollOptions): Promise<void> {
  const { caller, map, clock, signal } = options;
  const requestedMsByDid = new Map<string, number>();
  const positionByNode = new Map<string, ResyncPosition>();
  while (!signal.aborted) {
    await clock.sleep(pollMs, signal);
    const nowMs = clock.monotonicMs();
    for (const [did, requestedMs] of requestedMsByDid) if (nowMs - requestedMs > repeatMs) requestedMsByDid.delete(did);
    for (const node of map().nodes.keys()) {
      if (signal.aborted) return;
      try {
        for (let page = 0; page < pagesPerPoll; page++) {
          const { dids, next } = await readPage(caller, node, positionByNode.get(node) ?? firstPosition);
          const fresh = dids.filter((did) => !requestedMsByDid.has(did));
          for (const did of fresh) requestedMsByDid.set(did, nowMs);
          await options.requestResyncs(fresh.map((did) => ({ did, revMin: '' })));
          positionByNode.set(node, next ?? firstPosition);
          if (next === null) break;
        }
      } catch (thrown) {
        options.note('a node did not name its incomplete repos', { node, error: operatingFailure(thrown).message });
      }
    }
  }
}
