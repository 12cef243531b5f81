/**
 * Whether ingest's own folder was lost: its cursors are gone while the slots hold data. To follow
 * the sources from now on would leave out, unsaid, all that came in between.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { seededRandom } from '../base/seeded-random.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { nodeStatusMessage } from '../wire/node-status.ts';

export type LostFolderOptions = {
  readonly folder: string;
  readonly map: () => ShardMap;
  readonly caller: NodeCaller;
  readonly clock: Clock;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

const callTimeoutMs = 10_000;
const retryPolicy = { firstMs: 100, maxMs: 5_000 };

const hint =
  'Put back the folder; or start once with --cursor, from which its sources are read again (0 = all that they still have), or with --begin-again ingest, which follows them from now on; then run `skyshard backfill`.';

/**
 * Waits until every node has said what its slots hold, if the folder is new.
 *
 * Errors: DataPlaneError `ConfigInvalid` when they hold data.
 */
export async function requireOwnFolder(options: LostFolderOptions): Promise<void> {
  const { folder, map, clock, note } = options;
  if (existsSync(join(folder, 'data.mdb'))) return;
  const random = seededRandom(clock.nowMs());
  for (const node of new Set(map().primaryBySlot)) {
    for (let failures = 1; ; failures++) {
      const owners = await ownersOf(node, options);
      if (owners !== undefined && owners > 0) {
        throw new DataPlaneError('ConfigInvalid', `${folder} is new, but the slots of node ${node} hold data`, {
          hint,
        });
      }
      if (owners !== undefined) break;
      if (failures === 1) note('waits for a node, to know whether the slots are new too', { node });
      await clock.sleep(backoffMs(retryPolicy, failures, random));
    }
  }
}

/** Returns how many actors the slots of a node know; undefined when it does not answer. */
async function ownersOf(node: string, { caller }: LostFolderOptions): Promise<number | undefined> {
  try {
    const call = { node, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: callTimeoutMs };
    const { slots } = nodeStatusMessage.decode(await caller.call(call));
    return slots.reduce((sum, { owners }) => sum + owners, 0);
  } catch (thrown) {
    operatingFailure(thrown);
    return undefined;
  }
}
