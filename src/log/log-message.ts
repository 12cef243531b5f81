/**
 * What a server says of messages: of one that is asked for, and of those that are read; and what is
 * said with one that is sent.
 */
import type { JsMsg, StoredMsg } from '@nats-io/jetstream';
import { headers, type MsgHdrs } from '@nats-io/transport-node';

/**
 * A message in a stream. `isFirst`: the log of its slot began with it. `foundedOf`: of how many
 * slots that was one then, which has nothing from before; 0 for others, and for one that a split
 * has made.
 */
export type LogMessage = {
  readonly seq: number;
  readonly timeMs: number;
  readonly isFirst: boolean;
  readonly foundedOf: number;
  readonly token: string;
};

/** A slot splits, or has split, and is one of `slots` then. `seq`: of this note. */
export type SplitNote = { readonly seq: number; readonly slot: number; readonly slots: number };

export type PublishOptions = {
  /** Comes back with the message. */
  readonly token?: string;
  /** The log of the slot begins with it; refused where there is one. */
  readonly isFirst?: boolean;
  /** See `LogMessage`. */
  readonly foundedOf?: number;
  /** Refused where the slot has any message, although its log does not begin with this one. */
  readonly mustBeFirst?: true;
};

export type ReceivedMessage = {
  readonly seq: number;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  readonly token: string;
  /** How many of the slot's came after it, when it was sent. */
  readonly pending: number;
  readonly delivery: Delivery;
};

/** A consumer, which counts the messages that it sends from 1. */
export type Delivery = { readonly consumer: string; readonly sequence: number };

const tokenHeader = 'Skyshard-Token';
const firstHeader = 'Skyshard-First';
const foundedHeader = 'Skyshard-Founded-Of';
const splitHeader = 'Skyshard-Split';

/** Returns what a message is sent with. */
export function headersOf({ token, isFirst = false, foundedOf }: PublishOptions): MsgHdrs {
  const sent = headers();
  if (token !== undefined) sent.set(tokenHeader, token);
  if (isFirst) sent.set(firstHeader, '1');
  if (foundedOf !== undefined) sent.set(foundedHeader, String(foundedOf));
  return sent;
}

/** Returns what a note of a split is sent with. */
export function splitHeaders(slot: number, slots: number): MsgHdrs {
  const sent = headers();
  sent.set(splitHeader, `${slot}/${slots}`);
  return sent;
}

/** Returns what a note says; one that says nothing is of no slots. */
export function splitNoteOf({ seq, header }: StoredMsg): SplitNote {
  const [slot = 0, slots = 0] = header.get(splitHeader).split('/').map(Number);
  return { seq, slot, slots };
}

/** Returns what a stored message is; null for none. */
export function messageOf(stored: StoredMsg | null): LogMessage | null {
  if (stored === null) return null;
  const { seq, time, header } = stored;
  const [isFirst, foundedOf] = [header.get(firstHeader) !== '', Number(header.get(foundedHeader))];
  return { seq, timeMs: time.getTime(), isFirst, foundedOf, token: header.get(tokenHeader) };
}

/** The client's own `time` may be a millisecond later than what `messageOf` says: it rounds. */
function timeMsOf({ timestampNanos }: JsMsg): number {
  return Number(timestampNanos / 1_000_000n);
}

/** Passes on what is received, as what the log needs of it. */
export async function* received(messages: AsyncIterable<JsMsg>): AsyncGenerator<ReceivedMessage> {
  for await (const message of messages) {
    const { seq, data, headers: sent, info } = message;
    const { consumer, deliverySequence: sequence, pending } = info;
    const token = sent?.get(tokenHeader) ?? '';
    yield { seq, timeMs: timeMsOf(message), bytes: data, token, pending, delivery: { consumer, sequence } };
  }
}
