/** What a view is given, and the part of the URL that holds it. */
import type { Connection } from './connection.ts';
import type { Frame } from './figures.ts';

/** Held by the URL, so that it can be sent to someone else. */
export type ViewState = Readonly<Record<string, string>>;

export type ViewContext = {
  readonly connection: Connection;
  readonly state: ViewState;
  /** Changes the URL, and shows the view anew. */
  readonly set: (change: ViewState) => void;
};

/** Returns what is called after each message. */
export type View = (root: HTMLElement, context: ViewContext) => () => void;

/** Of charts over time: the last two minutes by seconds, else steps of the history. */
export const windows = [
  ['2', 'last 2 minutes'],
  ['10', 'last 10 minutes'],
  ['60', 'last hour'],
] as const;

/** Asks for the history again when it is due; `prefix` is that of series with their values. */
export function keepHistory({ connection, state }: ViewContext, prefix: string): void {
  const minutes = Number(state['minutes'] ?? '2');
  if (minutes > 2) connection.askHistory(prefix, minutes);
}

/** Returns the frames of a window by process. */
export function framesOf({ connection, state }: ViewContext): Map<string, readonly Frame[]> {
  const isHistory = Number(state['minutes'] ?? '2') > 2;
  return new Map(isHistory ? connection.stepsByProcess : connection.secondsByProcess);
}
