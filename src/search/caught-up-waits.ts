/** Calls that wait until the index has all that queues held when each came. */
import type { IndexWriter, SlotProgress } from './index-writer.ts';

/** `heads`: the ends of the queues, null until the file is open. */
type Wait = { readonly id: number; readonly endMs: number; heads: readonly SlotProgress[] | null };

/** `behind` says what is missing still; null for nothing. */
export type EndedWait = { readonly id: number; readonly behind: string | null };

export class CaughtUpWaits {
  #waits: Wait[] = [];

  /** Units: ms, monotonic. */
  add(id: number, endMs: number, writer: IndexWriter | null): void {
    this.#waits.push({ id, endMs, heads: writer?.queueHeads() ?? null });
  }

  get isEmpty(): boolean {
    return this.#waits.length === 0;
  }

  /** When the first of them ends at the latest. */
  get endMs(): number {
    return Math.min(...this.#waits.map(({ endMs }) => endMs));
  }

  /** Takes out those that are over, since the index has what they wait for or their time is up. */
  takeEnded(writer: IndexWriter | null, nowMs: number): EndedWait[] {
    const ended: EndedWait[] = [];
    this.#waits = this.#waits.filter((wait) => {
      const behind = behindOf(wait, writer);
      if (behind !== null && nowMs < wait.endMs) return true;
      ended.push({ id: wait.id, behind });
      return false;
    });
    return ended;
  }
}

function behindOf(wait: Wait, writer: IndexWriter | null): string | null {
  if (writer === null) return 'its file is not open';
  wait.heads ??= writer.queueHeads();
  const { changes, slots } = writer.behind(wait.heads);
  const parts = [
    ...(changes > 0 ? [`${changes} changes wait`] : []),
    ...(slots > 0 ? [`${slots} slots are being built`] : []),
  ];
  return parts.length === 0 ? null : parts.join(' and ');
}
