/** Our answers equal those of the official data plane after random histories. */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ResourceStack } from '../support/resource-stack.ts';
import { planeClient } from './network/plane.ts';
import { startPlaneUnderTest } from './network/plane-under-test.ts';
import { SkyshardPlane } from './network/skyshard-plane.ts';
import { nameOf } from './oracle/compare.ts';
import { methodTable } from './oracle/method-table.ts';
import { MethodTally } from './oracle/method-tally.ts';
import { runHistory, type Stage } from './social/history-run.ts';
import { historyOf } from './social/operation.ts';
import { OracleStage } from './social/oracle-stage.ts';
import { shrinkHistory } from './social/shrink.ts';

const shownMismatchesMax = 2;
const seedsForDataMin = 10;
/** Pages of the sitemap are of slots, which the official plane does not have. */
const neverFilled = ['getSitemapPage'];
const { seedCount, firstSeed, shrinkTimeMsMax } = inject('histories');
const seedDeadlineMs = 240_000 + shrinkTimeMsMax;
const seeds = Array.from({ length: seedCount }, (_item, index) => firstSeed + index);

const tally = new MethodTally();
const unserved = new Set<string>();

const topologies = [
  { name: '16 slots on 2 nodes', slots: 16, nodes: 2, seeds: seeds.filter((_seed, index) => index % 10 !== 9) },
  { name: '1 slot on 1 node', slots: 1, nodes: 1, seeds: seeds.filter((_seed, index) => index % 10 === 9) },
].filter((topology) => topology.seeds.length > 0);

afterAll(() => {
  console.log(`${tally}\n`);
  if (unserved.size > 0) console.log(`writes that are not built: ${[...unserved].join(', ')}`);
});

describe.each(topologies)('$name', ({ slots, nodes, seeds: ownSeeds }) => {
  const resources = new ResourceStack();
  let stage: Stage;

  beforeAll(async () => {
    const base = await OracleStage.start(`random_${slots === 1 ? 'one' : 'many'}`, inject('postgresUrl'));
    resources.use(base);
    const schema = `random_other_${slots === 1 ? 'one' : 'many'}`;
    const other = resources.use(await startPlaneUnderTest(base.network, schema, { topology: { slots, nodes } }));
    resources.defer(() => {
      // A process that ended is started again, so that no seed but its own shows it.
      if (other instanceof SkyshardPlane && other.output().includes(' ended; ')) console.log(other.output());
    });
    stage = base.against(other);
  });

  afterAll(async () => {
    await resources[Symbol.asyncDispose]();
  });

  it.each(ownSeeds)('seed %i', { timeout: seedDeadlineMs }, async (seed) => {
    const history = historyOf(seed);
    const startMs = performance.now();
    const report = await runHistory(stage, history, methodTable, tally);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    process.stdout.write(
      `seed ${seed}: ${history.length} operations, ${seconds} s, ${report.differing.size} rows differ\n`,
    );
    for (const method of report.unserved) unserved.add(method);
    expect(report.refusedByOne).toEqual([]);
    const [first] = report.differing.keys();
    if (first === undefined) return;
    const wholePath = join(tmpdir(), `skyshard-oracle-seed-${seed}.txt`);
    writeFileSync(wholePath, report.trace.join('\n'));
    const short = await shrinkHistory(stage, { history, report }, first, shrinkTimeMsMax);
    const shown = [
      `${report.differing.size} rows differ after seed ${seed}; ${short.history.length} operations show it, of those in ${wholePath}:`,
      ...short.report.trace,
      ...(short.report.differing.get(first) ?? []).slice(0, shownMismatchesMax),
      ...[...report.differing].filter(([row]) => row !== first).flatMap(([, mismatches]) => mismatches.slice(0, 1)),
    ];
    // At once, since a run takes long.
    console.log(shown.join('\n'));
    expect.fail(`seed ${seed} differs: ${[...report.differing.keys()].map(nameOf).join(', ')}`);
  });
});

describe('the methods', () => {
  const unread = /^(search|takedown|untakedown|update|create|delete|clear)/;

  it('that are read all have a row', () => {
    const url = (): string => 'http://127.0.0.1:1';
    const names = Object.keys(planeClient({ url })).filter((name) => !unread.test(name));
    const rows = new Set<string>(methodTable.map(({ method }) => method));
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !rows.has(name))).toEqual([]);
  });

  it('have all answered with data, but where there is none to compare', ({ skip }) => {
    skip(seedCount < seedsForDataMin, `${seedCount} seeds need not make all data`);
    expect(tally.neverFilled()).toEqual(neverFilled);
  });

  it('are all served', () => {
    expect(tally.notBuilt()).toEqual([]);
    expect([...unserved]).toEqual([]);
  });
});
