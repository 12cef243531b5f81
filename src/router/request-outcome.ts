/** What the code of an answer says about whose matter it is. */
import type { ErrorCode } from '../base/data-plane-error.ts';

/** How a request ended, as one of few. */
export type RequestOutcome = 'ok' | 'caller' | 'refused' | 'late' | 'unavailable' | 'failed';

/** Other codes are `failed`. */
const outcomeByCode: Readonly<Partial<Record<ErrorCode, RequestOutcome>>> = {
  InvalidArgument: 'caller',
  NotFound: 'caller',
  Unimplemented: 'caller',
  Unauthenticated: 'caller',
  PermissionDenied: 'caller',
  Canceled: 'caller',
  ResourceExhausted: 'refused',
  StorageFull: 'refused',
  DeadlineExceeded: 'late',
  Unavailable: 'unavailable',
  WrongEpoch: 'unavailable',
  ApplyStopped: 'unavailable',
  Aborted: 'unavailable',
};

/** Returns how a request ended that was answered by an error. `caller`: it is theirs to mend. */
export function outcomeOf(code: ErrorCode): RequestOutcome {
  return outcomeByCode[code] ?? 'failed';
}
