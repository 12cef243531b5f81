/** A compaction keeps every row, whatever is written meanwhile, and frees what is not used. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { InvariantError } from '../../../src/base/invariant.ts';
import { type SeededRandom, seededRandom } from '../../../src/base/seeded-random.ts';
import { Compaction, leafBytesOf, removeUnfinished } from '../../../src/storage/compaction.ts';
import { freeBytesMin } from '../../../src/storage/disk-room.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { fillDisk, mountSmallDisk } from '../../support/small-disk.ts';

const tables = ['one', 'two'] as const;
const start = Buffer.from([0]);
const end = Buffer.alloc(64, 255);

let folder: string;
let environment: Environment;

function openHere(): Environment {
  return Environment.open({ path: join(folder, 'slot'), mapBytes: 2 ** 28, tables });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-compaction-'));
  environment = openHere();
});

afterEach(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

function begin(of = environment): Compaction {
  return Compaction.begin(of, () => {});
}

function keyOf(number: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt32BE(number, 2);
  return key;
}

/** Writes or removes some rows in one transaction; the model is told. */
function writeTo(environment: Environment, random: SeededRandom, count: number, model: Map<string, string>): void {
  environment.transact(() => {
    for (let done = 0; done < count; done++) {
      const name = tables[random.below(2)]!;
      const key = keyOf(random.below(20_000));
      const id = `${name} ${key.toString('hex')}`;
      if (random.below(3) === 0) {
        environment.table(name).remove(key);
        model.delete(id);
        continue;
      }
      const value = Buffer.alloc(random.below(random.below(200) === 0 ? 9_000 : 80), random.below(256));
      environment.table(name).put(key, value);
      model.set(id, value.toString('hex'));
    }
  });
}

function write(random: SeededRandom, count: number, model: Map<string, string>): void {
  writeTo(environment, random, count, model);
}

function rowsOf(of: Environment): Map<string, string> {
  of.refreshReads();
  const rows = new Map<string, string>();
  for (const name of tables) {
    for (const { key, value } of of.table(name).scan({ start, end }))
      rows.set(`${name} ${key.toString('hex')}`, value.toString('hex'));
  }
  return rows;
}

