/** Ends a reader of which nothing is heard for long: its consumer may be gone, or its server. */
import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { DataPlaneError } from '../base/data-plane-error.ts';

/** The server says more often that it has no more. */
const silentMsMax = 20_000;

export class SilenceWatch {
  readonly #messages: ConsumerMessages;
  readonly #onHeard: () => void;
  #isHeard = true;
  /** A reader that has no room for more asks for none. */
  #isWaiting = true;

  constructor(messages: ConsumerMessages, onHeard: () => void = () => {}) {
    this.#messages = messages;
    this.#onHeard = onHeard;
  }

  #heard(): void {
    this.#isHeard = true;
    this.#onHeard();
  }

  async #listen(): Promise<void> {
    for await (const { type } of this.#messages.status()) if (type === 'heartbeat') this.#heard();
  }

  /** Passes messages on. Errors: DataPlaneError `Unavailable` after a silence. */
  async *heard(): AsyncGenerator<JsMsg> {
    const timer = setInterval(() => {
      if (this.#isWaiting && !this.#isHeard)
        this.#messages.stop(new DataPlaneError('Unavailable', 'the log server has fallen silent'));
      this.#isHeard = false;
    }, silentMsMax);
    void this.#listen();
    try {
      for await (const message of this.#messages) {
        this.#heard();
        this.#isWaiting = false;
        yield message;
        this.#isHeard = true;
        this.#isWaiting = true;
      }
    } finally {
      clearInterval(timer);
    }
  }
}
