/** What a server says of messages: of one that is asked for, and of those that are read. */
import type { JsMsg, StoredMsg } from '@nats-io/jetstream';

/** A message in a stream. `isFirst`: the log of its slot began with it. */
export type LogMessage = {
  readonly seq: number;
  readonly timeMs: number;
  readonly isFirst: boolean;
  readonly token: string;
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

export const tokenHeader = 'Skyshard-Token';
export const firstHeader = 'Skyshard-First';

/** Returns what a stored message is; null for none. */
export function messageOf(stored: StoredMsg | null): LogMessage | null {
  if (stored === null) return null;
  const { seq, time, header } = stored;
  return { seq, timeMs: time.getTime(), isFirst: header.get(firstHeader) !== '', token: header.get(tokenHeader) };
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
