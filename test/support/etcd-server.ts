/** An etcd of a test's own, on free loopback ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './crash-cluster.ts';
import { until } from './until.ts';

export class EtcdServer implements AsyncDisposable {
  readonly url: string;
  readonly #peerUrl: string;
  #folder: string | null = null;
  #child: ChildProcess | null = null;

  private constructor(port: number, peerPort: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#peerUrl = `http://127.0.0.1:${peerPort}`;
  }

  /** Chooses ports, and starts nothing yet. */
  static async make(): Promise<EtcdServer> {
    return new EtcdServer(await freePort(), await freePort());
  }

  /** Starts it without any data, and waits until it answers. */
  async start(): Promise<void> {
    this.#folder = mkdtempSync(join(tmpdir(), 'skyshard-etcd-'));
    const flags = {
      'data-dir': this.#folder,
      'listen-client-urls': this.url,
      'advertise-client-urls': this.url,
      'listen-peer-urls': this.#peerUrl,
      'initial-advertise-peer-urls': this.#peerUrl,
      'initial-cluster': `default=${this.#peerUrl}`,
    };
    const words = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    this.#child = spawn('etcd', words, { stdio: 'ignore', env: { PATH: process.env['PATH'] ?? '' } });
    await until(
      () =>
        this.values('').then(
          () => true,
          () => false,
        ),
      60_000,
    );
  }

  /** Ends it, and loses its data. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child !== null && child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Returns the values below a prefix, with the lease of each. */
  async values(prefix: string): Promise<{ readonly value: string; readonly lease: string }[]> {
    const end = `${prefix.slice(0, -1)}${String.fromCharCode((prefix.charCodeAt(prefix.length - 1) || 0) + 1)}`;
    const range = prefix === '' ? { key: '\0', range_end: '\0' } : { key: prefix, range_end: end };
    const encoded = Object.entries(range).map(([name, text]) => [name, Buffer.from(text).toString('base64')]);
    const body = JSON.stringify(Object.fromEntries(encoded));
    const response = await fetch(`${this.url}/v3/kv/range`, { method: 'POST', body });
    const { kvs = [] } = (await response.json()) as { kvs?: { value: string; lease?: string }[] };
    return kvs.map(({ value, lease = '0' }) => ({ value: Buffer.from(value, 'base64').toString(), lease }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
