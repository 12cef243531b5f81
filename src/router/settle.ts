/**
 * Waits until all that has come in so far is applied everywhere, effects included.
 *
 * Owns: what "settled" means. A quiescent cluster is settled when two polls in a row find nothing
 * waiting and no effects owed, and every slot as it was at the first (`quiescence`): then no slot
 * did anything between its two answers. Sums of effects do not show it, since a slot that begins
 * again has lost its own. A busy one is settled after `roundsMax` rounds (`rounds`): in each, every
 * slot applies what its log held at the start, and the effects of that are delivered. Effects cause
 * effects, but no chain is longer than the rounds; work that continues in entries of its own delays
 * the last round. Refuses: to call a cluster settled while a node does not answer.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { SlotStatus } from '../wire/node-status.ts';

export type SlotCounts = Omit<
  SlotStatus,
  | 'lagMs'
  | 'bytes'
  | 'owners'
  | 'suspendedDids'
  | 'state'
  | 'generation'
  | 'condition'
  | 'log'
  | 'behindMs'
  | 'acts'
  | 'leftBehind'
  | 'leftBehindCount'
>;

/** `error` says why a node did not answer. */
export type NodeCounts = { readonly name: string; readonly error?: string; readonly slots?: readonly SlotCounts[] };

export type Settled = {
  readonly settled: true;
  readonly by: 'quiescence' | 'rounds';
  readonly slots: number;
  readonly effects: number;
  readonly elapsedMs: number;
};

/** Polls come ever less often: little is in flight, or much. */
const pollIntervalMs = { first: 5, max: 40 } as const;
/**
 * The longest chains are reply → notice and repost → post exists; one round more than they need.
 */
const roundsMax = 4;

type Poll = readonly NodeCounts[];

/** A slot at one of its nodes: replicas settle, too. */
type Copy = SlotCounts & { readonly at: string };

function slotsOf(poll: Poll): Copy[] {
  return poll.flatMap(({ name, slots = [] }) => slots.map((slot) => ({ ...slot, at: `${name}/${slot.slot}` })));
}

/** Returns what is in flight, described for operators. */
function inFlightOf(poll: Poll): string[] {
  const inFlight: string[] = [];
  for (const { name, error, slots = [] } of poll) {
    if (error !== undefined) inFlight.push(`${name} does not answer: ${error}`);
    for (const slot of slots) {
      if (slot.waiting > 0) inFlight.push(`slot ${slot.slot} on ${name}: ${slot.waiting} entries wait`);
      if (slot.outbox > 0) inFlight.push(`slot ${slot.slot} on ${name}: ${slot.outbox} effects owed`);
      if (slot.isContinuing) inFlight.push(`slot ${slot.slot} on ${name}: long work goes on`);
    }
  }
  return inFlight;
}

function countsOf(poll: Poll): string {
  return JSON.stringify(slotsOf(poll).map((slot) => [slot.at, slot.cursor, slot.sentEffects, slot.receivedEffects]));
}

/** The last seq of a slot's log, and for one on a server the last message. */
type LogHead = { readonly seq: number; readonly message: number };

function headOf({ head, messages }: SlotCounts): LogHead {
  return { seq: head, message: messages?.last ?? 0 };
}

function isPast({ cursor, messages }: SlotCounts, head: LogHead | undefined): boolean {
  if (head === undefined) return true;
  return cursor >= head.seq && (messages?.applied ?? head.message) >= head.message;
}

/** Counts the rounds of a busy cluster. */
class Rounds {
  done = 0;
  /** By copy of a slot: what its log had when the round began, null before it begins. */
  #heads: ReadonlyMap<string, LogHead> | null = null;
  /** The same: the mark of effects to deliver, null until all heads are applied. */
  #marks: ReadonlyMap<string, number> | null = null;

  observe(poll: Poll): void {
    const slots = slotsOf(poll);
    const isComplete = poll.every(({ error }) => error === undefined);
    if (!isComplete) return;
    if (this.#heads === null) {
      this.#heads = new Map(slots.map((slot) => [slot.at, headOf(slot)]));
      return;
    }
    const heads = this.#heads;
    if (this.#marks === null) {
      if (!slots.every((slot) => isPast(slot, heads.get(slot.at)))) return;
      this.#marks = new Map(slots.map((slot) => [slot.at, slot.lastMark]));
    }
    const marks = this.#marks;
    const isDelivered = slots.every((slot) => (slot.deliveredMark ?? Infinity) >= (marks.get(slot.at) ?? 0));
    const mayEnd = this.done + 1 < roundsMax || slots.every((slot) => !slot.isContinuing);
    if (!isDelivered || !mayEnd) return;
    this.done++;
    this.#heads = null;
    this.#marks = null;
  }
}

function isPastHeads(first: Poll, now: Poll): boolean {
  const cursors = new Map(slotsOf(now).map((slot) => [slot.at, slot.cursor]));
  return slotsOf(first).every((slot) => (cursors.get(slot.at) ?? -1) >= slot.head);
}

/**
 * Polls the nodes until they are settled. `startMs` is when the wait began, monotonic.
 *
 * Errors: DataPlaneError `DeadlineExceeded` naming what is still in flight.
 */
export async function settle(
  ask: () => Promise<Poll>,
  timeoutMs: number,
  clock: Clock,
  startMs = clock.monotonicMs(),
): Promise<Settled> {
  const rounds = new Rounds();
  let before: Poll | undefined;
  let intervalMs: number = pollIntervalMs.first;
  for (;;) {
    const now = await ask();
    const inFlight = inFlightOf(now);
    const isIdle = inFlight.length === 0;
    const isQuiescent =
      isIdle && before !== undefined && countsOf(before) === countsOf(now) && isPastHeads(before, now);
    rounds.observe(now);
    if (isQuiescent || rounds.done >= roundsMax) {
      const slots = slotsOf(now).filter(({ role }) => role === 'primary');
      const effects = slots.reduce((total, slot) => total + slot.sentEffects, 0);
      const elapsedMs = Math.round(clock.monotonicMs() - startMs);
      return { settled: true, by: isQuiescent ? 'quiescence' : 'rounds', slots: slots.length, effects, elapsedMs };
    }
    before = isIdle ? now : undefined;
    if (clock.monotonicMs() - startMs > timeoutMs) {
      const shown = inFlight.slice(0, 10).join('; ');
      const more = inFlight.length > 10 ? ` and ${inFlight.length - 10} more` : '';
      const waits = shown === '' ? 'counts still change' : `${shown}${more}`;
      throw new DataPlaneError('DeadlineExceeded', `not settled after ${timeoutMs} ms: ${waits}`);
    }
    await clock.sleep(intervalMs);
    intervalMs = Math.min(2 * intervalMs, pollIntervalMs.max);
  }
}
