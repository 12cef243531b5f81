/**
 * The problem of one source, if it has one: what stops it now, or what was missed of it.
 *
 * Owns: the durable notice of a gap, from the source's own words to an operator's decision.
 */
import { operatingFailure } from '../base/data-plane-error.ts';
import { outdatedCursor, type SourceProblem } from './source-problem.ts';
import type { SourceGap, SourceGaps } from './state/source-gaps.ts';

export type SourceConditionOptions = {
  readonly name: string;
  readonly state: { readonly gaps: SourceGaps };
  readonly stream: { readonly bringsBack: string };
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

export class SourceCondition {
  readonly #bringsBack: string;
  readonly #name: string;
  readonly #gaps: SourceGaps;
  readonly #note: (message: string, fields: Record<string, unknown>) => void;
  #stopped: SourceProblem | null = null;
  /** The cursor of this connection, when the source no longer had what followed it. */
  #outdatedSeq: number | null = null;

  constructor({ name, state, note, stream }: SourceConditionOptions) {
    this.#name = name;
    this.#gaps = state.gaps;
    this.#note = note;
    this.#bringsBack = stream.bringsBack;
  }

  get problem(): SourceProblem | null {
    if (this.#stopped !== null) return this.#stopped;
    const gap = this.#gaps.get(this.#name);
    return gap === null ? null : outdatedCursor(this.#name, gap, this.#bringsBack);
  }

  /** Why nothing is taken in now, or null. */
  get stopped(): SourceProblem | null {
    return this.#stopped;
  }

  stop(problem: SourceProblem): void {
    if (this.#stopped?.code !== problem.code) this.#note(problem.message, { source: this.#name, hint: problem.hint });
    this.#stopped = problem;
  }

  resume(): void {
    this.#stopped = null;
  }

  /** The source says that it no longer has what follows `cursor`. */
  noteOutdated(cursor: number | null): void {
    this.#outdatedSeq = cursor;
  }

  /** The first event of a connection shows that the source knows our cursor, and what it lacks. */
  noteFirst(seq: number): void {
    this.#stopped = null;
    const afterSeq = this.#outdatedSeq;
    this.#outdatedSeq = null;
    if (afterSeq === null || seq <= afterSeq + 1) return;
    const gap = { afterSeq, beforeSeq: seq };
    this.#note(outdatedCursor(this.#name, gap, this.#bringsBack).message, { source: this.#name });
    // Queued before the cursor that passes it.
    this.#gaps.add(this.#name, gap).catch((error: unknown) => {
      this.#note('storing a gap fails', { source: this.#name, problem: operatingFailure(error).message });
    });
  }

  /** Ends the notice of a gap. Returns: the gap, if there was one. */
  async endGap(): Promise<SourceGap | null> {
    const gap = this.#gaps.get(this.#name);
    await this.#gaps.remove(this.#name);
    return gap;
  }
}
