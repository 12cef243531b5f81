/**
 * One supervised child process of skyshard: started, awaited, restarted, stopped.
 *
 * Owns: the child's life and its backoff. A child that was ready once and exits unasked is
 * restarted on the same ports for as long as `up` runs, at once if it asked for that; one that
 * never became ready fails the start. Each child has its own process group, so that Ctrl-C in a
 * terminal reaches `up` alone, which stops children in order; they stop by themselves when the
 * channel to `up` breaks.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { backoffMs } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import type { SeededRandom } from '../../base/seeded-random.ts';
import type { ProcessLog } from '../process-log.ts';

/** Where a child listens, by the name of the port (`port`, `http2Port`), as it reported. */
export type Listening = { readonly host: string; readonly ports: Readonly<Record<string, number>> };

/** What a child sends on its channel: that it serves, and that it ends only to be started again. */
export type ChildMessage =
  | { readonly type: 'ready'; readonly listening: Listening }
  | { readonly type: 'starts-again' };

export type ChildSpec = {
  readonly name: string;
  /** Command and flags; `before` is where it listened last, which a restart keeps. */
  readonly words: (before: Listening | null) => readonly string[];
  readonly readyMsMax: number;
  readonly stopMsMax: number;
};

export type SupervisorContext = {
  /** Returns the program and its arguments that run skyshard with these arguments. */
  readonly command: (words: readonly string[]) => readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly log: ProcessLog;
  /** Takes each line that a child prints. */
  readonly onLine: (name: string, line: string) => void;
  /** Called when a child serves again after a restart. */
  readonly onRestarted: () => void;
};

const restartPolicy = { firstMs: 200, maxMs: 10_000 };
/** A child that served this long is restarted as if after its first failure. */
const steadyMs = 60_000;

function isOfType<Type extends ChildMessage['type']>(
  message: unknown,
  type: Type,
): message is ChildMessage & { readonly type: Type } {
  return typeof message === 'object' && message !== null && (message as { type?: unknown }).type === type;
}

/** Runs one child process, restarting it whenever it exits, until it is stopped. */
export class SupervisedChild {
  readonly #spec: ChildSpec;
  readonly #context: SupervisorContext;
  readonly #stopping = new AbortController();
  #process: ChildProcess | null = null;
  #ended: Promise<string> = Promise.resolve('never started');
  #listening: Listening | null = null;
  /** Whether the child that runs has asked to be started again. */
  #startsAgain = false;
  #watching: Promise<void> = Promise.resolve();

  constructor(spec: ChildSpec, context: SupervisorContext) {
    this.#spec = spec;
    this.#context = context;
  }

  /** Where the child listens; known once `start` has resolved. */
  get listening(): Listening {
    if (this.#listening === null) throw new DataPlaneError('Unavailable', `${this.#spec.name} is not ready`);
    return this.#listening;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /**
   * Starts the child and waits until it serves; from then on it is restarted when it exits.
   *
   * Errors: DataPlaneError `Unavailable` when it exits or times out before it serves.
   */
  async start(): Promise<void> {
    await this.#launch();
    this.#watching = this.#watch();
  }

  async #launch(): Promise<void> {
    const { name, words, readyMsMax } = this.#spec;
    const [program, ...programWords] = this.#context.command(words(this.#listening));
    const child = spawn(program!, programWords, {
      detached: true,
      env: { ...this.#context.environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#process = child;
    this.#startsAgain = false;
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.#context.onLine(name, line));
    }
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    const giveUp = new AbortController();
    const ready = new Promise<Listening>((resolve) => {
      child.on('message', (message) => {
        if (isOfType(message, 'ready')) resolve(message.listening);
        else if (isOfType(message, 'starts-again')) this.#startsAgain = true;
      });
    });
    const outcome = await Promise.race([
      ready,
      this.#ended,
      this.#context.clock.sleep(readyMsMax, giveUp.signal).then(() => `not ready after ${readyMsMax} ms`),
    ]);
    giveUp.abort();
    if (typeof outcome === 'string') {
      this.#signal('SIGKILL');
      throw new DataPlaneError('Unavailable', `${name} did not start: ${outcome}`, {
        hint: `What ${name} printed says why.`,
      });
    }
    this.#listening = outcome;
  }

  async #watch(): Promise<void> {
    const { clock, random, log, onRestarted } = this.#context;
    for (let failures = 1; ; failures++) {
      const startedMs = clock.monotonicMs();
      const how = await this.#ended;
      if (this.#stopping.signal.aborted) return;
      if (this.#startsAgain) {
        failures = 0;
        log('info', `${this.#spec.name} starts again, as it asked to`, { how });
      } else {
        if (clock.monotonicMs() - startedMs > steadyMs) failures = 1;
        const afterMs = Math.round(backoffMs(restartPolicy, failures, random));
        log('error', `${this.#spec.name} ended; it is started again`, { how, afterMs });
        await clock.sleep(afterMs, this.#stopping.signal);
        if (this.#stopping.signal.aborted) return;
      }
      try {
        await this.#launch();
        log('info', `${this.#spec.name} serves again`, { pid: this.pid });
        onRestarted();
      } catch (thrown) {
        log('error', operatingFailure(thrown).message);
      }
    }
  }

  #signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) this.#process.kill(signal);
  }

  /** Asks the child to stop, and kills it after `stopMsMax`. It is not restarted. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#signal('SIGTERM');
    const waited = new AbortController();
    const late = this.#context.clock.sleep(this.#spec.stopMsMax, waited.signal).then(() => 'late');
    if ((await Promise.race([this.#ended, late])) === 'late') {
      this.#context.log('warn', `${this.#spec.name} did not stop in time and is killed`, {
        stopMsMax: this.#spec.stopMsMax,
      });
      this.kill();
    }
    waited.abort();
    await this.#ended;
    await this.#watching;
  }

  /** Kills the child at once. */
  kill(): void {
    this.#stopping.abort();
    this.#signal('SIGKILL');
  }
}
