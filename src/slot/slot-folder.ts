/** Whose folder a slot has opened, and whether this process is its only writer. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import type { Environment } from '../storage/environment.ts';
import { metaBytes, metaVersion, slotIdentity } from './slot-meta.ts';
import type { SlotState } from './table/slot-state.ts';

type Expected = {
  readonly index: number;
  readonly slots: number;
  readonly path: string;
  readonly opening?: { readonly cluster: string };
  readonly mayBeUnsplit?: boolean;
};

type Writer = { readonly state: SlotState; readonly path: string; readonly environment: Environment };

/** Refuses a folder of another format, before anything of it is read. */
function requireKnownVersion(state: SlotState, path: string): void {
  const version = metaBytes(state)?.[0] ?? metaVersion;
  if (version === metaVersion) return;
  throw new DataPlaneError('ConfigInvalid', `${path} holds a slot of format ${version}, not ${metaVersion}`, {
    hint: 'Run the version that wrote it; or move the whole data folder away, start, and run `skyshard backfill`.',
  });
}

/**
 * Refuses the folder of another slot, of a slot of another cluster, or of another format.
 *
 * Errors: DataPlaneError `ConfigInvalid` saying what to do.
 */
export function requireIdentity(state: SlotState, expected: Expected): void {
  const { index, slots, path, opening, mayBeUnsplit } = expected;
  requireKnownVersion(state, path);
  const found = slotIdentity(state);
  if (found === undefined) return;
  const cluster = opening?.cluster ?? found.cluster;
  const isOfCluster = found.cluster === '' || found.cluster === cluster;
  const isUnsplit = mayBeUnsplit === true && found.slots === slots / 2 && index < found.slots;
  if (found.index === index && (found.slots === slots || isUnsplit) && isOfCluster) return;
  const held = `slot ${found.index} of ${found.slots} slots of the cluster "${found.cluster}"`;
  const wanted = `slot ${index} of ${slots} slots of the cluster "${cluster}"`;
  throw new DataPlaneError('ConfigInvalid', `${path} holds ${held} and is opened for ${wanted}`, {
    hint: `Use the shard map that this folder was written with; or move the folder away, put back that of slot ${index}, or start once with --begin-again ${index}.`,
  });
}

/**
 * Refuses to go on when another process has written to the slot: what this one holds in memory is
 * stale. Neither has harmed the other, since no commit of this one follows.
 *
 * Errors: DataPlaneError `DataInUse`.
 */
export function requireSameWriter({ state, path, environment }: Writer, last: Buffer | undefined): void {
  const found = metaBytes(state);
  const isSame = found === undefined ? last === undefined : last?.equals(found);
  // A compaction by another process would leave this one a file that no folder has.
  if (isSame && environment.isInPlace) return;
  invariant(found !== undefined || isSame, 'a slot keeps its meta row');
  throw new DataPlaneError(
    'DataInUse',
    `${path}: another process has written to slot ${state.index} since this one did`,
  );
}
