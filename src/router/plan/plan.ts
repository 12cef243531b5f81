/**
 * How the router answers a method of bsky.Service: its split, its merge and its limits.
 *
 * Each file in `plans/` declares the methods of one topic as values of these types.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import type { FanOut } from './fan-out.ts';
import type { IdentitySource } from './identity-source.ts';

/** The context of one request. */
export interface PlanContext {
  readonly fanOut: FanOut;
  readonly identity: IdentitySource;
  /** Monotonic. Units: ms. */
  readonly deadlineMs: number;
  /** Units: ms since 1970. */
  nowMs(): number;
  /** The time until the deadline; at least 1. Units: ms. */
  remainingMs(): number;
  /** Admits items. Errors: DataPlaneError `ResourceExhausted`. */
  admit(items: number): void;
  /** The same for items that are asked for by `inTurn`. */
  admitForTurns(items: number): void;
  /** The same for what more parts of an answer cost, which the request did not ask for. */
  admitParts(items: number): void;
  /** Asks for so many items when it is their turn. Errors: those of `ask`; `DeadlineExceeded`. */
  inTurn<Answer>(items: number, ask: () => Promise<Answer> | Answer): Promise<Answer>;
  /** Takes memory for the answer, until it is there. Errors: DataPlaneError `ResourceExhausted`. */
  hold(bytes: number): void;
  /** Says that a write was sent: no later request may share an answer that began before. */
  wrote(): void;
}

export type Plan = {
  readonly method: MethodName;
  /** The deadline when the caller sets none. Units: ms. */
  readonly timeoutMs: number;
  /** True to coalesce identical requests in flight: never where a caller must see its own write. */
  readonly isShared: boolean;
  /** True to ask primaries only, although others may answer: the search index of a node does. */
  readonly needsPrimaries?: boolean;
  /** Returns the response's protobuf bytes. Copies the request if it needs it after an await. */
  readonly run: (request: Buffer, context: PlanContext) => Promise<Uint8Array> | Uint8Array;
};

/** Limits that most methods share. Units: items; ms. */
export const planDefaults = { itemsMax: 5_000, timeoutMs: 5_000 } as const;

/** Errors: DataPlaneError `ResourceExhausted` for more items than allowed, naming `path`. */
export function requireItemsMax(items: number, path: string, itemsMax: number = planDefaults.itemsMax): void {
  if (items > itemsMax)
    throw new DataPlaneError('ResourceExhausted', `${path}: more than itemsMax = ${itemsMax} items`);
}

/** The answer with every field at its default. */
export const emptyAnswer: Uint8Array = Buffer.alloc(0);
