/** How an apply thread opens a slot, when it starts or later. */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import { seededRandom } from '../base/seeded-random.ts';
import type { SlotCondition } from '../entry/lifecycle-entry.ts';
import { EmbeddedLog } from '../log/embedded-log.ts';
import type { SlotLog } from '../log/slot-log.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { generationAfter } from '../slot/effect-position.ts';
import type { Opening } from '../slot/own-entries.ts';
import type { Failure } from '../slot/quarantine.ts';
import { Slot, type SlotOptions } from '../slot/slot.ts';
import type { Table } from '../storage/environment.ts';
import { isDamagedFile } from '../storage/storage-failure.ts';
import type { ApplyThreadOptions } from './apply-messages.ts';
import { slotPath } from './data-folder.ts';
import type { FollowedLogs } from './followed-logs.ts';
import { beginAttempt } from './slot-attempts.ts';

/** What all slots of a thread are opened with. */
export type SlotOpening = {
  readonly options: ApplyThreadOptions;
  readonly map: () => ShardMap;
  readonly clock: Clock;
  readonly openingOf: (slot: number) => Opening;
  /** Null where logs are in the folders of their slots. */
  readonly logs: FollowedLogs | null;
  readonly onQuarantine: (slot: Slot, failure: Failure) => void;
};

const waitingCodes: ReadonlySet<ErrorCode> = new Set(['StorageFull', 'ApplyStopped']);

/** Has the log say that this process has opened the slot, before anything reads or sends. */
function begin(slot: Slot, clock: Clock): void {
  // Its first transaction after that says it.
  if (slot.awaitsChild) return;
  try {
    slot.run([], clock.nowMs());
  } catch (thrown) {
    // The queue tries again, as it does with entries.
    if (!(thrown instanceof DataPlaneError) || !waitingCodes.has(thrown.code)) throw thrown;
  }
}

/**
 * Returns a function that makes what a new session of a slot begins with.
 *
 * `conditionBySlot`: of those whose folders were not there at the start, as long as they are held.
 */
export function openings(
  conditionBySlot: ReadonlyMap<number, SlotCondition>,
  { cluster }: Pick<ShardMap, 'cluster'>,
  clock: Clock,
): (slot: number) => Opening {
  const random = seededRandom(clock.nowMs());
  return (slot) => ({
    session: 1 + random.below(2 ** 32 - 1),
    generation: generationAfter(0, clock),
    condition: conditionBySlot.get(slot) ?? 'new',
    cluster,
  });
}

/** Opens a slot whose file may be damaged, which the next start finds. */
function openCarefully(dataDir: string, options: SlotOptions): Slot {
  const end = beginAttempt(dataDir, options.index, 'open');
  try {
    const slot = Slot.open(options);
    end();
    return slot;
  } catch (thrown) {
    // Others are problems of this start, which say nothing of the file.
    if (!isDamagedFile(thrown)) end();
    throw thrown;
  }
}

/** Opens a slot: as its primary in a new session, or as a replica. */
export function openSlot(opening: SlotOpening, index: number, isPrimary: boolean): Slot {
  const { options, map, clock, openingOf, logs, onQuarantine } = opening;
  const { slots, isDoubling: mayBeUnsplit } = map();
  const { dataDir, slotMapBytes: mapBytes, isSearched } = options;
  const log = (table: Table, cursor: number): SlotLog =>
    logs === null ? new EmbeddedLog(table, cursor) : logs.logOf(index, table, cursor);
  const path = slotPath(dataDir, index);
  const slot = openCarefully(dataDir, {
    index,
    slots,
    path,
    mapBytes,
    isSearched,
    opening: openingOf(index),
    canSplit: true,
    mayBeUnsplit,
    log,
  });
  slot.onQuarantine = (failure) => onQuarantine(slot, failure);
  if (!isPrimary) slot.own.follow();
  else if (logs === null) begin(slot, clock);
  return slot;
}
