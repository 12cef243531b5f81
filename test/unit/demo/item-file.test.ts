/** Item files and the backlog in them: what a reopening restores, and how torn files heal. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrameBacklog } from '../../../src/demo/server/frame-backlog.ts';
import { ItemFile } from '../../../src/demo/server/item-file.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-demo-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function itemsOf(path: string): string[] {
  const items: string[] = [];
  ItemFile.open(path, (item) => items.push(item.toString())).close();
  return items;
}

function writeItems(path: string, items: readonly string[]): void {
  const file = ItemFile.open(path, () => undefined);
  for (const item of items) file.append(Buffer.from(item));
  file.close();
}

describe('an item file', () => {
  test('reads back what was appended, over several openings', () => {
    const path = join(folder, 'items');
    writeItems(path, ['one', 'two']);
    writeItems(path, ['', 'three']);
    expect(itemsOf(path)).toEqual(['one', 'two', '', 'three']);
  });

  test('cuts off a torn item, wherever the tear is, and goes on after the last whole one', () => {
    const path = join(folder, 'items');
    writeItems(path, ['one', 'two']);
    const whole = readFileSync(path);
    for (let cut = whole.length - 1; cut > whole.length - 11; cut--) {
      writeFileSync(path, whole.subarray(0, cut));
      writeItems(path, ['three']);
      expect(itemsOf(path)).toEqual(['one', 'three']);
    }
  });

  test('cuts off garbage after the last item', () => {
    const path = join(folder, 'items');
    writeItems(path, ['one']);
    appendFileSync(path, Buffer.alloc(64, 255));
    expect(itemsOf(path)).toEqual(['one']);
    expect(readFileSync(path).length).toBe(8 + 3);
  });
});

describe('the backlog', () => {
  const frame = (seq: number) => ({ seq, bytes: Buffer.alloc(100, seq & 255) });

  test('keeps the newest messages within its bound of bytes, also after reopening', () => {
    const backlog = new FrameBacklog(folder, 4000);
    for (let seq = 1; seq <= 200; seq++) backlog.append(frame(seq));
    const oldest = backlog.oldestSeq!;
    expect(oldest).toBeGreaterThan(150);
    expect(oldest).toBeLessThan(190);
    expect(backlog.newestSeq).toBe(200);
    backlog[Symbol.dispose]();
    const again = new FrameBacklog(folder, 4000);
    expect([again.oldestSeq, again.newestSeq]).toEqual([oldest, 200]);
    expect(again.after(195, 3).map(({ seq }) => seq)).toEqual([196, 197, 198]);
    expect(again.after(195, 3)[0]!.bytes).toEqual(Buffer.alloc(100, 196));
    expect(again.after(200, 3)).toEqual([]);
    again[Symbol.dispose]();
  });

  test('notifies waiters of the next message', async () => {
    const backlog = new FrameBacklog(folder, 4000);
    const waited = backlog.waitFor(0, AbortSignal.timeout(10_000)).then(() => backlog.newestSeq);
    backlog.append(frame(1));
    expect(await waited).toBe(1);
    const aborted = new AbortController();
    const other = backlog.waitFor(1, aborted.signal).then(() => backlog.newestSeq);
    aborted.abort();
    expect(await other).toBe(1);
    backlog[Symbol.dispose]();
  });
});
