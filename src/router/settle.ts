/**
 * Waits until all that has come in so far is applied everywhere, effects included.
 *
 * Owns: what "settled" means. A quiescent cluster is settled when two rounds over all slots find
 * nothing waiting, nothing owed, as many effects received as sent, the same counts in both, and
 * every cursor past the first round's heads. A busy one is settled after `wavesMax` waves. In each
 * wave every slot applies what its log held when the wave began, and every effect of that reaches
 * its target. Effects cause effects in turn, but no chain is longer than the waves; long work that
 * continues in entries of its own delays the last wave. Refuses: to call a cluster settled while a
 * node does not answer.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { SlotStatus } from '../wire/node-status.ts';

/** What settling needs to know of a slot. */
export type SlotCounts = Omit<SlotStatus, 'lagMs' | 'bytes' | 'state'>;

/** One node's slots, or why it did not answer. */
export type NodeCounts = { readonly name: string; readonly error?: string; readonly slots?: readonly SlotCounts[] };

/** Everything was applied: how that is known, what was counted, and how long it took. */
export type Settled = {
  readonly settled: true;
  readonly by: 'stillness' | 'waves';
  readonly slots: number;
  readonly effects: number;
  readonly elapsedMs: number;
};

const pauseMs = 40;
/** The longest chains are reply → notice and repost → post exists; one more wave is to spare. */
const wavesMax = 4;

type Round = readonly NodeCounts[];

function slotsOf(round: Round): SlotCounts[] {
  return round.flatMap(({ slots = [] }) => slots);
}

/** Returns what keeps a round from being quiet, in words for operators; empty when it is. */
function unrestOf(round: Round): string[] {
  const unrest: string[] = [];
  let sent = 0;
  let received = 0;
  for (const { name, error, slots = [] } of round) {
    if (error !== undefined) unrest.push(`${name} does not answer: ${error}`);
    for (const slot of slots) {
      sent += slot.sentEffects;
      received += slot.receivedEffects;
      if (slot.waiting > 0) unrest.push(`slot ${slot.slot} on ${name}: ${slot.waiting} entries wait`);
      if (slot.outbox > 0) unrest.push(`slot ${slot.slot} on ${name}: ${slot.outbox} effects owed`);
    }
  }
  if (sent !== received) unrest.push(`${sent} effects sent, ${received} received`);
  return unrest;
}

function countsOf(round: Round): string {
  return JSON.stringify(slotsOf(round).map((slot) => [slot.slot, slot.sentEffects, slot.receivedEffects]));
}

/** The stages of one wave over a busy cluster. */
class Waves {
  done = 0;
  #heads: ReadonlyMap<number, number> | null = null;
  #marks: ReadonlyMap<number, number> | null = null;

  /** Looks at one round, and goes on to the next stage when all slots have passed this one. */
  observe(round: Round): void {
    const slots = slotsOf(round);
    const isWhole = round.every(({ error }) => error === undefined);
    if (!isWhole) return;
    if (this.#heads === null) {
      this.#heads = new Map(slots.map((slot) => [slot.slot, slot.head]));
      return;
    }
    const heads = this.#heads;
    if (this.#marks === null) {
      if (slots.some((slot) => slot.cursor < (heads.get(slot.slot) ?? 0))) return;
      this.#marks = new Map(slots.map((slot) => [slot.slot, slot.lastMark]));
    }
    const marks = this.#marks;
    const isDelivered = slots.every((slot) => (slot.deliveredMark ?? Infinity) >= (marks.get(slot.slot) ?? 0));
    const mayEnd = this.done + 1 < wavesMax || slots.every((slot) => !slot.isContinuing);
    if (!isDelivered || !mayEnd) return;
    this.done++;
    this.#heads = null;
    this.#marks = null;
  }
}

function isPastHeads(first: Round, now: Round): boolean {
  const cursors = new Map(slotsOf(now).map((slot) => [slot.slot, slot.cursor]));
  return slotsOf(first).every((slot) => (cursors.get(slot.slot) ?? -1) >= slot.head);
}

/**
 * Asks the nodes again and again until they are settled.
 *
 * Errors: DataPlaneError `DeadlineExceeded` at the deadline, with what still waits.
 */
export async function settle(ask: () => Promise<Round>, timeoutMs: number, clock: Clock): Promise<Settled> {
  const startMs = clock.monotonicMs();
  const waves = new Waves();
  let before: Round | undefined;
  for (;;) {
    const now = await ask();
    const unrest = unrestOf(now);
    const isQuiet = unrest.length === 0;
    const isStill = isQuiet && before !== undefined && countsOf(before) === countsOf(now) && isPastHeads(before, now);
    waves.observe(now);
    if (isStill || waves.done >= wavesMax) {
      const slots = slotsOf(now);
      const effects = slots.reduce((total, slot) => total + slot.sentEffects, 0);
      const elapsedMs = Math.round(clock.monotonicMs() - startMs);
      return { settled: true, by: isStill ? 'stillness' : 'waves', slots: slots.length, effects, elapsedMs };
    }
    before = isQuiet ? now : undefined;
    if (clock.monotonicMs() - startMs > timeoutMs) {
      const shown = unrest.slice(0, 10).join('; ');
      const more = unrest.length > 10 ? ` and ${unrest.length - 10} more` : '';
      const waits = shown === '' ? 'counts still change' : `${shown}${more}`;
      throw new DataPlaneError('DeadlineExceeded', `not settled after ${Math.round(timeoutMs)} ms: ${waits}`);
    }
    await clock.sleep(pauseMs);
  }
}
