/** A private Redis server for comparison: on a free loopback port, asked by redis-benchmark. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';

export type BenchRedis = {
  readonly pid: number;
  /** Stores `key:<12 digits>` → value for each value in turn. */
  fill(values: Iterable<Buffer>): Promise<number>;
  /** Runs `redis-benchmark` with MGETs of 50 random keys. Returns requests per second. */
  benchMget(options: { keys: number; requests: number; clients: number; pipeline: number }): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

export const mgetKeys = 50;
const fillBytesTarget = 1024 * 1024;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

async function connectWithin(port: number, timeoutMs: number): Promise<Socket> {
  const endMs = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    const socket = createConnection(port, '127.0.0.1');
    const failure = await Promise.race([once(socket, 'connect').then(() => null), once(socket, 'error')]).catch(
      (error) => error,
    );
    if (failure === null) return socket;
    if (systemClock.monotonicMs() > endMs) throw new Error('redis-server does not listen');
    await systemClock.sleep(20);
  }
}

/** Starts `redis-server` without persistence. Errors: Error when redis-server is missing. */
export async function startRedis(): Promise<BenchRedis> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  const ended = once(server, 'exit');
  await once(server, 'spawn').catch(() => {
    throw new Error('redis-server is needed: apt-get install -y redis-server');
  });
  const socket = await connectWithin(port, 10_000);
  return {
    pid: server.pid!,
    fill: (values) => fillKeys(socket, values),
    benchMget: (options) => benchMget(port, options),
    async [Symbol.asyncDispose]() {
      socket.destroy();
      server.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function fillKeys(socket: Socket, values: Iterable<Buffer>): Promise<number> {
  let answeredBytes = 0;
  socket.on('data', (chunk: Buffer) => {
    answeredBytes += chunk.length;
  });
  let count = 0;
  let parts: Buffer[] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    if (!socket.write(Buffer.concat(parts))) await once(socket, 'drain');
    parts = [];
    bytes = 0;
  };
  for (const value of values) {
    const key = `key:${String(count++).padStart(12, '0')}`;
    parts.push(
      Buffer.from(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n`),
      value,
      Buffer.from('\r\n'),
    );
    bytes += value.length + 60;
    if (bytes > fillBytesTarget) await send();
  }
  await send();
  const okBytes = '+OK\r\n'.length;
  while (answeredBytes < count * okBytes) await once(socket, 'data');
  return count;
}

async function benchMget(
  port: number,
  options: { keys: number; requests: number; clients: number; pipeline: number },
): Promise<number> {
  const { keys, requests, clients, pipeline } = options;
  const flags = { '-p': port, '-n': requests, '-c': clients, '-P': pipeline, '-r': keys };
  const args = ['--csv', ...Object.entries(flags).flatMap(([flag, value]) => [flag, String(value)])];
  const command = ['MGET', ...new Array<string>(mgetKeys).fill('key:__rand_int__')];
  const child = spawn('redis-benchmark', [...args, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await once(child, 'exit');
  const perSecond = Number(output.trim().split('\n').at(-1)?.split('","')[1]);
  if (!(perSecond > 0)) throw new Error(`redis-benchmark printed no rate: ${output}`);
  return perSecond;
}
