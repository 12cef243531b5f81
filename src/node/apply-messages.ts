/** What a node's main thread and its apply threads say to each other. Structured clones; buffers are moved, not copied. */
import type { CrashPoint } from '../base/crash-point.ts';
import type { SlotChanges } from '../slot/table/slot-state.ts';
import type { SlotStatus } from '../wire/node-status.ts';

/** What an apply thread is started with. */
export type ApplyThreadOptions = {
  readonly nodeName: string;
  /** The parsed JSON of the shard map; the thread checks it again. */
  readonly mapJson: unknown;
  /** Slots that this thread alone writes. */
  readonly slots: readonly number[];
  readonly dataDir: string;
  readonly slotMapBytes: number;
  /** How long entries may wait for company before they are applied. Units: ms. */
  readonly lingerMs: number;
  readonly clusterToken: string | null;
  /** PEM of the map's certificate, when it names one. */
  readonly trustedCertificates: Uint8Array | null;
  readonly crashPoint: { readonly point: CrashPoint; readonly nth: number } | null;
};

/** What the main thread says; a message with an `id` is answered by one with the same id. */
export type ToApplyThread =
  /** `payload` is that of `slot.append`, checked. */
  | { readonly type: 'append'; readonly id: number; readonly payload: Uint8Array; readonly isUrgent: boolean }
  | { readonly type: 'status'; readonly id: number }
  | { readonly type: 'digest'; readonly id: number; readonly slot: number }
  | { readonly type: 'close' };

/** What an apply thread says: answers by `id`, and news of its own. */
export type FromApplyThread =
  | { readonly type: 'ready' }
  /** `answer` is that of `slot.append`. */
  | { readonly type: 'appended'; readonly id: number; readonly answer: Uint8Array }
  | { readonly type: 'status'; readonly id: number; readonly slots: readonly SlotStatus[] }
  | { readonly type: 'digest'; readonly id: number; readonly seq: number; readonly digest: string }
  /** What a commit changed: what serving threads remember of that is stale. */
  | { readonly type: 'changed'; readonly slot: number; readonly changes: SlotChanges }
  | { readonly type: 'closed' };
