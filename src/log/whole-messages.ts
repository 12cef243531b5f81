/**
 * Messages of a log that may lose, while a replica reads it, what the replica would receive next.
 *
 * The server then sends the first one that it still has, and says nothing of those between. So what
 * comes late counts only if the log still has the message before it: what is removed is all that
 * comes before some message.
 */
import type { DataPlaneError } from '../base/data-plane-error.ts';
import type { ReceivedMessage } from './log-message.ts';

type MessagePlace = { readonly seq: number; readonly timeMs: number };

export type WholeCheck = {
  /** Whether messages before this one, just received, may have been removed unread. */
  readonly isLate: (message: ReceivedMessage) => boolean;
  /** Whether the log still has all that comes after a message. Errors: DataPlaneError. */
  readonly isWholeAfter: (last: MessagePlace) => Promise<boolean>;
  readonly goneError: () => DataPlaneError;
};

/** Received and not checked yet; beyond, no more is received. */
const uncheckedBytesMax = 4 * 2 ** 20;

/** Receives while others are checked, so that one question is about all that has come. */
class ReceivedGroups {
  #messages: ReceivedMessage[] = [];
  #bytes = 0;
  #hasEnded = false;
  #waiters: (() => void)[] = [];

  async receive(messages: AsyncIterable<ReceivedMessage>): Promise<void> {
    try {
      for await (const message of messages) {
        this.#messages.push(message);
        this.#bytes += message.bytes.length;
        this.#wake();
        while (this.#bytes > uncheckedBytesMax) await this.#change();
      }
    } finally {
      this.#hasEnded = true;
      this.#wake();
    }
  }

  /** Returns what has come since, at least one message; none at the end. */
  async next(): Promise<ReceivedMessage[]> {
    while (this.#messages.length === 0 && !this.#hasEnded) await this.#change();
    const group = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    this.#wake();
    return group;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

/**
 * Passes on the messages after `start`, each once, in order and without a gap.
 *
 * Errors: `goneError` of the check once there is a gap; those of the messages and the check.
 */
export async function* wholeMessages(
  messages: AsyncIterable<ReceivedMessage>,
  start: MessagePlace,
  { isLate, isWholeAfter, goneError }: WholeCheck,
): AsyncGenerator<ReceivedMessage> {
  const groups = new ReceivedGroups();
  const receiving = groups.receive(messages);
  // It is awaited at the end; until then nobody else hears of its failure.
  receiving.catch(() => {});
  let last: MessagePlace = start;
  for (;;) {
    const received = await groups.next();
    if (received.length === 0) break;
    const group = received.filter(({ seq }) => seq > last.seq);
    if (group.some(isLate) && !(await isWholeAfter(last))) throw goneError();
    last = group.at(-1) ?? last;
    yield* group;
  }
  await receiving;
}
