/** Ingest inside the test process, over a log in memory and a scripted network. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VerifyOptions } from '../../src/ingest/admission-parts.ts';
import { type IngestOptions, type RunningIngest, startIngest } from '../../src/ingest/ingest-server.ts';
import { MemoryLog } from './memory-log.ts';
import { ScriptedNetwork } from './scripted-network.ts';

/** Proves nothing, so that an event that was received is on its way to the log. */
export const verifyOff: VerifyOptions = { mode: 'off', lagMsMax: 0, threads: 1 };
export const verifyAll: VerifyOptions = { mode: 'all', lagMsMax: Number.POSITIVE_INFINITY, threads: 1 };

export type Answered = { readonly status: number; readonly body: Record<string, unknown> };

/** Starts and restarts ingest over one folder. */
export class IngestHarness {
  readonly network: ScriptedNetwork;
  readonly folder = mkdtempSync(join(tmpdir(), 'skyshard-ingest-'));
  readonly notes: string[] = [];
  log = new MemoryLog();
  #running: RunningIngest | null = null;

  constructor(network: ScriptedNetwork) {
    this.network = network;
  }

  static async create(): Promise<IngestHarness> {
    return new IngestHarness(await ScriptedNetwork.start());
  }

  get ingest(): RunningIngest {
    if (this.#running === null) throw new Error('ingest is not running');
    return this.#running;
  }

  /** Starts ingest with the network as its only source. */
  async start(overrides: Partial<IngestOptions> = {}): Promise<RunningIngest> {
    const { url } = this.network;
    this.#running = await startIngest({
      folder: this.folder,
      host: '127.0.0.1',
      port: 0,
      sources: [{ url, startSeq: 0 }],
      backfillSources: false,
      appender: this.log,
      identity: { plcUrl: url, handleResolverUrl: url, allowPrivateHosts: true },
      verify: verifyAll,
      adminToken: null,
      note: (message, fields) => this.notes.push(`${message} ${JSON.stringify(fields)}`),
      ...overrides,
    });
    return this.#running;
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = null;
  }

  get status() {
    const subscription = this.ingest.subscriptions[0];
    if (subscription === undefined) throw new Error('no source');
    return subscription.status;
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Answered> {
    return answerOf(await fetch(`http://127.0.0.1:${this.ingest.port}${path}`, { headers }));
  }

  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answered> {
    const json = { 'content-type': 'application/json' };
    const init = { method: 'POST', body: JSON.stringify(body), headers: { ...json, ...headers } };
    return answerOf(await fetch(`http://127.0.0.1:${this.ingest.port}${path}`, init));
  }

  /** Waits until everything that the network has published is in the log. */
  async settle(): Promise<Answered> {
    const seq = this.network.backlog.at(-1)?.seq ?? 0;
    return this.post('/v1/settle', { cursors: { [this.network.url]: seq }, timeoutMs: 15_000 });
  }

  async close(): Promise<void> {
    await this.stop();
    await this.network.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function answerOf(response: Response): Promise<Answered> {
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return { status: response.status, body: isJson ? (JSON.parse(text) as Record<string, unknown>) : { text } };
}
