/** skyshard as operators start it: `skyshard up` in a child process, with its own data. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataPlaneClient } from '@atproto/bsky';
import { NatsServer } from '../../support/nats-server.ts';
import { bsyncApiKey } from './bsync-writer.ts';
import { endProcess, keepOutput } from './child-process.ts';
import { connectClient } from './direct-client.ts';
import type { BsyncHeads, HttpVersion, Plane, PlaneSurroundings } from './plane.ts';
import { Hopeless, waitUntil } from './wait-until.ts';

const projectDir = join(import.meta.dirname, '..', '..', '..');
const startDeadlineMs = 60_000;
const settleDeadlineMs = 60_000;
const stopGraceMs = 20_000;

/** The part of `<data>/run.json` that tests need. */
interface RunFile {
  readonly router: { readonly url: string; readonly http2Url: string };
  readonly ingest: { readonly url: string };
}

/** The part of ingest's status that tests need: look-ups that wait for another attempt. */
interface IngestStatus {
  readonly lookups: Readonly<
    Record<'identities' | 'deletions', { readonly directory: number; readonly otherHosts: number }>
  >;
}

/** How many slots there are, on how many nodes, of how many serving threads; where the log is. */
export interface Topology {
  readonly slots: number;
  readonly nodes: number;
  readonly serveThreads?: number;
  readonly searchThreads?: number;
  readonly logHome?: 'folders' | 'nats';
}

export const usualTopology: Topology = { slots: 16, nodes: 2 };

interface PlaneParts {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly run: RunFile;
  readonly source: string;
  readonly output: () => string;
  readonly logServer: AsyncDisposable | null;
}

/** A cluster that follows the PDS from its first event. */
export class SkyshardPlane implements Plane {
  readonly name = 'skyshard';
  readonly readsBsync = true;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #run: RunFile;
  readonly #source: string;
  readonly #output: () => string;
  /** Ends with the cluster, after it. */
  readonly #logServer: AsyncDisposable | null;

  private constructor({ child, folder, run, source, output, logServer }: PlaneParts) {
    this.#child = child;
    this.#folder = folder;
    this.#run = run;
    this.#source = source;
    this.#output = output;
    this.#logServer = logServer;
  }

  /** Starts the cluster, of the sources in a folder, which may happen before the PDS starts. */
  static async start(
    surroundings: PlaneSurroundings,
    topology: Topology,
    sourceDir: string = projectDir,
  ): Promise<SkyshardPlane> {
    const folder = mkdtempSync(join(tmpdir(), 'skyshard-conformance-'));
    const dataDir = join(folder, 'data');
    const source = sourceUrl(surroundings.pdsPort);
    const logServer = topology.logHome === 'nats' ? await NatsServer.start() : null;
    const log = logServer === null ? [] : ['--log', logServer.url, '--log-bytes-max', String(2 ** 30)];
    const child = spawn(
      process.execPath,
      [join(sourceDir, 'src/cli/main.ts'), ...upArguments(folder, dataDir, surroundings, topology), ...log],
      {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const output = keepOutput(child);
    try {
      const run = await waitUntil('skyshard to write run.json', startDeadlineMs, () => {
        if (child.exitCode !== null) throw new Hopeless(`skyshard ended with ${child.exitCode}`);
        return JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as RunFile;
      });
      await waitUntil('the router to be ready', startDeadlineMs, async () => {
        const answer = await fetch(`${run.router.url}/readyz`);
        return answer.ok;
      });
      return new SkyshardPlane({ child, folder, run, source, output, logServer });
    } catch (error) {
      await endProcess(child, 'SIGTERM', stopGraceMs);
      await logServer?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`skyshard did not start\n${output()}`, { cause: error });
    }
  }

  /** Returns the last lines that the processes printed. */
  output(): string {
    return this.#output();
  }

  url(httpVersion: HttpVersion): string {
    return httpVersion === '2' ? this.#run.router.http2Url : this.#run.router.url;
  }

  directClient(): DataPlaneClient {
    return connectClient(this.url('1.1'));
  }

  async settle(lastSeq: number, bsync: BsyncHeads): Promise<void> {
    await this.#settle({ [this.#source]: lastSeq }, bsync);
  }

  /** Waits until everything up to this message of a followed labeler is applied. */
  async settleLabels(labelerDid: string, lastSeq: number): Promise<void> {
    await this.#settle({ [labelerDid]: lastSeq });
  }

  async #settle(cursors: Readonly<Record<string, number>>, bsync: BsyncHeads = {}): Promise<void> {
    await this.#post(`${this.#run.router.url}/v1/settle`, { cursors, bsync, timeoutMs: settleDeadlineMs });
  }

  /** Repeats look-ups that failed, which ingest by itself does later. */
  async mendRaces(dids: readonly string[]): Promise<void> {
    if ((await this.#waitingLookups()) === 0) return;
    for (const did of dids) await this.#post(`${this.#run.ingest.url}/v1/identity/refresh`, { did });
    await waitUntil('the look-ups of accounts', settleDeadlineMs, async () => (await this.#waitingLookups()) === 0);
    await this.#settle({});
  }

  async #waitingLookups(): Promise<number> {
    const answer = await fetch(`${this.#run.ingest.url}/v1/status`);
    const { lookups } = (await answer.json()) as IngestStatus;
    return Object.values(lookups).reduce((sum, { directory, otherHosts }) => sum + directory + otherHosts, 0);
  }

  async #post(url: string, body: object): Promise<void> {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(settleDeadlineMs + 5000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${url} failed: ${answer.status} ${text}\n${this.#output()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endProcess(this.#child, 'SIGTERM', stopGraceMs);
    await this.#logServer?.[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Documents name the PDS by another URL. */
function sourceUrl(pdsPort: number): string {
  return `http://127.0.0.1:${pdsPort}`;
}

function upArguments(
  folder: string,
  dataDir: string,
  { pdsPort, plcUrl, bsyncUrl, labelers = [] }: PlaneSurroundings,
  topology: Topology,
): string[] {
  const mapPath = join(folder, 'shard-map.json');
  writeFileSync(mapPath, JSON.stringify(shardMap(topology)));
  const keyPath = join(folder, 'bsync-key');
  writeFileSync(keyPath, bsyncApiKey);
  return [
    'up',
    ...['--pds', `${sourceUrl(pdsPort)}=http://localhost:${pdsPort}`],
    ...['--plc-url', plcUrl, '--handle-resolver', sourceUrl(pdsPort)],
    ...['--bsync-url', bsyncUrl, '--bsync-key-file', keyPath],
    ...labelers.flatMap((labeler) => ['--labeler', labeler]),
    ...['--allow-private-hosts', '--cursor', '0', '--data-dir', dataDir, '--map', mapPath],
    ...['--serve-threads', String(topology.serveThreads ?? 1)],
    ...['--search-threads', String(topology.searchThreads ?? 0)],
    ...['--router-port', '0', '--http2-port', '0', '--ingest-port', '0'],
  ];
}

/** Each node gets an equal run of slots. */
function shardMap({ slots, nodes }: Topology): object {
  const perNode = slots / nodes;
  const indexes = Array.from({ length: nodes }, (_node, index) => index);
  return {
    epoch: 1,
    slots,
    nodes: Object.fromEntries(indexes.map((index) => [`n${index}`, { host: '127.0.0.1', port: 0 }])),
    shards: indexes.map((index) => ({
      name: `s${index}`,
      primary: `n${index}`,
      replicas: [],
      slots: [`${index * perNode}-${(index + 1) * perNode - 1}`],
    })),
  };
}
