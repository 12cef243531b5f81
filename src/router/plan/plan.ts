/**
 * What a method of bsky.Service is to the router: how it is split and merged, and its limits.
 *
 * Each topic in `plans/` declares its methods as values of these types, so that a method's plan,
 * merge and limits are read together.
 */
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import type { FanOut } from './fan-out.ts';
import type { IdentitySource } from './identity-source.ts';

/** What one request carries through its plan. */
export interface PlanContext {
  readonly fanOut: FanOut;
  readonly identity: IdentitySource;
  /** Monotonic time by which the answer is worthless. Units: ms. */
  readonly deadlineMs: number;
  /** What is left until the deadline; at least 1. Units: ms. */
  remainingMs(): number;
  /** Admits items. Errors: DataPlaneError `ResourceExhausted`. */
  admit(items: number): void;
}

/** One method. */
export type Plan = {
  readonly method: MethodName;
  /** Items in one request beyond this are refused. */
  readonly itemsMax: number;
  /** The deadline when the caller sets none. Units: ms. */
  readonly timeoutMs: number;
  /**
   * True when identical requests in flight may share one answer: not for what a caller has just
   * written.
   */
  readonly isShared: boolean;
  /**
   * Returns the response's protobuf bytes. The request must not be kept past the first await unless
   * copied.
   */
  readonly run: (request: Buffer, context: PlanContext) => Promise<Uint8Array> | Uint8Array;
};

/** Limits that most methods share. Units: items; ms. */
export const planDefaults = { itemsMax: 5_000, timeoutMs: 5_000 } as const;

/** The answer that says nothing: every field at its default. */
export const emptyAnswer: Uint8Array = Buffer.alloc(0);
