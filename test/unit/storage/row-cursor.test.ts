/** What a cursor lends of the rows of a range, and what may happen while it is open. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../../src/base/invariant.ts';
import { Environment, type Scan, type Table } from '../../../src/storage/environment.ts';
import type { LentRow } from '../../../src/storage/row-cursor.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const mapBytes = 2 ** 27;
let folder: string;
let environment: Environment;
let table: Table;

function openStore(name: string): Environment {
  return Environment.open({ path: join(folder, name), mapBytes, tables: ['rows'] });
}

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-row-cursor-');
  environment = openStore('store');
  table = environment.table('rows');
});

afterEach(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

const all: Scan = { start: Buffer.from([0]), end: Buffer.from([255]) };
const allReverse: Scan = { start: all.end, end: all.start, isReverse: true };

function put(rows: Record<string, string>, into = environment): void {
  into.transact(() => {
    for (const [key, value] of Object.entries(rows)) into.table('rows').put(Buffer.from(key), Buffer.from(value));
  });
}

function textOf({ key, keyLength, value }: LentRow): string {
  return `${key.latin1Slice(0, keyLength)}=${value.latin1Slice(0, value.length)}`;
}

function visited(range: Scan, countMax = 100): string[] {
  const rows: string[] = [];
  table.visit(range, (row) => rows.push(textOf(row)) < countMax);
  return rows;
}

describe('a cursor', () => {
  it('lends the rows of a range in either order, up to its limit', () => {
    put({ a: '1', bcd: '', d: 'a longer value', e: '5' });
    expect(visited(all)).toEqual(['a=1', 'bcd=', 'd=a longer value', 'e=5']);
    expect(visited(allReverse)).toEqual(['e=5', 'd=a longer value', 'bcd=', 'a=1']);
    expect(visited({ ...all, limit: 2 })).toEqual(['a=1', 'bcd=']);
    expect(visited({ start: Buffer.from('b'), end: Buffer.from('e') })).toEqual(['bcd=', 'd=a longer value']);
    expect(visited({ start: Buffer.from('f'), end: Buffer.from('g') })).toEqual([]);
  });

  it('ends where the visitor returns false', () => {
    put({ a: '1', b: '2', c: '3' });
    expect(visited(all, 2)).toEqual(['a=1', 'b=2']);
  });

  it('lends keys alone', () => {
    put({ a: '1', b: '2' });
    const keys: string[] = [];
    table.visit(all, ({ key, keyLength }) => keys.push(key.latin1Slice(0, keyLength)) > 0, true);
    expect(keys).toEqual(['a', 'b']);
    expect(table.hasAny(all)).toBe(true);
    expect(table.hasAny({ start: Buffer.from('b0'), end: all.end })).toBe(false);
  });

  it('lends values of all sizes, also one that the library lends from the file itself', () => {
    const sizes = [0, 1, 5_000, 2 ** 20, 2 ** 24 + 1];
    environment.transact(() => {
      for (const [index, size] of sizes.entries()) table.put(Buffer.of(1, index), Buffer.alloc(size, index));
    });
    const lent: Buffer[] = [];
    table.visit(all, ({ value }) => lent.push(Buffer.from(value.subarray(0, value.length))) > 0);
    expect(lent.map(({ length }) => length)).toEqual(sizes);
    expect(lent.every((value, index) => value.equals(Buffer.alloc(sizes[index]!, index)))).toBe(true);
    expect(Buffer.isBuffer(lent.at(-1))).toBe(true);
  });

  it('says nothing more after the last row, and may be closed again', () => {
    put({ a: '1' });
    const cursor = table.open(all);
    expect(textOf(cursor.next()!)).toBe('a=1');
    expect(cursor.next()).toBeUndefined();
    expect(cursor.next()).toBeUndefined();
    cursor.close();
    cursor.close();
    expect(cursor.next()).toBeUndefined();
  });

  it('keeps its place through other reads and cursors', () => {
    put({ a: '1', b: '2', c: '3' });
    const pairs: string[] = [];
    table.visit(all, (row) => {
      const outer = textOf(row);
      expect(table.get(Buffer.from('c'))).toEqual(Buffer.from('3'));
      table.visit(allReverse, (inner) => pairs.push(`${outer} ${textOf(inner)}`) > 0);
      expect([...table.scanKeys(all)]).toHaveLength(3);
      return true;
    });
    expect(pairs).toHaveLength(9);
    expect(pairs.slice(2, 5)).toEqual(['a=1 a=1', 'b=2 c=3', 'b=2 b=2']);
  });

  it('is closed when the visitor throws, and the next one sees what was committed since', () => {
    put({ a: '1', b: '2' });
    for (let round = 0; round < 50; round++) {
      const visit = (): void => table.visit(all, () => expect.fail('thrown by the visitor'));
      expect(visit).toThrow('thrown by the visitor');
      put({ b: `${round}` });
      environment.refreshReads();
      expect(visited(all)).toEqual(['a=1', `b=${round}`]);
    }
  });

  it('does not go on in another state of the data', () => {
    put({ a: '1', b: '2', c: '3' });
    const seen: string[] = [];
    const renew = (): void =>
      table.visit(all, (row) => {
        seen.push(textOf(row));
        environment.refreshReads();
        return true;
      });
    expect(renew).toThrow(InvariantError);
    expect(seen).toEqual(['a=1']);
    expect(visited(all)).toEqual(['a=1', 'b=2', 'c=3']);
  });

  it('does not outlast its turn of the event loop', async () => {
    put({ a: '1', b: '2' });
    const cursor = table.open(all);
    expect(cursor.next()).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(() => cursor.next()).toThrow(InvariantError);
    cursor.close();
    expect(visited(all)).toHaveLength(2);
  });
});

describe('within a transaction, a cursor', () => {
  it('lends what was written so far', () => {
    put({ a: '1', b: '2' });
    environment.transact(() => {
      table.put(Buffer.from('c'), Buffer.from('3'));
      table.remove(Buffer.from('a'));
      expect(visited(all)).toEqual(['b=2', 'c=3']);
      table.put(Buffer.from('d'), Buffer.from('4'));
      expect(visited(allReverse, 1)).toEqual(['d=4']);
    });
    expect(visited(all)).toEqual(['b=2', 'c=3', 'd=4']);
  });

  it('leaves no trace when the transaction is aborted from it', () => {
    put({ a: '1' });
    const abort = (): void =>
      environment.transact(() => {
        table.put(Buffer.from('b'), Buffer.from('2'));
        table.visit(all, () => expect.fail('aborted'));
      });
    expect(abort).toThrow('aborted');
    expect(visited(all)).toEqual(['a=1']);
    put({ c: '3' });
    expect(visited(all)).toEqual(['a=1', 'c=3']);
  });
});

it('follows an environment to other files', () => {
  put({ a: 'old' });
  expect(visited(all)).toEqual(['a=old']);
  const other = openStore('other');
  put({ a: 'new', b: 'too' }, other);
  environment.moveTo(other);
  expect(visited(all)).toEqual(['a=new', 'b=too']);
});
