/** One process of the lane: started, killed, stopped, and started again when it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { systemClock } from '../../src/base/clock.ts';

export type RoleSpec = {
  readonly name: string;
  readonly words: () => readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Takes each line that it prints, the first of which says that it is ready. */
  readonly onLine?: (line: string) => void;
  /** Resolves once it is ready; absent: it says so by its first line, or on its channel. */
  readonly untilReady?: () => Promise<void>;
  /** Called with the id of each process that has ended. */
  readonly onEnded?: (pid: number) => void;
};

const startMsMax = 60_000;
const restartPauseMs = 200;
const linesMax = 200;

export class RoleProcess {
  readonly name: string;
  readonly #spec: RoleSpec;
  #process: ChildProcess | null = null;
  #exit: Promise<void> = Promise.resolve();
  /** Whether it should run; what ends although it should is started again. */
  #isWanted = false;
  /** The last lines that it wrote to its standard error. */
  readonly notes: string[] = [];
  /** How it ended by itself, each time. */
  readonly ends: string[] = [];

  constructor(spec: RoleSpec) {
    this.name = spec.name;
    this.#spec = spec;
  }

  /** Resolves once it is ready. */
  async start(): Promise<void> {
    if (this.#process !== null) return;
    this.#isWanted = true;
    const { PATH, HOME, NODE_OPTIONS } = process.env;
    const [program, ...words] = this.#spec.words();
    const child = spawn(program!, words, {
      env: { PATH, HOME, NODE_OPTIONS, ...this.#spec.environment },
      // By the channel it learns that this process is gone. Ctrl-C in a terminal is not for it.
      stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    this.#process = child;
    child.stdin!.on('error', () => {});
    eachLine(child.stderr!, (line) => this.#note(line));
    const first = Promise.withResolvers<void>();
    eachLine(child.stdout!, (line) => {
      first.resolve();
      this.#spec.onLine?.(line);
    });
    this.#exit = once(child, 'exit').then(([code, signal]) => this.#ended(child, code ?? signal));
    const isReady = this.#spec.untilReady?.() ?? Promise.race([first.promise, once(child, 'message')]);
    const timeout = AbortSignal.timeout(startMsMax);
    await Promise.race([isReady, this.#exit, once(timeout, 'abort')]);
    if (timeout.aborted) throw new Error(`${this.name} was not ready in ${startMsMax} ms:\n${this.notes.join('\n')}`);
  }

  #ended(child: ChildProcess, how: number | string): void {
    if (this.#process !== child) return;
    this.#process = null;
    this.#spec.onEnded?.(child.pid ?? 0);
    if (!this.#isWanted) return;
    this.ends.push(`${this.name} ended with ${how}: ${this.notes.at(-1) ?? ''}`);
    const restart = async (): Promise<void> => {
      await systemClock.sleep(restartPauseMs);
      if (this.#isWanted) await this.start();
    };
    restart().catch((thrown: Error) => this.ends.push(thrown.message));
  }

  #note(line: string): void {
    this.notes.push(line);
    if (this.notes.length > linesMax) this.notes.shift();
  }

  /** Ends it as a crash would, and starts it no more. */
  async kill(): Promise<void> {
    this.#isWanted = false;
    this.#process?.kill('SIGKILL');
    await this.#exit;
  }

  /** Stands still, with its connections open. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process?.kill('SIGCONT');
  }

  send(line: string): void {
    this.#process?.stdin?.write(`${line}\n`);
  }
}

function eachLine(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) take(line);
  });
}
