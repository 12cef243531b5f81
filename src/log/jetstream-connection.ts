/**
 * Keeps a session with the NATS server that holds the log.
 *
 * Owns: connecting again. Each session begins with the checks of its streams, and those who read
 * are called anew; what they fail with ends the session, and the next one tries again.
 */
import { backoffMs, isSaidAgain } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { LogServerStatus } from '../wire/node-status.ts';
import { durabilityWarning, type LogServer, type ServerFacts } from './log-server.ts';
import type { LogSession } from './log-session.ts';

export type JetStreamConnectionOptions = {
  readonly server: LogServer;
  readonly map: () => ShardMap;
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** Called with each session; ends with it. Errors: DataPlaneError, which ends the session. */
  readonly use: (session: LogSession) => Promise<void>;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

const retryPolicy = { firstMs: 100, maxMs: 5_000 };
/** A session of this length was a good one. */
const goodSessionMs = 10_000;

export class JetStreamConnection implements AsyncDisposable {
  readonly #options: JetStreamConnectionOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #session: LogSession | null = null;
  #failure: DataPlaneError | null = null;
  /** Of the last session that there was. */
  #facts: ServerFacts;
  #warning: string | null = null;

  constructor(options: JetStreamConnectionOptions) {
    this.#options = options;
    this.#facts = { url: options.server.urls.join(', '), version: null, copies: null };
    this.#running = this.#run();
  }

  /** Why there is no session; null while there is one, and before the first. */
  get failure(): DataPlaneError | null {
    return this.#failure;
  }

  get problem(): string | null {
    return this.#session === null ? (this.#failure?.message ?? 'the log server is not connected yet') : null;
  }

  get status(): LogServerStatus {
    return { ...this.#facts, problem: this.problem, warning: this.#warning };
  }

  get session(): LogSession | null {
    return this.#session;
  }

  async #run(): Promise<void> {
    const { clock, random, note } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      const startMs = clock.monotonicMs();
      const error = await this.#runSession(failures);
      if (signal.aborted) return;
      failures = clock.monotonicMs() - startMs > goodSessionMs ? 1 : failures + 1;
      this.#failure = error;
      if (isSaidAgain(failures))
        note(`the log is tried again: ${error.message}`, { code: error.code, hint: error.hint });
      await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
    }
  }

  /** Runs one session, with one URL after the other, and returns what ended it. */
  async #runSession(attempt: number): Promise<DataPlaneError> {
    const { server, map, use } = this.#options;
    const url = server.urls[attempt % server.urls.length]!;
    let session: LogSession | null = null;
    try {
      // Loads the client of NATS, which a cluster without a server does not need.
      const { LogSession } = await import('./log-session.ts');
      session = await LogSession.open(server, url, map());
      // Nobody else closes one that was opened after the end.
      if (this.#stop.signal.aborted) return new DataPlaneError('Canceled', `the connection to ${url} is not needed`);
      this.#session = session;
      this.#failure = null;
      this.#noteFacts(session.facts);
      await use(session);
      await session.untilEnded();
      return new DataPlaneError('Unavailable', `the connection to ${url} is lost`);
    } catch (thrown) {
      return operatingFailure(thrown);
    } finally {
      this.#session = null;
      await session?.close();
    }
  }

  #noteFacts(facts: ServerFacts): void {
    this.#facts = facts;
    const warning = durabilityWarning(facts);
    if (warning !== null && warning !== this.#warning) this.#options.note(`the log: ${warning}`, { url: facts.url });
    this.#warning = warning;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#session?.close();
    await this.#running;
  }
}
