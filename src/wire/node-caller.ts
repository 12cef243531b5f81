/**
 * The one verb between our processes: call a method of a node, bytes in, bytes out.
 *
 * Everything else wraps this: routers add fan-out and merge, the log adds batching, tests add
 * faults.
 */
export type NodeCall = {
  /** A name of the shard map. */
  readonly node: string;
  /**
   * `bsky.<Method>` with the protobuf request, or one of our own: `slot.append`, `slot.<read>`,
   * `node.<verb>`.
   */
  readonly method: string;
  readonly payload: Uint8Array;
  /** What is left of the caller's deadline. */
  readonly timeoutMs: number;
};

export interface NodeCaller {
  /**
   * Returns the answer's payload, which the caller owns.
   *
   * Errors: DataPlaneError as the node raised it; `Unavailable` when the node cannot be reached;
   * `DeadlineExceeded` after `timeoutMs`; `ResourceExhausted` when too many calls wait.
   */
  call(request: NodeCall): Promise<Uint8Array>;
}

/**
 * How a node answers calls: one handler by method name. The payload lives only until the handler
 * returns or awaits. An answer that is returned, not promised, is copied before any other handler
 * runs, so it may alias a buffer that is used again.
 */
export type CallHandler = (payload: Uint8Array, context: CallContext) => Promise<Uint8Array> | Uint8Array;
/** What a handler knows of a call beside its payload. */
export type CallContext = {
  readonly method: string;
  /** The epoch of the map that the caller used. */
  readonly epoch: number;
  /** Nobody waits for the answer any more. Units: ms of the monotonic clock. */
  readonly deadlineMs: number;
};
