/**
 * Waits until all that has come in is applied everywhere, effects included.
 *
 * Owns: what "settled" means. Two rounds over all slots with nothing waiting, nothing owed, as many effects received as sent, the same counts
 * in both, and every cursor past the log heads of the first round. Refuses: to call it settled while a node does not answer.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';

/** What settling needs to know of a slot. */
type SlotCounts = {
  readonly slot: number;
  readonly cursor: number;
  readonly head: number;
  readonly waiting: number;
  readonly outbox: number;
  readonly sentEffects: number;
  readonly receivedEffects: number;
};

/** One node's slots, or why it did not answer. */
export type NodeCounts = { readonly name: string; readonly error?: string; readonly slots?: readonly SlotCounts[] };

/** Everything was applied: what was counted, and how long it took. */
export type Settled = {
  readonly settled: true;
  readonly slots: number;
  readonly effects: number;
  readonly elapsedMs: number;
};

const pauseMs = 40;

/** Returns what keeps a round from being quiet, in words for operators; empty when it is. */
function unrestOf(nodes: readonly NodeCounts[]): string[] {
  const unrest: string[] = [];
  let sent = 0;
  let received = 0;
  for (const { name, error, slots = [] } of nodes) {
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

function countsOf(nodes: readonly NodeCounts[]): string {
  return JSON.stringify(
    nodes.flatMap(({ slots = [] }) => slots.map((slot) => [slot.slot, slot.sentEffects, slot.receivedEffects])),
  );
}

function isPastHeads(first: readonly NodeCounts[], now: readonly NodeCounts[]): boolean {
  const cursors = new Map(now.flatMap(({ slots = [] }) => slots.map((slot) => [slot.slot, slot.cursor])));
  return first.every(({ slots = [] }) => slots.every((slot) => (cursors.get(slot.slot) ?? -1) >= slot.head));
}

/**
 * Asks the nodes again and again until they are settled.
 *
 * Errors: DataPlaneError `DeadlineExceeded` at the deadline, with what still waits.
 */
export async function settle(
  ask: () => Promise<readonly NodeCounts[]>,
  timeoutMs: number,
  clock: Clock,
): Promise<Settled> {
  const startMs = clock.monotonicMs();
  let before: readonly NodeCounts[] | undefined;
  for (;;) {
    const now = await ask();
    const unrest = unrestOf(now);
    if (unrest.length === 0 && before !== undefined && countsOf(before) === countsOf(now) && isPastHeads(before, now)) {
      const slots = now.flatMap((node) => node.slots ?? []);
      const effects = slots.reduce((total, slot) => total + slot.sentEffects, 0);
      return { settled: true, slots: slots.length, effects, elapsedMs: Math.round(clock.monotonicMs() - startMs) };
    }
    before = unrest.length === 0 ? now : undefined;
    if (clock.monotonicMs() - startMs > timeoutMs) {
      const shown = unrest.slice(0, 10).join('; ');
      const more = unrest.length > 10 ? ` and ${unrest.length - 10} more` : '';
      throw new DataPlaneError(
        'DeadlineExceeded',
        `not settled after ${timeoutMs} ms: ${shown || 'counts still change'}${more}`,
      );
    }
    await clock.sleep(pauseMs);
  }
}
