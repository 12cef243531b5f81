/** An import of more labels than memory should hold: bounded, and resumed within their table. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import type { Entry } from '../../../src/entry/entry.ts';
import type { LogAppender } from '../../../src/log/log-appender.ts';
import type { CopyRow } from '../../../src/migrate/copy-rows.ts';
import { PostgresImport } from '../../../src/migrate/postgres-import.ts';
import type { RowSource } from '../../../src/migrate/postgres-source.ts';

const labels = 70_000;
const rowsPerChunk = 500;
const src = `did:plc:${'a'.repeat(24)}`;
const at = '2025-01-02T03:04:05.678Z';
const uriOf = (index: number): string =>
  `at://did:plc:${'b'.repeat(24)}/app.bsky.feed.post/${String(index).padStart(13, '0')}`;

/** Makes labels up as they are asked for, in the order of their key. */
class LabelSource implements RowSource {
  readonly name = 'labels';
  read = 0;
  /** Fails after so many. */
  readsMax = Number.POSITIVE_INFINITY;

  async *rows(query: string): AsyncGenerator<CopyRow[]> {
    if (!query.includes('FROM "label"')) return;
    const after = /post\/(\d+)/.exec(query)?.[1];
    const first = after === undefined ? 0 : Number(after) + 1;
    const end = Math.min(labels, first + Number(/LIMIT (\d+)/.exec(query)![1]));
    for (let index = first; index < end; index += rowsPerChunk) {
      if (this.read >= this.readsMax) throw new DataPlaneError('Unavailable', 'the database is gone');
      const count = Math.min(rowsPerChunk, end - index);
      this.read += count;
      yield Array.from({ length: count }, (_unused, offset) => {
        const cells = [src, uriOf(index + offset), '', 'spam', 'false', at];
        return [...cells.map((cell) => Buffer.from(cell)), null];
      });
    }
  }
}

/** Takes so many entries until they are durable, which is later. */
class SlowLog implements LogAppender {
  readonly capacity = 2_000;
  readonly appended = new Map<string, number>();
  outstanding = 0;
  outstandingMost = 0;
  #waiting: (() => void)[] = [];

  append(_key: string, entry: Entry): Promise<void> {
    if (entry.kind === 'if-absent' && entry.entry.kind === 'label') {
      const { rkey } = entry.entry.label.subject.record!;
      this.appended.set(rkey, (this.appended.get(rkey) ?? 0) + 1);
    }
    this.outstandingMost = Math.max(this.outstandingMost, ++this.outstanding);
    return new Promise((resolve) => {
      setImmediate(() => {
        this.outstanding--;
        resolve();
        if (this.hasCapacity) for (const resume of this.#waiting.splice(0)) resume();
      });
    });
  }

  get hasCapacity(): boolean {
    return this.outstanding < this.capacity;
  }

  waitForCapacity(): Promise<void> {
    return this.hasCapacity ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  readonly pendingBytes = 0;
}

let folder: string;
let source: LabelSource;
let log: SlowLog;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-labels-'));
  source = new LabelSource();
  log = new SlowLog();
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(): Promise<Readonly<Record<string, number>>> {
  const job = new PostgresImport({
    source,
    appender: log,
    clock: systemClock,
    statePath: join(folder, 'state.json'),
    slots: 1,
    parallel: 1,
    refusedRepos: new Set(),
    erasures: new Map(),
    onProgress: () => {},
  });
  await job.run();
  return job.counts;
}

it('holds no more of them than the log has room for', async () => {
  expect(await run()).toMatchObject({ label: labels });
  expect(log.appended.size).toBe(labels);
  expect(log.outstandingMost).toBeLessThan(log.capacity + rowsPerChunk);
});

it('goes on within the table, and reads at most a page again', async () => {
  source.readsMax = 50_000;
  await expect(run()).rejects.toMatchObject({ code: 'Unavailable' });
  source.readsMax = Number.POSITIVE_INFINITY;
  expect(await run()).toMatchObject({ label: labels });
  expect(log.appended.size).toBe(labels);
  expect([...log.appended.values()].filter((times) => times > 1).length).toBeLessThanOrEqual(20_000);
  expect(source.read).toBeLessThanOrEqual(labels + 20_000);
});

it('ends at the first entry that cannot be appended, and reads no further', async () => {
  const appended = log.append.bind(log);
  let left = 30_000;
  log.append = (key, entry) =>
    left-- > 0 ? appended(key, entry) : Promise.reject(new DataPlaneError('Unavailable', 'the log is closed'));
  await expect(run()).rejects.toMatchObject({ message: 'the log is closed' });
  expect(source.read).toBeLessThan(40_000);
});
