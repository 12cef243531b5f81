/** What a view is given, and the part of the URL that holds it. */
import type { LiveFrame } from '../../metrics/live-frame.ts';
import type { Connection, SpanS } from './connection.ts';

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

/** Of charts over time, and of how many seconds a column is in each. */
export const windows = [
  ['2', 'last 2 minutes'],
  ['10', 'last 10 minutes'],
  ['60', 'last hour'],
] as const;

const spanByMinutes: Readonly<Record<string, SpanS>> = { 2: 1, 10: 5, 60: 30 };

/** Returns how long a frame of the window is. Units: seconds. */
export function spanOf({ state }: ViewContext): SpanS {
  return spanByMinutes[state['minutes'] ?? '2'] ?? 1;
}

/** Returns the frames of a window by process. */
export function framesOf(context: ViewContext): ReadonlyMap<string, readonly LiveFrame[]> {
  const { connection } = context;
  return spanOf(context) === 1 ? connection.secondsByProcess : connection.stepsByProcess;
}
