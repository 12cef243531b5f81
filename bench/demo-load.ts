/**
 * A cluster as `skyshard up` starts it, on a demo network of a given size, under reads and writes
 * at a fixed rate: for benches of what operators do while it serves.
 */
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { adminRequest } from '../src/cli/admin-request.ts';
import { listOf } from '../src/cli/service-call.ts';
import {
  type Ended,
  type Program,
  type RunningCluster,
  runCommand,
  sourceProgram,
  startCluster,
} from '../test/support/running-cluster.ts';
import { GrpcLoad } from './grpc-load.ts';
import { saturate, saturatingInFlight } from './hot-load.ts';
import { askSteps, callOf, type HotMethod, type HotRequest } from './hot-request.ts';
import { median, type Percentiles, runOpenLoop } from './report.ts';

const settleMsMax = 600_000;
const accountsMax = 1_000;
/** One of so many requests writes. */
const writeEvery = 20;
/** No phase is longer. */
const phaseMsMax = 600_000;
const firstSeenMs = Date.UTC(2026, 0, 1);

/**
 * The command line, behind all other processes: it runs on a machine of its operator, or on a core
 * to spare. Here its start alone would take one of the cores that serve for most of a second.
 */
const commandLine: Program = ['nice', '-n', '19', ...sourceProgram];

export type DemoLoadOptions = { readonly folder: string; readonly records: number; readonly flags: readonly string[] };

/** What callers saw in a phase. */
export type Phase = Percentiles & { readonly requests: number; readonly failed: number; readonly seconds: number };

export class DemoLoad implements AsyncDisposable {
  readonly cluster: RunningCluster;
  /** Of all accounts. */
  readonly dids: readonly string[];
  readonly #load: GrpcLoad;
  readonly #method: HotMethod;
  #problem = '';

  private constructor(cluster: RunningCluster, dids: readonly string[]) {
    this.cluster = cluster;
    this.dids = dids;
    this.#method = { name: 'reads and writes', requests: requestsOf(dids) };
    this.#load = new GrpcLoad(cluster.run.router.port, saturatingInFlight);
  }

  /** Starts it in a folder that has a `map.json`, and waits until all records are applied. */
  static async start({ folder, records, flags }: DemoLoadOptions): Promise<DemoLoad> {
    const actors = Math.max(20, Math.min(accountsMax, Math.floor(records / 100)));
    const demo = ['--demo', `--demo-actors=${actors}`, `--demo-records=${records}`];
    const cluster = await startCluster(folder, [...demo, ...flags]);
    const settled = await runCommand(['settle', `--data-dir=${cluster.dataDir}`, `--timeout-ms=${settleMsMax}`]);
    if (settled.code !== 0) throw new Error(`settle: ${settled.err}`);
    const path = '/xrpc/com.atproto.sync.listRepos?limit=1000';
    const listed = await adminRequest({ url: cluster.run.demo!.url, path, token: null, timeoutMs: 60_000 });
    const dids = listOf(listed as Record<string, unknown>, 'repos').map((repo) => String(repo['did']));
    return new DemoLoad(cluster, dids);
  }

  /** The last problem of a request that failed. */
  get problem(): string {
    return this.#problem;
  }

  /** Runs a command of the command line. Errors: Error where it fails. */
  async run(...words: string[]): Promise<string> {
    const ended: Ended = await runCommand([...words, `--data-dir=${this.cluster.dataDir}`], {}, commandLine);
    if (ended.code !== 0) throw new Error(`${words.join(' ')}: ${ended.out}${ended.err}`);
    return ended.out;
  }

  /** Returns how many requests a second are answered at most. */
  async capacity(phaseMs: number): Promise<number> {
    await saturate(this.#load, this.#method, phaseMs);
    return (await saturate(this.#load, this.#method, phaseMs)).perSecond;
  }

  /** Sends at a fixed rate for a time, and until `meanwhile` is done. */
  async phase(perSecond: number, phaseMs: number, meanwhile: () => Promise<void> = async () => {}): Promise<Phase> {
    const { requests } = this.#method;
    const startMs = systemClock.monotonicMs();
    let isDone = false;
    const working = meanwhile().finally(() => {
      isDone = true;
    });
    const send = async (index: number): Promise<void> => {
      try {
        await askSteps(this.#load, requests[index % requests.length]!);
      } catch (thrown) {
        this.#problem = (thrown as Error).message;
        throw thrown;
      }
    };
    const isOver = (): boolean => isDone && systemClock.monotonicMs() - startMs >= phaseMs;
    const looping = runOpenLoop({ perSecond, durationMs: phaseMsMax, send, isOver });
    await working;
    const { count, failed, unsent, latency } = await looping;
    const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
    return { requests: count + failed, failed: failed + unsent, seconds, ...latency };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#load.close();
    await this.cluster.stop();
  }
}

function requestsOf(dids: readonly string[]): HotRequest[] {
  return dids.flatMap((actorDid, index): HotRequest[] => {
    const reads: HotRequest[] = [
      [[callOf('GetFollowers', { actorDid, limit: 50 })]],
      [[callOf('GetAuthorFeed', { actorDid, limit: 50 })]],
      [[callOf('GetActors', { dids: [actorDid, dids[(index + 7) % dids.length]!] })]],
      [[callOf('GetTimeline', { actorDid, limit: 50 })]],
    ];
    const timestamp = firstSeenMs + index;
    const isWriting = (4 * index) % writeEvery === 0;
    return isWriting ? [...reads, [[callOf('UpdateNotificationSeen', { actorDid, timestamp })]]] : reads;
  });
}

/** Returns what pairs of phases without something and with it say of it. */
export function pairFigures(without: readonly Phase[], beside: readonly Phase[]): Record<string, number> {
  return {
    p99_ratio: median(beside.map(({ p99_ms }, pair) => p99_ms / without[pair]!.p99_ms)),
    p99_without_ms: median(without.map(({ p99_ms }) => p99_ms)),
    p99_ms: median(beside.map(({ p99_ms }) => p99_ms)),
    requests: beside.reduce((sum, { requests }) => sum + requests, 0),
    failed: [...without, ...beside].reduce((sum, { failed }) => sum + failed, 0),
  };
}

/** Returns the folder of a node. */
export function nodeFolder({ dataDir }: RunningCluster, node: string): string {
  return join(dataDir, `node-${node}`);
}
