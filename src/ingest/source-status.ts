/** What the status of ingest says of each source. */
import type { SourceProblem } from './source-problem.ts';
import type { TrustStatus } from './source-trust.ts';

/** Cursors are inclusive; null before the first event. */
export type SubscriptionStatus = {
  readonly name: string;
  readonly url: string;
  readonly connected: boolean;
  /** Since when the operator has it paused; null while it is followed. */
  readonly pausedMs: number | null;
  /** What needs an operator; null while all is well. */
  readonly problem: SourceProblem | null;
  readonly attempts: number;
  readonly lastProblem: string | null;
  readonly receivedSeq: number | null;
  readonly doneSeq: number | null;
  readonly durableSeq: number | null;
  readonly pendingEvents: number;
  /** Age of the newest event on arrival; while events are unfinished, its age now. */
  readonly lagMs: number | null;
  readonly trust: TrustStatus;
  readonly events: Record<string, number>;
  readonly dropped: Record<string, number>;
  readonly notices: Record<string, number>;
};
