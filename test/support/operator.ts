/** An operator of a running cluster, whose commands are to succeed or to be refused. */
import { expect } from 'vitest';
import { type Ended, type RunningCluster, runCommand } from './running-cluster.ts';

export class Operator {
  readonly #dataDir: string;

  constructor({ dataDir }: RunningCluster) {
    this.#dataDir = dataDir;
  }

  run(...words: string[]): Promise<Ended> {
    return runCommand([...words, `--data-dir=${this.#dataDir}`]);
  }

  /** Runs a command that must succeed without a warning. Returns what it prints. */
  async done(...words: string[]): Promise<string> {
    const { code, out, err } = await this.run(...words);
    expect([code, err], `${words.join(' ')}: ${out}`).toEqual([0, '']);
    return out;
  }

  /** Runs a command that must fail, and say this and what to do. */
  async refused(words: readonly string[], problem: string): Promise<void> {
    const { code, err } = await this.run(...words);
    expect(err).toContain(problem);
    expect(code).not.toBe(0);
    expect(err.trim().split('\n').length).toBeGreaterThan(1);
  }
}
