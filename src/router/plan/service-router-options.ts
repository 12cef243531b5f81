/** What a router of requests is given, and what it tells of requests. */
import type { Clock } from '../../base/clock.ts';
import type { DataPlaneError, ErrorCode } from '../../base/data-plane-error.ts';
import type { InvariantError } from '../../base/invariant.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { NodeCaller } from '../../wire/node-caller.ts';
import type { TraceContext } from '../../wire/trace-context.ts';
import type { AdmissionLimits } from './admission.ts';
import type { IdentitySource } from './identity-source.ts';
import type { Plan } from './plan.ts';
import type { RequestObserver } from './request-observer.ts';
import type { RequestRun } from './request-run.ts';
import type { WriteCount } from './shared-answers.ts';

export type ServiceRouterOptions = {
  readonly map: ShardMap;
  readonly caller: NodeCaller;
  readonly identity: IdentitySource;
  readonly plans: ReadonlyMap<string, Plan>;
  readonly admission: Partial<AdmissionLimits>;
  readonly clock: Clock;
  /** Reads the map again after a node refuses our epoch, and gives it to `caller`. */
  readonly reloadMap?: () => Promise<ShardMap>;
  /** The node in this process; absent for a router. */
  readonly ownNode?: string;
  /** Shared by the routers of a process, if it has several. */
  readonly writes?: WriteCount;
  readonly observer?: RequestObserver;
  /** Called when an invariant breaks, which the request's caller sees as `Internal`. */
  readonly onFault: (error: InvariantError, method: string) => void;
  /** Called for each request that took `slowMs` or longer; absent: for none. */
  readonly onSlow?: (slow: SlowRequest) => void;
  /** Units: ms. */
  readonly slowMs?: number;
  /** Called for each request that an edge answers by an error. */
  readonly onFailure?: (failure: RequestFailure) => void;
};

/** A request that was answered by an error. `method` and `caller` are as the request has them. */
export type RequestFailure = {
  readonly requestId: string;
  readonly method: string;
  readonly caller: string;
  readonly error: DataPlaneError;
  readonly trace: TraceContext | null;
};

/** A request that took long, from its beginning to its answer. `code` is of an error, or null. */
export type SlowRequest = {
  readonly method: string;
  readonly caller: string;
  readonly code: ErrorCode | null;
  readonly durationMs: number;
  readonly run: RequestRun;
};

export type RequestContext = {
  /** `x-atlantis-caller`, or ''. */
  readonly caller: string;
  /** The caller's timeout, or null. */
  readonly timeoutMs: number | null;
  /** What the request is part of; absent or null for nothing. */
  readonly trace?: TraceContext | null;
};
