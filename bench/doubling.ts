/**
 * What callers see while all slots are doubled, and how long a slot takes.
 *
 * Two nodes, a router, ingest and a demo network as `skyshard up` starts them, with the logs in the
 * folders of the slots. Reads and RPC writes come at a quarter of the capacity, an open loop, and
 * records of the firehose besides. Pairs of phases without and with a doubling alternate, each of
 * which finds twice as many slots, half as large; the median of the ratios of their p99 counts.
 *
 * Arguments: the count of records.
 */
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { makeMemoryFolder } from '../test/support/memory-folder.ts';
import { DemoLoad, nodeFolder, type Phase, pairFigures } from './demo-load.ts';
import { type BenchOptions, type BenchResult, type Figures, median } from './report.ts';

export const question = 'What do callers see while all slots are doubled, and how many seconds does a slot take?';

const slotsAtFirst = 4;
const nodes = ['n0', 'n1'] as const;
const goals = { failed: 0, p99_ratio: 2 } as const;
/** Of the records of the firehose meanwhile. */
const recordsPerSecond = 40;

type Sizes = { readonly records: number; readonly phaseMs: number; readonly pairs: number };

/** `bytes`: of the slots before, as their files are. */
type Doubling = { readonly slots: number; readonly bytes: number; readonly seconds: number };

export async function run({ args, quick, print }: BenchOptions): Promise<BenchResult> {
  const sizes = {
    records: Number(args[0] ?? (quick ? 2_000 : 60_000)),
    phaseMs: quick ? 2_000 : 5_000,
    pairs: quick ? 2 : 5,
  };
  const folder = makeMemoryFolder('skyshard-bench-doubling-');
  try {
    const half = slotsAtFirst / 2;
    const shards = nodes.map((primary, at) => {
      return { name: `s${at}`, primary, replicas: [], slots: [`${at * half}-${(at + 1) * half - 1}`] };
    });
    const addresses = Object.fromEntries(nodes.map((name) => [name, { host: '127.0.0.1', port: 0 }]));
    writeFileSync(
      join(folder, 'map.json'),
      JSON.stringify({ epoch: 1, slots: slotsAtFirst, nodes: addresses, shards }),
    );
    print(`loading ${sizes.records} records into ${slotsAtFirst} slots`);
    const flags = [`--demo-rate=${recordsPerSecond}`];
    const load = await DemoLoad.start({ folder, records: sizes.records, flags });
    try {
      const figures = await measure(load, sizes, print);
      return { dataSize: `${sizes.records} records, ${slotsAtFirst} slots at first`, figures };
    } finally {
      await load[Symbol.asyncDispose]();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Doubles all slots, of which there are so many. */
async function double(load: DemoLoad, slots: number): Promise<Doubling> {
  const bytes = nodes.reduce((sum, node) => {
    const folder = join(nodeFolder(load.cluster, node), 'slots');
    return sum + readdirSync(folder).reduce((of, slot) => of + statSync(join(folder, slot, 'data.mdb')).size, 0);
  }, 0);
  const startMs = systemClock.monotonicMs();
  await load.run('slots', 'double');
  return { slots, bytes, seconds: (systemClock.monotonicMs() - startMs) / 1_000 };
}

async function measure(load: DemoLoad, { phaseMs, pairs }: Sizes, print: BenchOptions['print']): Promise<Figures> {
  const capacity = await load.capacity(phaseMs);
  const perSecond = capacity / 4;
  print(`${Math.round(capacity)} requests a second at saturation`);
  const [without, beside, doublings] = [[] as Phase[], [] as Phase[], [] as Doubling[]];
  for (let pair = 0; pair < pairs; pair++) {
    const slots = slotsAtFirst * 2 ** pair;
    const phases = [
      async () => void without.push(await load.phase(perSecond, phaseMs)),
      async () => {
        const meanwhile = async (): Promise<void> => void doublings.push(await double(load, slots));
        beside.push(await load.phase(perSecond, phaseMs, meanwhile));
      },
    ];
    for (const phase of pair % 2 === 0 ? phases : phases.reverse()) await phase();
    const [{ p99_ms: usual }, { p99_ms: p99, failed }] = [without.at(-1)!, beside.at(-1)!];
    print(
      `${slots} slots in ${doublings.at(-1)!.seconds.toFixed(1)} s: p99 ${p99} ms, ${usual} without; ${failed} failed`,
    );
  }
  const [first] = doublings as [Doubling];
  return {
    goals,
    capacity_per_s: capacity,
    ...pairFigures(without, beside),
    problem: load.problem,
    first_slot_mib: first.bytes / first.slots / 2 ** 20,
    first_s_per_slot: first.seconds / first.slots,
    s_per_slot: median(doublings.map(({ seconds, slots }) => seconds / slots)),
    doubling_s: median(doublings.map(({ seconds }) => seconds)),
  };
}
