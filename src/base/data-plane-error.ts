/**
 * The one operating error and its table.
 *
 * Owns: the closed list of error codes with their gRPC status, whether another attempt may help, their meaning, and
 * the operator's next step. Refuses: codes that are not in the table. Our own bugs are `InvariantError`, and bad
 * upstream data is a counted reason; neither belongs here.
 */

/** gRPC status numbers, as the protocol fixes them. */
export const grpcStatus = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** A status number that we send; the protocol has others that nothing here answers with. */
export type GrpcStatus = (typeof grpcStatus)[keyof typeof grpcStatus];

type ErrorRow = {
  readonly grpc: GrpcStatus;
  /** True when the same request may succeed on another router or a moment later. */
  readonly isRetryable: boolean;
  readonly meaning: string;
  readonly hint: string;
};

/**
 * The closed table of operating failures, by code.
 *
 * The names are part of what callers and operators see: a code may be added, and is never renamed.
 */
export const errorTable = {
  InvalidArgument: {
    grpc: grpcStatus.invalidArgument,
    isRetryable: false,
    meaning: 'The request itself is malformed; the message names the field.',
    hint: 'Correct the named field.',
  },
  NotFound: {
    grpc: grpcStatus.notFound,
    isRetryable: false,
    meaning: 'The thing asked for does not exist (identity, thread, feed generator, sitemap page).',
    hint: 'Check the name; `skyshard get <did|at-uri>` shows what is stored.',
  },
  Unimplemented: {
    grpc: grpcStatus.unimplemented,
    isRetryable: false,
    meaning: 'The method is part of bsky.Service but is not built yet.',
    hint: 'See the table of methods in README.md.',
  },
  Unauthenticated: {
    grpc: grpcStatus.unauthenticated,
    isRetryable: false,
    meaning: 'The endpoint needs a token and none, or a wrong one, was sent.',
    hint: 'Send `authorization: Bearer <token>`; the token file is named by adminTokenFile or clusterTokenFile.',
  },
  ResourceExhausted: {
    grpc: grpcStatus.resourceExhausted,
    isRetryable: false,
    meaning: 'A named limit was passed: batch size, frame size, or requests in flight.',
    hint: 'Split the batch or slow down; README.md lists the limits by the names in the message.',
  },
  Unavailable: {
    grpc: grpcStatus.unavailable,
    isRetryable: true,
    meaning: 'A node that holds part of the answer cannot be reached; another router may do better.',
    hint: 'Run `skyshard status` to see which node is down.',
  },
  DeadlineExceeded: {
    grpc: grpcStatus.deadlineExceeded,
    isRetryable: false,
    meaning: 'The deadline passed before the answer was complete.',
    hint: 'Look at lag and latency in `skyshard status`.',
  },
  WrongEpoch: {
    grpc: grpcStatus.aborted,
    isRetryable: true,
    meaning: 'The node does not serve this slot at the epoch that the message carries.',
    hint: 'Give routers and nodes the same shard map; `skyshard map validate` prints its epoch.',
  },
  StorageFull: {
    grpc: grpcStatus.resourceExhausted,
    isRetryable: false,
    meaning: 'The disk or the memory map of a slot is full; writes stop, reads go on.',
    hint: 'Free disk space or raise --slot-map-bytes; apply goes on by itself.',
  },
  Aborted: {
    grpc: grpcStatus.aborted,
    isRetryable: true,
    meaning: 'The work was overtaken by a concurrent change.',
    hint: 'Try again.',
  },
  Canceled: {
    grpc: grpcStatus.canceled,
    isRetryable: false,
    meaning: 'The caller went away.',
    hint: 'None needed.',
  },
  ConfigInvalid: {
    grpc: grpcStatus.failedPrecondition,
    isRetryable: false,
    meaning: 'A flag, a variable, or a key of the shard map is unknown or out of range.',
    hint: 'Run `skyshard config` or `skyshard map validate`.',
  },
  DataInUse: {
    grpc: grpcStatus.failedPrecondition,
    isRetryable: false,
    meaning: 'Another process uses this data folder; two writers would damage it.',
    hint: 'Stop the process that the message names, or give another --data-dir.',
  },
  Internal: {
    grpc: grpcStatus.internal,
    isRetryable: false,
    meaning: 'A defect of skyshard.',
    hint: 'Look at the log of the process that is named in the message.',
  },
} as const satisfies Record<string, ErrorRow>;

/** The stable name of one operating failure, by which code tells failures apart; messages are for people. */
export type ErrorCode = keyof typeof errorTable;

/** An operating failure that a caller or an operator can act on. */
export class DataPlaneError extends Error {
  override readonly name = 'DataPlaneError';
  readonly code: ErrorCode;
  readonly #ownHint: string | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; hint?: string }) {
    super(message, options);
    this.code = code;
    this.#ownHint = options?.hint;
  }

  /** The operator's next step: the table's, unless who raised it knows a better one. */
  get hint(): string {
    return this.#ownHint ?? errorTable[this.code].hint;
  }

  get grpc(): GrpcStatus {
    return errorTable[this.code].grpc;
  }

  get isRetryable(): boolean {
    return errorTable[this.code].isRetryable;
  }
}

/** Turns anything thrown into a DataPlaneError; what is not one is `Internal`. */
export function toDataPlaneError(thrown: unknown): DataPlaneError {
  if (thrown instanceof DataPlaneError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new DataPlaneError('Internal', message, { cause: thrown });
}
