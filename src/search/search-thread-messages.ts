/** Messages between a node's main thread and its threads of search: clones; buffers are moved. */
import type { ErrorCode } from '../base/data-plane-error.ts';
import type { SearchStatus, VerifiedSlot } from '../wire/search-messages.ts';
import type { SlotProgress } from './index-writer.ts';
import type { SlotPlace } from './indexed-slot.ts';

/** What search must know of a map. */
export type SearchedSlots = {
  /** How many the cluster has. */
  readonly slots: number;
  /** Those for which this node answers. */
  readonly primaries: readonly number[];
  /** Those that splits are yet to make on this node. */
  readonly coming: readonly number[];
};

/** `places`: all slots of the node. */
export type PlacedSlots = SearchedSlots & { readonly places: readonly SlotPlace[] };

export type SearchThreadOptions = PlacedSlots & {
  readonly path: string;
  /** Of one element in shared memory: rises with each commit of a slot of the node. */
  readonly commits: Int32Array;
};

/** Answered once the thread has no other slots open. */
export type PlacesMessage = PlacedSlots & { readonly type: 'places'; readonly id: number };

/** A message with an `id` is answered by `answered` or `failed` with the same. */
export type ToSearchThread =
  | { readonly type: 'query'; readonly id: number; readonly payload: Uint8Array }
  | { readonly type: 'reopen' }
  /** What the thread knows of the file may be out of date. */
  | { readonly type: 'refresh' }
  | { readonly type: 'primaries'; readonly primaries: readonly number[]; readonly slots: number }
  | PlacesMessage
  | { readonly type: 'close' };

export type ToIndexThread =
  | { readonly type: 'status'; readonly id: number }
  | { readonly type: 'rebuild'; readonly id: number; readonly slot: number | null }
  | { readonly type: 'verify'; readonly id: number; readonly slot: number }
  /** Answered once the index has all that queues hold now. */
  | { readonly type: 'catch-up'; readonly id: number; readonly timeoutMs: number }
  | { readonly type: 'damaged' }
  /** The slots of the cluster, and of them those that splits are yet to make on this node. */
  | { readonly type: 'splits'; readonly slots: number; readonly coming: readonly number[] }
  | PlacesMessage
  | { readonly type: 'close' };

export type FromSearchThreads =
  | { readonly type: 'answered'; readonly id: number; readonly value: Uint8Array | SearchStatus | VerifiedSlot | null }
  | { readonly type: 'failed'; readonly id: number; readonly code: ErrorCode; readonly message: string }
  /** A search thread found the file damaged. */
  | { readonly type: 'damaged' }
  /** The index thread has opened the file, perhaps another than before. */
  | { readonly type: 'opened' }
  /** Slots whose queues are taken durably up to a seq (exclusive). */
  | { readonly type: 'progress'; readonly slots: readonly SlotProgress[] }
  | { readonly type: 'note'; readonly message: string; readonly fields: Record<string, unknown> };
