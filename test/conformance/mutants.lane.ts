/**
 * The counter-test of the random oracle: it notices each of the planted errors.
 *
 * All run on one network, each in a copy of the sources that reads the PDS from its first event.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SkyshardPlane } from './network/skyshard-plane.ts';
import { nameOf } from './oracle/compare.ts';
import { methodTable } from './oracle/method-table.ts';
import { runHistory } from './social/history-run.ts';
import { type Mutant, mutants } from './social/mutant-table.ts';
import { historyOf } from './social/operation.ts';
import { OracleStage } from './social/oracle-stage.ts';

const projectDir = join(import.meta.dirname, '..', '..');
const copied = ['src', 'package.json', 'tsconfig.json', 'shard-map.json'];
const deadlineMs = 600_000;
const { firstSeed, seedCount } = inject('histories');

let base: OracleStage;
let folder: string;

beforeAll(async () => {
  base = await OracleStage.start('mutants', inject('postgresUrl'));
  folder = mkdtempSync(join(tmpdir(), 'skyshard-oracle-mutants-'));
  for (const name of copied) cpSync(join(projectDir, name), join(folder, name), { recursive: true });
  symlinkSync(join(projectDir, 'node_modules'), join(folder, 'node_modules'));
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await base[Symbol.asyncDispose]();
});

/** Rows that differ where nothing is planted; a mutant must be noticed by others. */
const known = new Set<string>();

/** Performs histories until the answers of this copy differ anew. Returns the rows that do. */
async function differingRows(): Promise<readonly string[]> {
  const plane = await SkyshardPlane.start(base.skyshardSurroundings(), { slots: 2, nodes: 1 }, folder);
  base.network.join(plane);
  try {
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
      const { differing, refusedByOne } = await runHistory(base.against(plane), historyOf(seed), methodTable);
      const rows = [...differing.keys()].map(nameOf).filter((row) => !known.has(row));
      if (rows.length + refusedByOne.length > 0) return [...rows, ...refusedByOne];
    }
    return [];
  } finally {
    base.network.leave(plane);
    await plane[Symbol.asyncDispose]();
  }
}

describe('the random oracle', () => {
  it('finds nothing where nothing is planted', { timeout: deadlineMs }, async () => {
    const rows = await differingRows();
    for (const row of rows) known.add(row);
    expect(rows).toEqual([]);
  });

  it.each(mutants.map((mutant) => [mutant.topic, mutant] as const))(
    'notices %s',
    { timeout: deadlineMs },
    async (topic, { file, text, replacement }: Mutant) => {
      const path = join(folder, file);
      const before = readFileSync(path, 'utf8');
      expect(before.split(text).length, `${file} has once: ${text}`).toBe(2);
      writeFileSync(
        path,
        before.replace(text, () => replacement),
      );
      try {
        const rows = await differingRows();
        console.log(`${rows.length > 0 ? 'caught' : 'MISSED'}  ${topic}: ${rows.join(', ')}`);
        expect(rows).not.toEqual([]);
      } finally {
        writeFileSync(path, before);
      }
    },
  );
});
