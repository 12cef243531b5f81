/** What keeps a source from being followed, or was missed of it, in the words of its status. */
import type { SourceGap } from './state/source-gaps.ts';

export type SourceProblem = {
  readonly code: 'ClockBehind' | 'FutureCursor' | 'OutdatedCursor';
  /** Nothing is taken in until it ends. */
  readonly isStopped: boolean;
  readonly message: string;
  /** What the operator does next. */
  readonly hint: string;
};

/** Pauses a source, and ends by itself. */
export function clockBehind(source: string): SourceProblem {
  return {
    code: 'ClockBehind',
    isStopped: true,
    message: `most accounts of ${source} are minutes ahead of this machine's clock, so nothing is taken in`,
    hint: 'Set the clock of this machine (NTP). The source goes on by itself, from the same cursor.',
  };
}

/** Stops a source until it knows the cursor again, or an operator names another. */
export function futureCursor(source: string, cursor: number | null): SourceProblem {
  return {
    code: 'FutureCursor',
    isStopped: true,
    message: `${source} refuses the cursor ${cursor ?? 'now'}: its stream ends before it, as after a restore or under another name`,
    hint:
      `\`skyshard source begin ${source} --cursor 0\` begins again at its beginning, without --cursor at now; ` +
      'then `skyshard backfill` for what is missed.',
  };
}

/** Stops nothing: the events in between are missing until their repos are fetched. */
export function outdatedCursor(source: string, { afterSeq, beforeSeq }: SourceGap, bringsBack: string): SourceProblem {
  return {
    code: 'OutdatedCursor',
    isStopped: false,
    message: `${source} no longer had the events between ${afterSeq} and ${beforeSeq}: they are missing`,
    hint: `${bringsBack}; \`skyshard source mended ${source}\` ends this notice.`,
  };
}
