/**
 * How long does a request hold the serving thread at most, however strangers arranged the data?
 *
 * One slot holds the worst that is known for each read. Its handlers are called with cold caches.
 * `hold_ms` is the longest turn of the event loop, `total_ms` the sum of all until the answer. In
 * process and one at a time, so it says nothing about queueing. `warm_cpu_us` is one count of what
 * is unread with warm code, at a node and without the wire.
 *
 * Arguments: the names of the steps that make data, if not all are meant.
 */
import { createReadHandlers } from '../src/read/handler/read-handlers.ts';
import { HostileData, type Sizes, unreadCase } from './hostile-data.ts';
import { hostileListSteps } from './hostile-lists.ts';
import { hostilePrivateSteps } from './hostile-private.ts';
import type { BenchOptions, BenchResult, Figures } from './report.ts';
import { hold } from './turn-meter.ts';

export const question = 'How long does a request hold the serving thread at most, however strangers arranged the data?';

const repeats = 5;
const unreadCalls = 20_000;

/** Returns the CPU of one call that counts what is unread, of all threads of this process. */
async function unreadCpuUs(data: HostileData): Promise<number> {
  const { method, payload } = data.cases.find(({ name }) => name === unreadCase)!;
  const handler = handlersOf(data).get(method)!;
  const context = { method, epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER };
  for (let call = 0; call < unreadCalls / 10; call++) await handler(payload, context);
  const before = process.cpuUsage();
  for (let call = 0; call < unreadCalls; call++) await handler(payload, context);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / unreadCalls;
}

function handlersOf({ network }: HostileData): ReturnType<typeof createReadHandlers>['handlers'] {
  return createReadHandlers({
    slots: 1,
    stateOf: (slot) => network.cluster.slots[slot]?.state,
    refreshReads: () => {},
    recordCacheBytes: 2 ** 24,
  }).handlers;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const sizes = options.quick ? { rows: 10_000, actors: 1_000 } : { rows: 100_000, actors: 3_000 };
  const data = new HostileData(sizes);
  try {
    return await measure(data, sizes, options);
  } finally {
    await data.network[Symbol.asyncDispose]();
  }
}

const ownSteps = [
  'notifications',
  'crowdedFollows',
  'threads',
  'phantomReposts',
  'timelines',
  'probes',
  'largeRecords',
  'batches',
] as const;

const steps: Readonly<Record<string, (data: HostileData) => void>> = {
  ...Object.fromEntries(ownSteps.map((step) => [step, (data: HostileData): void => data[step]()])),
  ...hostileListSteps,
  ...hostilePrivateSteps,
};

async function measure(data: HostileData, sizes: Sizes, { args, print }: BenchOptions): Promise<BenchResult> {
  const { network } = data;
  for (const [name, make] of Object.entries(steps)) {
    if (args.length > 0 && !args.includes(name)) continue;
    make(data);
    network.settle();
    print(`  made: ${name}`);
  }
  const figures: Record<string, Figures> = {};
  for (let round = 0; round < repeats; round++) {
    // Cold caches in every round; the best round is one that no other process disturbed.
    const handlers = handlersOf(data);
    for (const { name, method, payload } of data.cases) {
      const context = { method, epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER };
      const { holdMs, totalMs } = await hold(() => handlers.get(method)!(payload, context));
      const known = figures[name] as { hold_ms: number; total_ms: number } | undefined;
      figures[name] = {
        hold_ms: Math.min(holdMs, known?.hold_ms ?? holdMs),
        total_ms: Math.min(totalMs, known?.total_ms ?? totalMs),
      };
    }
  }
  const unread = figures[unreadCase];
  if (unread !== undefined) figures[unreadCase] = { ...(unread as Figures), warm_cpu_us: await unreadCpuUs(data) };
  const dataSize = `${sizes.rows} rows of each kind and ${sizes.actors} actors in one slot, best of ${repeats} rounds`;
  return { dataSize, figures };
}
