/** Messages between a node's main thread and its apply threads: clones, but buffers are moved. */
import type { CrashPoint } from '../base/crash-point.ts';
import type { ErrorCode } from '../base/data-plane-error.ts';
import type { SlotCondition } from '../entry/lifecycle-entry.ts';
import type { LogServer } from '../log/log-server.ts';
import type { Interval } from '../metrics/recording.ts';
import type { SlotProgress } from '../search/index-writer.ts';
import type { QuarantinedEntry } from '../slot/table/quarantine-row.ts';
import type { SlotChanges } from '../slot/table/slot-state.ts';
import type { LogServerStatus, SlotStatus } from '../wire/node-status.ts';
import type { SlotCompaction } from '../wire/slot-compaction.ts';
import type { ChangeOutlets } from './change-feed.ts';

/** What is said of an entry that was set aside; never its records. */
export type QuarantineNotice = Pick<QuarantinedEntry, 'seq' | 'kind' | 'did' | 'reason'>;

/** What an apply thread has of its slots; `log` is null where their logs are in their folders. */
export type ApplyStatus = { readonly slots: readonly SlotStatus[]; readonly log: LogServerStatus | null };

export type ApplyThreadOptions = {
  /** The name of the node in the map. */
  readonly node: string;
  /** The parsed JSON of the shard map; the thread checks it again. */
  readonly mapJson: unknown;
  /** The slots of which this thread is the only writer when it starts. */
  readonly slots: readonly number[];
  readonly dataDir: string;
  /** In which condition slots begin whose folders are not there. */
  readonly conditionBySlot: ReadonlyMap<number, SlotCondition>;
  readonly slotMapBytes: number;
  /** How long entries may wait to be batched with others. Units: ms. */
  readonly lingerMs: number;
  /** How long a slot must have been quiet before it is compacted by itself; 0: never. */
  readonly compactQuietMs: number;
  /** True where the node has a search index, for which slots note what changes. */
  readonly isSearched: boolean;
  /** Where the logs of the slots are; null: in their folders. */
  readonly logServer: LogServer | null;
  readonly clusterToken: string | null;
  /** PEM of the map's certificate, or null. */
  readonly trustedCertificates: Uint8Array | null;
  readonly crashPoint: { readonly point: CrashPoint; readonly nth: number } | null;
  /** Of the serving threads besides the main one. */
  readonly feeds: ChangeOutlets;
};

/** A message with an `id` is answered by one with the same id. */
export type ToApplyThread =
  /** `payload` is the checked one of `slot.append`. */
  | { readonly type: 'append'; readonly id: number; readonly payload: Uint8Array; readonly isUrgent: boolean }
  | { readonly type: 'status'; readonly id: number }
  | { readonly type: 'digest'; readonly id: number; readonly slot: number }
  /** Slots of which this thread is the writer from now on, as of replicas; and others to close. */
  | { readonly type: 'open-slots'; readonly id: number; readonly slots: readonly number[] }
  | { readonly type: 'leave-slots'; readonly id: number; readonly slots: readonly number[] }
  /** A slot is to split; its child's files go to `childPath`. */
  | {
      readonly type: 'split';
      readonly id: number;
      readonly slot: number;
      readonly slots: number;
      readonly childPath: string;
    }
  /** All threads read the children of these slots, which go on. */
  | { readonly type: 'children-read'; readonly slots: readonly number[] }
  /** All readers of the open slots are open, which hear of it when slots go on in other files. */
  | { readonly type: 'readers-open' }
  | { readonly type: 'compact'; readonly id: number; readonly slot: number; readonly action: 'begin' | 'look' }
  /** Up to where the search index has queues of slots durably. */
  | { readonly type: 'search-indexed'; readonly slots: readonly SlotProgress[] }
  /** A newer map, or the one in force once more; checked. */
  | { readonly type: 'map'; readonly mapJson: unknown }
  | { readonly type: 'close' };

/** Answers by `id`, and notifications. */
export type FromApplyThread =
  | { readonly type: 'ready' }
  /** `answer` is that of `slot.append`. */
  | { readonly type: 'appended'; readonly id: number; readonly answer: Uint8Array }
  | { readonly type: 'status'; readonly id: number; readonly status: ApplyStatus }
  | { readonly type: 'digest'; readonly id: number; readonly seq: number; readonly digest: string }
  /** It has opened slots, or closed them. */
  | { readonly type: 'slots-done'; readonly id: number }
  /** The child is on disk; or why it is not. */
  | {
      readonly type: 'split-done';
      readonly id: number;
      readonly failure: { readonly code: ErrorCode; readonly message: string; readonly hint: string } | null;
    }
  | { readonly type: 'compaction'; readonly id: number; readonly compaction: SlotCompaction }
  /** What a commit changed, so that serving threads invalidate their caches. */
  | { readonly type: 'changed'; readonly slot: number; readonly changes: SlotChanges }
  /** A slot has set an entry aside that it could not apply. */
  | { readonly type: 'quarantined'; readonly slot: number; readonly failure: QuarantineNotice }
  /** What the thread recorded, once a second. */
  | { readonly type: 'interval'; readonly interval: Interval }
  /** A line for the node's log. */
  | { readonly type: 'note'; readonly message: string; readonly fields: Record<string, unknown> }
  /** The thread begins or stops to act for a slot, as its primary. */
  | { readonly type: 'acting'; readonly slot: number; readonly acts: boolean }
  /** A slot has applied a split, and waits for its child to be made. */
  | { readonly type: 'awaits-child'; readonly slot: number }
  /** The log of a replica has lost what it needs next. */
  | { readonly type: 'gone'; readonly slot: number }
  /** How far the replicas among the thread's slots are behind their logs, some times a second. */
  | { readonly type: 'behind'; readonly behindMsBySlot: ReadonlyMap<number, number> }
  /** Another process has opened a slot that is this node's by its map. */
  | { readonly type: 'replaced'; readonly slot: number }
  /** A peer's frame carried a newer epoch. */
  | { readonly type: 'epoch'; readonly epoch: number };
