/** A command of an operator to which something is done meanwhile, at a step that it prints. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Ended } from '../support/running-cluster.ts';
import { until } from '../support/until.ts';

export class OperatorRun {
  readonly #child: ChildProcess;
  #out = '';
  #err = '';
  hasEnded = false;
  readonly ended: Promise<Ended>;

  constructor(words: readonly string[]) {
    const { PATH, HOME, NODE_OPTIONS } = process.env;
    this.#child = spawn(words[0]!, words.slice(1), {
      env: { PATH, HOME, NODE_OPTIONS },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout!.on('data', (text: Buffer) => {
      this.#out += text.toString();
    });
    this.#child.stderr!.on('data', (text: Buffer) => {
      this.#err += text.toString();
    });
    this.ended = once(this.#child, 'close').then(([code]) => {
      this.hasEnded = true;
      return { code: code as number | null, out: this.#out, err: this.#err };
    });
  }

  /** Waits until it has printed something, or has ended before that. */
  async untilPrinted(pattern: RegExp, waitMsMax: number): Promise<void> {
    await until(() => this.hasEnded || pattern.test(this.#out), waitMsMax);
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
