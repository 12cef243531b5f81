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
import type { LogServer, LogSession } from './log-session.ts';

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
  /** Why there is no session; null while there is one. */
  problem: string | null = 'the log server is not connected yet';

  constructor(options: JetStreamConnectionOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  get session(): LogSession | null {
    return this.#session;
  }

  async #run(): Promise<void> {
    const { clock, random, note } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      const startMs = clock.monotonicMs();
      const error = await this.#runSession();
      if (signal.aborted) return;
      failures = clock.monotonicMs() - startMs > goodSessionMs ? 1 : failures + 1;
      this.problem = error.message;
      if (isSaidAgain(failures))
        note(`the log is tried again: ${error.message}`, { code: error.code, hint: error.hint });
      await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
    }
  }

  /** Runs one session, and returns what ended it. */
  async #runSession(): Promise<DataPlaneError> {
    const { server, map, use } = this.#options;
    let session: LogSession | null = null;
    try {
      // Loads the client of NATS, which a cluster without a server does not need.
      const { LogSession } = await import('./log-session.ts');
      session = await LogSession.open(server, map());
      this.#session = session;
      this.problem = null;
      await use(session);
      await session.untilEnded();
      return new DataPlaneError('Unavailable', `the connection to ${server.url} is lost`);
    } catch (thrown) {
      return operatingFailure(thrown);
    } finally {
      this.#session = null;
      await session?.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#session?.close();
    await this.#running;
  }
}
