/** The one verb between our processes: call a method of a node, bytes in, bytes out. */
import type { ErrorCode } from '../base/data-plane-error.ts';
import type { TraceContext } from './trace-context.ts';

export type NodeCall = {
  /** A name in the shard map. */
  readonly node: string;
  /** `bsky.<Method>` with a protobuf request, or one of `nodeCalls`. */
  readonly method: string;
  readonly payload: Uint8Array;
  /** The time until the caller's deadline. */
  readonly timeoutMs: number;
  /** What the call is part of; absent or null for nothing that a caller traces. */
  readonly trace?: TraceContext | null;
};

export interface NodeCaller {
  /**
   * Returns the answer's payload, which the caller owns: at once if it is there, as from a node of
   * this process. Errors come as a rejection, never at once.
   *
   * Errors: DataPlaneError as the node raised it; `Unavailable` if the node cannot be reached;
   * `DeadlineExceeded` after `timeoutMs`; `ResourceExhausted` if too much is in flight.
   */
  call(request: NodeCall): Promise<Uint8Array> | Uint8Array;
}

/**
 * Answers the calls of one method. The payload is valid until the handler returns or awaits. A
 * synchronous answer is copied before any other handler runs, so it may alias a reused buffer.
 */
export type CallHandler = (payload: Uint8Array, context: CallContext) => Promise<Uint8Array> | Uint8Array;
/**
 * Called after each call, so it must be cheap; `code` is null if it was answered. `isLater` says
 * that it was not answered at once, so that others ran in between.
 */
export type CallObserver = (
  method: string,
  durationMs: number,
  code: ErrorCode | null,
  isLater: boolean,
  trace: TraceContext | null,
) => void;
export type CallContext = {
  readonly method: string;
  /** The epoch of the map that the caller used. */
  readonly epoch: number;
  /** The caller stops waiting at this time. Units: monotonic ms. */
  readonly deadlineMs: number;
  readonly trace?: TraceContext | null;
};