function sorted(rows: ReadonlyMap<string, string>): [string, string][] {
  return [...rows].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Copies in steps of few rows, with `between` after each. Returns their count. */
function copyAll(compaction: Compaction, between: () => void): number {
  let steps = 0;
  for (let isDone = false; !isDone; steps++) {
    isDone = compaction.copySome(() => true);
    between();
  }
  return steps;
}

it('keeps what was written at any moment of it', async () => {
  const random = seededRandom(1);
  const model = new Map<string, string>();
  for (let turn = 0; turn < 60; turn++) write(random, 500, model);
  const compaction = begin();
  const steps = copyAll(compaction, () => write(random, 20, model));
  expect(steps).toBeGreaterThan(50);
  const settled = compaction.settle();
  write(random, 3_000, model);
  await settled;
  write(random, 50, model);
  compaction.replace();
  expect(sorted(rowsOf(environment))).toEqual(sorted(model));
  write(random, 500, model);
  expect(sorted(rowsOf(environment))).toEqual(sorted(model));
  await environment.close();
  environment = openHere();
  expect(sorted(rowsOf(environment))).toEqual(sorted(model));
  expect(readdirSync(join(folder, 'slot')).sort()).toEqual(['data.mdb', 'lock.mdb']);
});

it('copies what is written meanwhile in steps too', async () => {
  const random = seededRandom(8);
  const model = new Map<string, string>();
  write(random, 3_000, model);
  const compaction = begin();
  copyAll(compaction, () => {});
  await compaction.settle();
  write(random, 3_000, model);
  expect(copyAll(compaction, () => {})).toBeGreaterThan(15);
  compaction.replace();
  expect(sorted(rowsOf(environment))).toEqual(sorted(model));
});

it('ends a step of large values after fewer rows', async () => {
  const putAll = (): void =>
    environment.transact(() => {
      for (let row = 0; row < 40; row++) environment.table('one').put(keyOf(row), Buffer.alloc(64 * 2 ** 10, row));
    });
  putAll();
  const compaction = begin();
  expect(copyAll(compaction, () => {})).toBeGreaterThanOrEqual(10);
  putAll();
  expect(copyAll(compaction, () => {})).toBeGreaterThanOrEqual(10);
  await compaction.abandon();
});

it('fills pages, and leaves nothing free', async () => {
  const random = seededRandom(2);
  const model = new Map<string, string>();
  for (let turn = 0; turn < 60; turn++) write(random, 500, model);
  const live = [...model].reduce((bytes, [id, value]) => bytes + leafBytesOf(id.length / 2 - 2, value.length / 2), 0);
  expect(environment.usedBytes).toBeGreaterThan(live * 1.4);
  const compaction = begin();
  for (let isDone = false; !isDone; ) isDone = compaction.copySome(() => false);
  await compaction.settle();
  compaction.replace();
  expect(environment.usedBytes).toBeLessThan(live * 1.1);
  expect(statSync(join(folder, 'slot', 'data.mdb')).size).toBe(environment.usedBytes);
});

it('makes room in a map that is full', async () => {
  const mapBytes = freeBytesMin + 2 ** 20;
  const full = Environment.open({ path: join(folder, 'full'), mapBytes, tables });
  try {
    const random = seededRandom(9);
    const model = new Map<string, string>();
    while (full.usedBytes + freeBytesMin <= mapBytes) writeTo(full, random, 500, model);
    expect(() => full.requireRoom()).toThrow(expect.objectContaining({ code: 'StorageFull' }));
    const compaction = begin(full);
    copyAll(compaction, () => {});
    await compaction.settle();
    compaction.replace();
    full.requireRoom();
    expect(sorted(rowsOf(full))).toEqual(sorted(model));
  } finally {
    await full.close();
  }
});

it('serves readers that opened the old file, before and after they open the new one', async () => {
  const random = seededRandom(3);
  const model = new Map<string, string>();
  write(random, 3_000, model);
  const reader = openHere();
  try {
    for (let round = 0; round < 3; round++) {
      const compaction = begin();
      copyAll(compaction, () => {});
      await compaction.settle();
      compaction.replace();
      expect(sorted(rowsOf(reader))).toEqual(sorted(model));
      reader.reopen();
      write(random, 300, model);
      expect(sorted(rowsOf(reader))).toEqual(sorted(model));
    }
  } finally {
    await reader.close();
  }
});

it('is refused, or given up, rather than that it takes the room of writes', async (context) => {
  const problem = mountSmallDisk(folder, 140);
  if (problem !== null) return context.skip(problem);
  const small = openHere();
  try {
    const random = seededRandom(5);
    const model = new Map<string, string>();
    const fill = join(folder, 'filler');
    for (let turn = 0; turn < 10; turn++) writeTo(small, random, 500, model);
    fillDisk(fill, freeBytesMin + small.pageBytes / 2);
    expect(() => begin(small)).toThrow(expect.objectContaining({ code: 'StorageFull' }));
    rmSync(fill);
    const compaction = begin(small);
    compaction.copySome(() => true);
    fillDisk(fill, freeBytesMin - 2 ** 20);
    expect(() => compaction.copySome(() => true)).toThrow(expect.objectContaining({ code: 'StorageFull' }));
    await compaction.abandon();
    expect(existsSync(join(folder, 'slot', 'compacting'))).toBe(false);
    writeTo(small, random, 100, model);
    expect(sorted(rowsOf(small))).toEqual(sorted(model));
    rmSync(fill);
    const next = begin(small);
    copyAll(next, () => writeTo(small, random, 20, model));
    await next.settle();
    next.replace();
    expect(sorted(rowsOf(small))).toEqual(sorted(model));
  } finally {
    await small.close();
    execFileSync('umount', ['-l', folder]);
  }
});

it('leaves nothing behind when it is abandoned, or when its process ended', async () => {
  const random = seededRandom(4);
  const model = new Map<string, string>();
  write(random, 3_000, model);
  const abandoned = begin();
  abandoned.copySome(() => true);
  write(random, 300, model);
  await abandoned.abandon();
  write(random, 300, model);
  expect(existsSync(join(folder, 'slot', 'compacting'))).toBe(false);
  const dropped = begin();
  copyAll(dropped, () => {});
  expect(existsSync(join(folder, 'slot', 'compacting'))).toBe(true);
  removeUnfinished(join(folder, 'slot'));
  expect(sorted(rowsOf(environment))).toEqual(sorted(model));
  expect(readdirSync(join(folder, 'slot')).sort()).toEqual(['data.mdb', 'lock.mdb']);
});

it('replaces nothing with a copy that lacks a row', async () => {
  const random = seededRandom(6);
  const model = new Map<string, string>();
  write(random, 3_000, model);
  const compaction = begin();
  copyAll(compaction, () => {});
  await compaction.settle();
  const { inode } = environment;
  const copy = Environment.open({ path: join(folder, 'slot', 'compacting'), mapBytes: 2 ** 28, tables });
  const [first] = [...copy.table('one').scan({ start, end, limit: 1 })];
  copy.transact(() => copy.table('one').remove(first!.key));
  await copy.close();
  expect(() => compaction.replace()).toThrow(InvariantError);
  expect(environment.isInPlace).toBe(true);
  await compaction.abandon();
  await environment.close();
  environment = openHere();
  expect(environment.inode).toBe(inode);
  expect(sorted(rowsOf(environment))).toEqual(sorted(model));
});

it('replaces nothing with the copy of another process', async () => {
  const random = seededRandom(7);
  const model = new Map<string, string>();
  write(random, 3_000, model);
  for (const isSettled of [false, true]) {
    const compaction = begin();
    copyAll(compaction, () => {});
    if (isSettled) await compaction.settle();
    const other = begin();
    other.copySome(() => true);
    const goOn = async (): Promise<void> => (isSettled ? compaction.replace() : compaction.settle());
    await expect(goOn()).rejects.toMatchObject({ code: 'DataInUse' });
    expect(environment.isInPlace).toBe(true);
    await other.abandon();
    await compaction.abandon();
  }
  expect(sorted(rowsOf(environment))).toEqual(sorted(model));
});

it('leaves a copy with all rows beside it, with what was written last', async () => {
  const [random, model] = [seededRandom(5), new Map<string, string>()];
  for (let round = 0; round < 20; round++) write(random, 500, model);
  const path = join(folder, 'beside');
  const copy = Compaction.begin(environment, () => {}, path);
  while (!copy.copySome(() => true)) write(random, 20, model);
  await copy.settle();
  while (!copy.copySome(() => true)) write(random, 20, model);
  // Whoever has read meanwhile must not copy what was there then.
  rowsOf(environment);
  write(random, 200, model);
  await copy.finish();
  const copied = Environment.open({ path, mapBytes: 2 ** 28, tables });
  expect(rowsOf(copied)).toEqual(model);
  await copied.close();
  expect(rowsOf(environment)).toEqual(model);
  // What has ended is not removed by giving it up.
  const again = Compaction.begin(environment, () => {}, `${path}-2`);
  await again.abandon();
  expect([existsSync(path), existsSync(`${path}-2`)]).toEqual([true, false]);
});
