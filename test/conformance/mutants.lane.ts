/**
 * The counter-test of the random oracle: it notices each of the planted errors.
 *
 * Some are planted at once, each in a copy of the sources of its own, beside one copy without any:
 * a history is performed once for all of them, and only what that copy answers right counts.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ResourceStack } from '../support/resource-stack.ts';
import { SkyshardPlane } from './network/skyshard-plane.ts';
import { nameOf } from './oracle/compare.ts';
import { methodTable } from './oracle/method-table.ts';
import { compareRows, performHistory } from './social/history-run.ts';
import { type Mutant, mutants } from './social/mutant-table.ts';
import { historyOf } from './social/operation.ts';
import { OracleStage } from './social/oracle-stage.ts';
import { endSuggestions } from './social/perform-operator.ts';

const projectDir = join(import.meta.dirname, '..', '..');
const copied = ['src', 'package.json', 'tsconfig.json', 'shard-map.json'];
const groupSize = 7;
const deadlineMs = 1_800_000;
const topology = { slots: 2, nodes: 1 };
/** Those of the first seeds are performed as one, in which more comes together, then each alone. */
const joinedSeeds = 4;
const { firstSeed, seedCount, topics } = inject('histories');

const planted = mutants.filter(({ topic }) => topic.match(topics));
const groups = Array.from({ length: Math.ceil(planted.length / groupSize) }, (_group, index) =>
  planted.slice(index * groupSize, (index + 1) * groupSize),
);

const seeds = Array.from({ length: seedCount }, (_seed, index) => firstSeed + index);
const histories: readonly (readonly number[])[] = [
  seeds.slice(0, joinedSeeds),
  ...seeds.slice(joinedSeeds).map((seed) => [seed]),
];

/** Copies the sources, with an error or none. */
function copySources(folder: string, mutant: Mutant | undefined): string {
  for (const name of copied) cpSync(join(projectDir, name), join(folder, name), { recursive: true });
  symlinkSync(join(projectDir, 'node_modules'), join(folder, 'node_modules'));
  if (mutant === undefined) return folder;
  const path = join(folder, mutant.file);
  const before = readFileSync(path, 'utf8');
  if (before.split(mutant.text).length !== 2) throw new Error(`${mutant.file} does not have once: ${mutant.text}`);
  writeFileSync(
    path,
    before.replace(mutant.text, () => mutant.replacement),
  );
  return folder;
}

/** Performs histories until every mutant is noticed. Returns: by topic, what noticed it. */
async function notice(group: readonly Mutant[], index: number): Promise<ReadonlyMap<string, string>> {
  await using resources = new ResourceStack();
  const base = resources.use(await OracleStage.start(`mutants_${'abcdefghij'[index]}`, inject('postgresUrl')));
  const planes: SkyshardPlane[] = [];
  for (const mutant of [undefined, ...group]) {
    const folder = mkdtempSync(join(tmpdir(), 'skyshard-oracle-mutant-'));
    resources.defer(() => rmSync(folder, { recursive: true, force: true }));
    const sources = copySources(folder, mutant);
    const plane = resources.use(await SkyshardPlane.start(base.skyshardSurroundings(), topology, sources));
    base.network.join(plane);
    planes.push(plane);
  }
  const stage = base.against(...planes);
  const [control, ...contests] = stage.contests;
  const noticed = new Map<string, string>();
  for (const joined of histories) {
    if (noticed.size === group.length) break;
    const performed = await performHistory(stage, joined.flatMap(historyOf));
    for (const [at, { topic, methods }] of group.entries()) {
      if (noticed.has(topic)) continue;
      const rows = methodTable.filter(({ method }) => methods.includes(method));
      const differing = [...(await compareRows(performed, contests[at]!, rows)).keys()];
      const right = await compareRows(performed, control!, differing);
      const names = differing.filter((row) => !right.has(row)).map(nameOf);
      if (names.length > 0) noticed.set(topic, `seed ${joined.join(' and ')}: ${names.join(', ')}`);
    }
    await endSuggestions(performed.community);
  }
  return noticed;
}

const results: string[] = [];
afterAll(() => {
  console.log(results.join('\n'));
});

describe.each(groups.map((group, index) => ({ group, index })))(
  'the random oracle, group $index',
  ({ group, index }) => {
    let noticed: ReadonlyMap<string, string>;
    beforeAll(async () => {
      noticed = await notice(group, index);
      for (const { topic } of group)
        results.push(`${noticed.has(topic) ? 'caught' : 'MISSED'}  ${topic} (${noticed.get(topic) ?? ''})`);
      console.log(results.slice(-group.length).join('\n'));
    }, deadlineMs);

    it.each(group.map(({ topic }) => topic))('notices %s', (topic) => {
      expect(noticed.get(topic), topic).toBeDefined();
    });
  },
);
