/**
 * What recording costs: page loads answered in one process, without HTTP, by two routers over the
 * same slots, of which one records and the other does not, in turns of some milliseconds.
 *
 * What HTTP costs is left out, so that the share is an upper bound.
 *
 * Arguments: the count of records.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Int32Histogram } from 'hdr-histogram-js';
import { Registry } from 'prom-client';
import { systemClock } from '../src/base/clock.ts';
import { valueMaxByUnit } from '../src/metrics/histogram-table.ts';
import { ProcessHistograms } from '../src/metrics/process-histograms.ts';
import { intervalMs, Recording } from '../src/metrics/recording.ts';
import { openReaders, type SlotReader } from '../src/node/slot-reader.ts';
import { createReadHandlers } from '../src/read/handler/read-handlers.ts';
import { SlotTouches } from '../src/read/lookup/slot-touches.ts';
import { defaultAdmissionLimits } from '../src/router/plan/admission.ts';
import { ServiceRouter } from '../src/router/plan/service-router.ts';
import { planByMethod } from '../src/router/plans/service.ts';
import { RequestMetrics } from '../src/router/request-metrics.ts';
import { parseShardMap } from '../src/shardmap/shard-map.ts';
import { LocalCaller } from '../src/wire/local-caller.ts';
import type { CallObserver } from '../src/wire/node-caller.ts';
import { noIdentitySource } from '../test/support/no-identities.ts';
import { preparedBox } from './box.ts';
import { type Asking, askSteps, type HotRequest } from './hot-request.ts';
import { pageLoads } from './page-load.ts';
import { type BenchOptions, type BenchResult, median, percent } from './report.ts';
import type { RequestPools } from './request-pools.ts';

export const question = 'What share of the CPU of a page load does recording take?';

const slots = 16;
const slotMapBytes = 16 * 2 ** 30;
const node = 'n0';
/** Several names, as of the methods of an AppView that call. */
const callers = 8;
/** How long one side answers before the other one does. */
const turnMs = 20;

class NoTouches extends SlotTouches {
  override touch(): void {}
}

type Side = { readonly asking: Asking; readonly flush: () => void; cpuUs: number; pages: number };

const nothing: CallObserver = () => {};

/** Makes a router over slots, with caches of its own. */
function sideOf(readers: ReadonlyMap<number, SlotReader>, isRecording: boolean): Side {
  const map = parseShardMap({
    epoch: 1,
    slots,
    nodes: { [node]: { host: '127.0.0.1', port: 0 } },
    shards: [{ name: 's0', primary: node, slots: [`0-${slots - 1}`] }],
  });
  const histograms = new ProcessHistograms(systemClock);
  const { recording } = histograms;
  const touches = isRecording ? new SlotTouches(slots) : new NoTouches(slots);
  recording.slotReads = touches.counts;
  const { handlers } = createReadHandlers({
    slots,
    stateOf: (slot) => readers.get(slot)?.state,
    refreshReads: () => {},
    recordCacheBytes: 64 * 2 ** 20,
    touches,
  });
  const calls = recording.histogram('skyshard_call_duration_seconds');
  const observe: CallObserver = (method, durationMs) => calls.with(method, touches.takeGroup()).recordMs(durationMs);
  const router = new ServiceRouter({
    map,
    caller: new LocalCaller({
      node,
      handlers,
      elsewhere: { call: () => Promise.reject(new Error('one node')) },
      epoch: () => 1,
      gate: null,
      observe: isRecording ? observe : nothing,
      clock: systemClock,
    }),
    identity: noIdentitySource,
    plans: planByMethod,
    admission: defaultAdmissionLimits,
    clock: systemClock,
    ...(isRecording ? { observer: new RequestMetrics(recording, new Registry()) } : {}),
    onFault: (error) => {
      throw error;
    },
  });
  let asked = 0;
  const ask = async (bytes: Buffer): Promise<Buffer> => {
    const bodyAt = bytes.indexOf('\r\n\r\n') + 4;
    const method = bytes.latin1Slice(bytes.indexOf('Service/') + 8, bytes.indexOf(' HTTP'));
    const caller = `caller-${asked++ % callers}`;
    return Buffer.from(await router.handle(method, bytes.subarray(bodyAt + 5), { caller, timeoutMs: null }));
  };
  return { asking: { ask }, flush: () => histograms.flush(), cpuUs: 0, pages: 0 };
}

