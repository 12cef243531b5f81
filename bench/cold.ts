/**
 * Latencies of reads of data larger than memory, and of calls without reads at the same time.
 *
 * The nodes run in a control group. Once they are warm, its memory is bounded to their own use plus
 * a quarter of the data, so that three pages in four must come from the disk; nodes read with
 * --prefetch-reads. The router answers Ping itself. GetLabels passes the nodes' socket threads and
 * reads no row, so it shows whether cold reads block those threads. Open loop. Without root nothing
 * can be bounded: pages are only dropped beforehand, and the figures say so.
 *
 * Arguments: the count of posts to serve.
 */
import { join } from 'node:path';
import { type Box, preparedBox, startBox } from './box.ts';
import { GrpcLoad } from './grpc-load.ts';
import { openLoop, saturate, saturatingInFlight } from './hot-load.ts';
import { callOf, type HotMethod } from './hot-request.ts';
import { hotMethods } from './hot-requests.ts';
import { createMemoryBound, diskBytes, dropPages, majorFaults } from './memory-bound.ts';
import type { BenchOptions, BenchResult, Figures } from './report.ts';

export const question =
  'How fast are reads whose pages must come from the disk, and do they hold up those that read nothing?';

const slots = 16;
const nodes = 2;
/** Size of the data, in units of the memory left for its pages. */
const dataPerPageMemory = 4;
/** Page tables, socket buffers and later heap growth of one node. */
const slackBytes = 8 * 2 ** 20;
/** The same for all nodes together, once they have run under the bound. */
const settledSlackBytes = 4 * 2 ** 20;
/** Rate of each method. */
const perSecond = { GetPostRecords: 100, GetTimeline: 40, Ping: 50, GetLabels: 50 } as const;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const records = Number(options.args[0] ?? (options.quick ? 200_000 : 2_000_000));
  const bound = createMemoryBound(`skyshard-bench-${process.pid}`);
  if (bound === null) options.print('memory is not bounded: that takes root and a memory control group');
  const boxOptions = {
    network: { kind: 'posts', seed: options.seed, records } as const,
    slots,
    nodes,
    // A fixed young generation keeps the nodes' own memory constant, so that the rest is for pages.
    nodeFlags: ['--max-semi-space-size=2'],
    nodeSettings: ['--prefetch-reads'],
    nodePrefix: bound?.prefix ?? [],
    print: options.print,
  };
  try {
    const dataDir = await preparedBox(boxOptions);
    dropPages(dataDir);
    const box = await startBox(boxOptions);
    const load = new GrpcLoad(box.port, saturatingInFlight);
    try {
      const methods = await coldMethods(box, options.seed, load);
      for (const method of methods) await saturate(load, method, options.quick ? 700 : 3_000);
      const pids = Object.entries(box.pids).flatMap(([name, pid]) => (name === 'router' ? [] : [pid]));
      const dataBytes = pids.reduce((bytes, _pid, index) => bytes + diskBytes(join(box.dataDir, `node-n${index}`)), 0);
      const ownBytes = (bound?.used().others ?? 0) + slackBytes * pids.length;
      const pageBytes = dataBytes / dataPerPageMemory;
      bound?.limit(ownBytes + pageBytes);
      if (bound === null) dropPages(box.dataDir);
      // Under the bound the nodes shrink to what they need; what they free would hold pages.
      for (const method of methods) await saturate(load, method, 500);
      const settled = bound?.used();
      if (settled !== undefined && settled.pages > pageBytes)
        bound?.limit(settled.others + pageBytes + settledSlackBytes);
      const figures = await measure(load, methods, pids, options);
      return {
        dataSize: `${box.pools.records} records, ${slots} slots on ${nodes} nodes, ${Math.round(dataBytes / 2 ** 20)} MiB`,
        figures: {
          is_memory_bounded: bound !== null,
          data_mib: dataBytes / 2 ** 20,
          node_own_mib: bound === null ? null : ownBytes / 2 ** 20,
          granted_page_memory_mib: bound === null ? null : pageBytes / 2 ** 20,
          used_page_memory_mib: bound === null ? null : bound.used().pages / 2 ** 20,
          ...figures,
        },
      };
    } finally {
      load.close();
      await box[Symbol.asyncDispose]();
    }
  } finally {
    bound?.remove();
  }
}

async function coldMethods(box: Box, seed: number, load: GrpcLoad): Promise<HotMethod[]> {
  const subjects = box.pools.actors.slice(0, 8);
  const labels = callOf('GetLabels', { subjects, issuers: [] });
  return [
    ...(await hotMethods(box.pools, seed, load, Object.keys(perSecond))),
    { name: 'GetLabels', requests: [[[labels]]] },
  ];
}

async function measure(
  load: GrpcLoad,
  methods: readonly HotMethod[],
  pids: readonly number[],
  options: BenchOptions,
): Promise<Figures> {
  const durationMs = options.quick ? 8_000 : 60_000;
  const before = pids.map(majorFaults);
  const latencies = await Promise.all(
    methods.map(async (method) => {
      const rate = perSecond[method.name as keyof typeof perSecond];
      return [method.name, { per_s: rate, ...(await openLoop(load, method, rate, durationMs)) }] as const;
    }),
  );
  const after = pids.map(majorFaults);
  const risen = (kind: 'all' | 'socketThread'): number =>
    after.reduce((faults, now, index) => faults + now[kind] - before[index]![kind], 0);
  const reads = ((perSecond.GetPostRecords + perSecond.GetTimeline) * durationMs) / 1000;
  return {
    methods: Object.fromEntries(latencies),
    major_faults: risen('all'),
    socket_thread_major_faults: risen('socketThread'),
    major_faults_per_read: risen('all') / reads,
  };
}
