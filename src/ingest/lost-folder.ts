/**
 * Whether ingest's own folder was lost, or is another cluster's: its cursors are gone, or not
 * those of what the slots hold. To follow the sources from now on, or from there, would leave out,
 * unsaid, all that came in between.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { seededRandom } from '../base/seeded-random.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { writeDurably } from '../storage/durable-file.ts';
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

/**
 * Refuses the folder of a cluster of another name. One that has no name yet takes this one, in the
 * file `cluster`.
 *
 * Errors: DataPlaneError `ConfigInvalid` saying what to do.
 */
export function requireSameCluster(folder: string, cluster: string): void {
  const path = join(folder, 'cluster');
  const found = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  if (found === cluster) return;
  if (found === '') {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return writeDurably(path, `${cluster}\n`);
  }
  const problem = `${folder} is of the cluster "${found}", and the map names "${cluster}"`;
  throw new DataPlaneError('ConfigInvalid', problem, {
    hint: 'Use the shard map of that cluster; or move the folder away and start once with --cursor or --begin-again ingest.',
  });
}