/** Does something for a side, and adds the CPU that it took. */
async function metered(side: Side, work: () => Promise<void> | void): Promise<void> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  side.cpuUs += user + system;
}

/**
 * Has both sides answer pages for an interval, in short turns: other work of the machine costs both
 * the same. Returns the CPU of a page of each side. Units: µs.
 */
async function cpuOf(sides: readonly [Side, Side], pages: readonly HotRequest[]): Promise<readonly [number, number]> {
  for (const side of sides) Object.assign(side, { cpuUs: 0, pages: 0 });
  for (let turn = 0; turn < intervalMs / turnMs; turn++) {
    for (const side of turn % 2 === 0 ? sides : sides.toReversed()) {
      await metered(side, async () => {
        const endMs = systemClock.monotonicMs() + turnMs;
        while (systemClock.monotonicMs() < endMs) await askSteps(side.asking, pages[side.pages++ % pages.length]!);
      });
    }
  }
  for (const side of sides) await metered(side, side.flush);
  const [one, other] = sides.map(({ cpuUs, pages: count }) => cpuUs / count);
  return [one!, other!];
}

/** Returns what it takes to record one value, here and in the library's histogram. */
function nsOfRecords(count: number): { ours_ns: number; library_ns: number } {
  const series = new Recording().histogram('skyshard_request_duration_seconds').with('Ping', 'ok');
  const library = new Int32Histogram(1, valueMaxByUnit.seconds, 3);
  const values = Array.from({ length: 4_096 }, (_unused, index) => 20 + ((index * 7_919) % 40_000));
  const nsOf = (record: (value: number) => void): number => {
    const startMs = systemClock.monotonicMs();
    for (let index = 0; index < count; index++) record(values[index & 4_095]!);
    return ((systemClock.monotonicMs() - startMs) * 1e6) / count;
  };
  const ours = (value: number): void => series.record(value);
  const others = (value: number): void => library.recordValue(value);
  for (const record of [ours, others]) nsOf(record);
  return { ours_ns: nsOf(ours), library_ns: nsOf(others) };
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const records = Number(options.args[0] ?? (options.quick ? 20_000 : 100_000));
  const network = { kind: 'graph', seed: options.seed, records } as const;
  const dataDir = await preparedBox({ network, slots, nodes: 1, print: options.print });
  const numbers = Array.from({ length: slots }, (_unused, slot) => slot);
  const readers = openReaders(numbers, join(dataDir, `node-${node}`), slotMapBytes);
  try {
    const sides = [sideOf(readers, true), sideOf(readers, false)] as const;
    const pools = JSON.parse(readFileSync(join(dataDir, 'pools.json'), 'utf8')) as RequestPools;
    const { requests } = await pageLoads(pools, sides[1].asking);
    const pairs = options.quick ? 8 : 60;
    for (let warming = 0; warming < 2; warming++) await cpuOf(sides, requests);
    const onUs: number[] = [];
    const offUs: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const [on, off] = await cpuOf(sides, requests);
      onUs.push(on);
      offUs.push(off);
    }
    const share = median(onUs.map((us, pair) => us / offUs[pair]!)) - 1;
    options.print(
      `page: ${median(onUs).toFixed(1)} µs with recording, ${median(offUs).toFixed(1)} without: ${percent(share)}`,
    );
    const ns = nsOfRecords(2_000_000);
    options.print(`one value: ${ns.ours_ns.toFixed(1)} ns, in the library's histogram ${ns.library_ns.toFixed(1)} ns`);
    const figures = { ...ns, pairs, on_cpu_us: median(onUs), off_cpu_us: median(offUs), share };
    return { dataSize: `${records} records in ${slots} slots, ${requests.length} pages`, figures };
  } finally {
    for (const { environment } of readers.values()) await environment.close();
  }
}
