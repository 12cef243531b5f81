/**
 * Resolves identities against a local directory and a local handle resolver, as ingest does.
 *
 * Three ways to the same work: DIDs that commits name for the first time, `#identity` events from
 * their durable queue, and directory documents alone. The log acknowledges at once; ingest's state
 * is on disk. Closed loop: as many look-ups at once as the bounds allow.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { base32Letters } from '../src/base/base32.ts';
import { systemClock } from '../src/base/clock.ts';
import { type SeededRandom, seededRandom } from '../src/base/seeded-random.ts';
import { IdentityResolver } from '../src/identity/identity-resolver.ts';
import { IdentityQueue } from '../src/ingest/identity-queue.ts';
import { createIngestCounters } from '../src/ingest/ingest-counters.ts';
import { IngestState } from '../src/ingest/state/ingest-state.ts';
import type { LogAppender } from '../src/log/log-appender.ts';
import { startChild } from './child-process.ts';
import type { BenchOptions, BenchResult, Figures } from './report.ts';

export const question = 'How many new identities does a core of ingest resolve per second? (closed loop)';

const serverScript = join(import.meta.dirname, 'identity-server.ts');
/** Below the jobs that ingest holds in memory. */
const batch = 4000;

function didsOf(count: number, random: SeededRandom): string[] {
  return Array.from({ length: count }, () => {
    const letters = Array.from({ length: 24 }, () => base32Letters[random.below(32)]!);
    return `did:plc:${Buffer.from(letters).toString('latin1')}`;
  });
}

async function measured(count: number, run: () => Promise<void>): Promise<Figures> {
  const [startMs, before] = [systemClock.monotonicMs(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(before);
  const wallMs = systemClock.monotonicMs() - startMs;
  return {
    resolutions_per_s_per_core: (count * 1e6) / (user + system),
    cpu_us_per_resolution: (user + system) / count,
    resolutions_per_s: (count * 1000) / wallMs,
  };
}

/** Calls `start` for each DID, and waits for the look-ups after each batch. */
async function inBatches(
  dids: readonly string[],
  queue: IdentityQueue,
  start: (did: string) => unknown,
): Promise<void> {
  for (let from = 0; from < dids.length; from += batch) {
    await Promise.all(dids.slice(from, from + batch).map(start));
    await queue.drained(AbortSignal.timeout(60_000));
  }
}

/** Returns the figures of one folder's life. */
async function measureAll(url: string, { quick, seed, print }: BenchOptions, folder: string): Promise<Figures> {
  const count = quick ? 8000 : 60_000;
  const random = seededRandom(seed);
  const stop = new AbortController();
  let appended = 0;
  const appender: LogAppender = {
    append: async () => void appended++,
    pendingBytes: 0,
    hasCapacity: true,
    waitForCapacity: async () => {},
  };
  const resolver = new IdentityResolver({ plcUrl: url, handleResolverUrl: url, allowPrivateHosts: true });
  const state = new IngestState(folder);
  const counters = createIngestCounters(new Registry());
  const parts = { resolver, appender, state, clock: systemClock, random, counters };
  const queue = new IdentityQueue(parts, stop.signal);
  const running = queue.run();
  const warmUp = didsOf(2000, random);
  await inBatches(warmUp, queue, (did) => queue.noteActive(did));
  const [active, events, documents] = [didsOf(count, random), didsOf(count, random), didsOf(count, random)];
  print(`${count} identities each`);
  const ofActivity = await measured(count, () => inBatches(active, queue, (did) => queue.noteActive(did)));
  const ofEvents = await measured(count, () => inBatches(events, queue, (did) => queue.refresh(did)));
  if (appended !== warmUp.length + 2 * count) throw new Error(`${appended} identities reached the log`);
  const ofDocuments = await measured(count, async () => {
    for (let from = 0; from < count; from += batch)
      await Promise.all(documents.slice(from, from + batch).map((did) => resolver.resolveDid(did)));
  });
  stop.abort();
  await running;
  resolver[Symbol.dispose]();
  await state[Symbol.asyncDispose]();
  return { first_activity: ofActivity, identity_events: ofEvents, documents_alone: ofDocuments };
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const server = await startChild(serverScript, []);
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-bench-identity-'));
  try {
    const figures = await measureAll(`http://127.0.0.1:${server.ready['port']}`, options, folder);
    return { dataSize: `${options.quick ? 8000 : 60_000} did:plc of each kind, all with a handle`, figures };
  } finally {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  }
}
