/** What keeps a source from being followed, or was missed of it, in the words of its status. */

export type SourceProblem = {
  readonly code: 'ClockBehind';
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
