/** Messages between a node's main thread and the serving threads that are workers. */
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { ErrorCode } from '../base/data-plane-error.ts';
import type { Interval } from '../metrics/recording.ts';
import type { ExchangeEnds } from './call-exchange.ts';
import type { ChangeOutlets } from './change-feed.ts';
import type { ReadServerSettings } from './read-server.ts';

/** What such a thread starts with. */
export type ServeThreadOptions = {
  readonly settings: ReadServerSettings;
  /** The parsed JSON of the shard map; the thread checks it again. */
  readonly mapJson: unknown;
  /** Calls that the main thread answers. */
  readonly controlCalls: readonly string[];
  readonly asksIngest: boolean;
  readonly feeds: ChangeOutlets;
  readonly exchange: ExchangeEnds;
  /** Names the thread in metrics. */
  readonly thread: number;
};

export type ThreadMetrics = readonly MetricObjectWithValues<MetricValue<string>>[];

/** What a serving thread asks of the main thread, besides calls. */
export type ControlRequest =
  | 'status'
  | 'metrics'
  | 'histograms'
  | 'live'
  | 'reload'
  | 'settle-ingest'
  | 'live-at-ingest'
  | 'ingest-status'
  | 'erase-at-ingest'
  | 'identity'
  | 'show-map'
  | 'push-map';

/** The body of an `identity` request; see IdentitySource. */
export type IdentityQuestion =
  | { readonly by: 'did'; readonly did: string }
  | { readonly by: 'handle'; readonly handle: string }
  | { readonly by: 'fresher'; readonly did: string; readonly updatedMs: number };

/** A message with an `id` answers the one with the same id, or is answered by it. */
export type ToServeThread =
  | { readonly type: 'answered'; readonly id: number; readonly value: unknown }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string;
    }
  /** A newer map; checked. */
  | { readonly type: 'map'; readonly mapJson: unknown }
  /** Slots that this node answers reads of as a replica. */
  | { readonly type: 'readable'; readonly slots: readonly number[] }
  /** A peer has a newer map than this node. */
  | { readonly type: 'epoch'; readonly epoch: number }
  | { readonly type: 'metrics'; readonly id: number }
  /** Slots to read from now on, whose writer has opened them; and others to forget. */
  | { readonly type: 'open-slots'; readonly id: number; readonly slots: readonly number[] }
  | { readonly type: 'leave-slots'; readonly id: number; readonly slots: readonly number[] }
  | { readonly type: 'close' };

export type FromServeThread =
  | { readonly type: 'ready' }
  | {
      readonly type: 'call';
      readonly id: number;
      readonly method: string;
      readonly payload: Uint8Array;
      readonly epoch: number;
      readonly timeoutMs: number;
    }
  | { readonly type: 'request'; readonly id: number; readonly request: ControlRequest; readonly body: unknown }
  | { readonly type: 'epoch'; readonly epoch: number }
  | { readonly type: 'metrics'; readonly id: number; readonly metrics: ThreadMetrics }
  /** It has opened slots, or forgotten them. */
  | { readonly type: 'slots-done'; readonly id: number }
  /** What the thread recorded, once a second and before its metrics. */
  | { readonly type: 'interval'; readonly interval: Interval }
  | { readonly type: 'note'; readonly message: string; readonly fields: Record<string, unknown> }
  /** An invariant broke: the node ends. */
  | { readonly type: 'fault'; readonly message: string };
