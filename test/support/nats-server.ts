/** Debian's nats-server with JetStream, on a free port of loopback, with a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from './crash-cluster.ts';
import { makeMemoryFolder } from './memory-folder.ts';
import { until } from './until.ts';

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => resolve(true)).once('error', () => resolve(false));
    socket.once('data', () => socket.destroy());
  });
}

export class NatsServer implements AsyncDisposable {
  readonly folder = makeMemoryFolder('skyshard-nats-');
  readonly port: number;
  #process: ChildProcess | null = null;

  private constructor(port: number) {
    this.port = port;
  }

  /** `maxPayload` in the words of its configuration, and the lines that follow it. */
  static async start(maxPayload = '8MB', more: readonly string[] = []): Promise<NatsServer> {
    const server = new NatsServer(await freePort());
    const store = JSON.stringify(join(server.folder, 'store'));
    const lines = [
      `listen: "127.0.0.1:${server.port}"`,
      `max_payload: ${maxPayload}`,
      `jetstream { store_dir: ${store} }`,
      ...more,
    ];
    writeFileSync(join(server.folder, 'nats.conf'), `${lines.join('\n')}\n`);
    await server.up();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async up(): Promise<void> {
    this.#process = spawn('nats-server', ['-c', join(this.folder, 'nats.conf')], { stdio: 'ignore' });
    await until(() => answers(this.port));
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    const ended = this.#process;
    this.#process = null;
    if (ended === null || ended.exitCode !== null) return;
    ended.kill('SIGKILL');
    await once(ended, 'exit');
  }

  /** Stands still, with its connections open, until it goes on. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Loses all that it holds, while it is down. */
  wipe(): void {
    rmSync(join(this.folder, 'store'), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
