/**
 * The only operating error, and its table.
 *
 * Owns: the closed list of error codes with their gRPC status, whether a retry may help, their
 * meaning, and the operator's next step. Our own bugs are `InvariantError`, and bad upstream data
 * is a counted reason; neither belongs here.
 */
import { InvariantError } from './invariant.ts';

/** gRPC status numbers, as the protocol defines them. */
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

/** The status numbers that we send; the protocol has more. */
export type GrpcStatus = (typeof grpcStatus)[keyof typeof grpcStatus];

/** Connect's name and HTTP status of each gRPC status. Our JSON endpoints use the latter too. */
export const connectStatus: { readonly [Status in GrpcStatus]: { readonly name: string; readonly http: number } } = {
  [grpcStatus.ok]: { name: 'ok', http: 200 },
  [grpcStatus.canceled]: { name: 'canceled', http: 499 },
  [grpcStatus.unknown]: { name: 'unknown', http: 500 },
  [grpcStatus.invalidArgument]: { name: 'invalid_argument', http: 400 },
  [grpcStatus.deadlineExceeded]: { name: 'deadline_exceeded', http: 504 },
  [grpcStatus.notFound]: { name: 'not_found', http: 404 },
  [grpcStatus.permissionDenied]: { name: 'permission_denied', http: 403 },
  [grpcStatus.resourceExhausted]: { name: 'resource_exhausted', http: 429 },
  [grpcStatus.failedPrecondition]: { name: 'failed_precondition', http: 400 },
  [grpcStatus.aborted]: { name: 'aborted', http: 409 },
  [grpcStatus.unimplemented]: { name: 'unimplemented', http: 501 },
  [grpcStatus.internal]: { name: 'internal', http: 500 },
  [grpcStatus.unavailable]: { name: 'unavailable', http: 503 },
  [grpcStatus.unauthenticated]: { name: 'unauthenticated', http: 401 },
};

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
 * Callers and operators see the names: codes may be added, but never renamed.
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
    meaning: 'bsky.Service has no such method, or not in this version.',
    hint: 'Check its name; a newer AppView needs a newer skyshard.',
  },
  Unauthenticated: {
    grpc: grpcStatus.unauthenticated,
    isRetryable: false,
    meaning: 'The endpoint needs a token and none, or a wrong one, was sent.',
    hint: 'Send `authorization: Bearer <token>`, or give a command --admin-token-file; the map names the files of both tokens.',
  },
  PermissionDenied: {
    grpc: grpcStatus.permissionDenied,
    isRetryable: false,
    meaning: 'A web page sent the request, or it names a host to which the listener does not answer.',
    hint: 'Ask without a browser, by the address of the listener.',
  },
  ResourceExhausted: {
    grpc: grpcStatus.resourceExhausted,
    isRetryable: false,
    meaning: 'A named limit was passed: batch size, frame size, or requests in flight.',
    hint: 'Split the batch or slow down; ops/security.md lists the limits by the names in the message.',
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
    hint: 'It asks for the newer map by itself; `skyshard map show --json` says who has which.',
  },
  StorageFull: {
    grpc: grpcStatus.resourceExhausted,
    isRetryable: false,
    meaning: 'The disk or the memory map of a slot is full; writes stop, reads go on.',
    hint: 'Free disk space or raise --slot-map-bytes; apply goes on by itself.',
  },
  ApplyStopped: {
    grpc: grpcStatus.unavailable,
    isRetryable: true,
    meaning: 'Entries of many accounts could not be applied, so a slot has stopped applying and only serves.',
    hint: 'Look at `skyshard quarantine list`; `skyshard quarantine retry --slot <n>` or a newer version goes on.',
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

/** The stable name of one operating failure. Code compares these; messages are for people. */
export type ErrorCode = keyof typeof errorTable;

/** An operating failure that a caller or an operator can act on. */
export class DataPlaneError extends Error {
  override readonly name = 'DataPlaneError';
  readonly code: ErrorCode;
  /** A better next step than the table's, from the code that raised it; else ''. */
  readonly ownHint: string;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; hint?: string }) {
    super(message, options);
    this.code = code;
    this.ownHint = options?.hint ?? '';
  }

  /** The operator's next step. */
  get hint(): string {
    return this.ownHint === '' ? errorTable[this.code].hint : this.ownHint;
  }

  get grpc(): GrpcStatus {
    return errorTable[this.code].grpc;
  }

  get httpStatus(): number {
    return connectStatus[this.grpc].http;
  }

  get isRetryable(): boolean {
    return errorTable[this.code].isRetryable;
  }

  /** Returns an error with another message, the same code and hint, and this error as its cause. */
  withMessage(message: string): DataPlaneError {
    return new DataPlaneError(this.code, message, { cause: this, hint: this.ownHint });
  }
}

/** Codes of a peer that is down, busy or full, which passes; others an operator must see. */
const transientCodes: ReadonlySet<ErrorCode> = new Set([
  'Unavailable',
  'DeadlineExceeded',
  'ResourceExhausted',
  'StorageFull',
  'Aborted',
]);

/** Returns whether a peer that answers so does better by itself after a while. */
export function isTransient(code: ErrorCode): boolean {
  return transientCodes.has(code);
}

/** Returns whether a text from another process is a code of the table. */
function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}

/** Returns the error that another process named by its code. An empty hint means the table's. */
export function errorFromPeer(peer: string, code: string, message: string, hint = ''): DataPlaneError {
  if (isErrorCode(code)) return new DataPlaneError(code, message, { hint });
  return new DataPlaneError('Internal', `${peer} answered with an unknown code "${code}": ${message}`, { hint });
}

/** Turns anything thrown into a DataPlaneError for an answer; other errors become `Internal`. */
export function toDataPlaneError(thrown: unknown): DataPlaneError {
  if (thrown instanceof DataPlaneError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new DataPlaneError('Internal', message, { cause: thrown });
}

/**
 * Turns what was thrown into a DataPlaneError, for handlers of operating failures that continue.
 *
 * Errors: rethrows a broken invariant, since nothing may continue after one.
 */
export function operatingFailure(thrown: unknown): DataPlaneError {
  if (thrown instanceof InvariantError) throw thrown;
  return toDataPlaneError(thrown);
}
