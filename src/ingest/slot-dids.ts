/** Which accounts a slot has had, as its own rows, those of all other slots and ingest's say. */
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { type DidsPosition, didsOfSlotAnswer, didsOfSlotRequest } from '../wire/dids-of-slot.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { nodeStatusMessage, type SlotStatus } from '../wire/node-status.ts';
import type { FetchQueue } from './state/fetch-queue.ts';

/** The nodes of the map, as ingest asks them. */
export type ClusterAccess = { readonly caller: NodeCaller; readonly map: () => ShardMap };

export type SlotDidsOptions = ClusterAccess & {
  readonly fetches: Pick<FetchQueue, 'dids'>;
  readonly clock: Clock;
  readonly random: SeededRandom;
};

/** More DIDs than a slot of a sensible size has. */
const didsMax = 5_000_000;
const callTimeoutMs = 10_000;
const attemptsMax = 20;
const retryPolicy = { firstMs: 100, maxMs: 5_000 };

export class SlotDids {
  readonly #options: SlotDidsOptions;

  constructor(options: SlotDidsOptions) {
    this.#options = options;
  }

  /**
   * Returns the status of a slot.
   *
   * Errors: `InvalidArgument` for none of the map; the node's; `Aborted` by the signal.
   */
  async statusOf(slot: number, signal: AbortSignal): Promise<SlotStatus> {
    const node = this.#options.map().primaryBySlot[slot];
    if (node === undefined) throw new DataPlaneError('InvalidArgument', `the map has no slot ${slot}`);
    const { slots } = nodeStatusMessage.decode(await this.#ask(node, nodeCalls.status, Buffer.alloc(0), signal));
    const status = slots.find((candidate) => candidate.slot === slot);
    if (status === undefined) throw new DataPlaneError('Unavailable', `node ${node} does not have slot ${slot}`);
    return status;
  }

  /** Errors: `ResourceExhausted` past `didsMax`; those of nodes; `Aborted` by the signal. */
  async collect(slot: number, signal: AbortSignal): Promise<Set<string>> {
    const { map, fetches } = this.#options;
    const { slots, primaryBySlot } = map();
    const dids = new Set<string>();
    const add = (did: string): void => {
      if (dids.size >= didsMax) throw new DataPlaneError('ResourceExhausted', `slot ${slot} has over ${didsMax} DIDs`);
      dids.add(did);
    };
    for (const did of fetches.dids()) if (slotOf(did, slots) === slot) add(did);
    for (const node of new Set(primaryBySlot)) {
      for (let from: DidsPosition | null = { slot: 0, after: '' }; from !== null; ) {
        const payload = didsOfSlotRequest.encode({ of: slot, from });
        const page: ReturnType<typeof didsOfSlotAnswer.decode> = didsOfSlotAnswer.decode(
          await this.#ask(node, nodeCalls.didsOf, payload, signal),
        );
        for (const did of page.dids) add(did);
        from = page.next;
      }
    }
    return dids;
  }

  async #ask(node: string, method: string, payload: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { caller, clock, random } = this.#options;
    for (let failures = 1; ; failures++) {
      try {
        const call = caller.call({ node, method, payload, timeoutMs: callTimeoutMs });
        const answer = await orAborted(Promise.resolve(call), signal);
        if (answer !== undefined) return answer;
      } catch (thrown) {
        const failure = operatingFailure(thrown);
        if (failures === attemptsMax || !failure.isRetryable) throw failure;
        await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
      }
      if (signal.aborted) throw new DataPlaneError('Aborted', `node ${node} is asked no more`);
    }
  }
}
