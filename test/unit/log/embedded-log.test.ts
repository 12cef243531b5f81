/** The log of a slot: sequence numbers, reading above a cursor, trimming, and reopening. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { type ChunkOutcome, readChunk, writeChunk } from '../../../src/log/chunk.ts';
import { EmbeddedLog, logRetainedBytesMax } from '../../../src/log/embedded-log.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { stopAfterEach } from '../../support/stop-after-each.ts';

const resources = stopAfterEach();

function openEnvironment(path: string): Environment {
  const environment = Environment.open({ path, mapBytes: 2 ** 28, tables: ['log'] });
  resources.defer(() => environment.close());
  return environment;
}

function newFolder(): string {
  const folder = makeMemoryFolder('skyshard-log-');
  resources.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function chunkOf(items: readonly string[]): Buffer {
  const writer = new ByteWriter(64);
  writeChunk(writer, { slot: 0, origin: null, items: items.map((item) => Buffer.from(item)), marks: [] });
  return writer.finish();
}

/** Enters a chunk that was read. Returns the seq of its first entry. */
function enter(log: EmbeddedLog, bytes: Uint8Array, entryCount: number, appendMs: number): number {
  return log.enter({ bytes, appendMs, onOutcome: () => {}, position: 0 }, entryCount, appendMs);
}

/** Returns the seqs and the texts of all entries above a cursor. */
function textsAbove(log: EmbeddedLog, cursor: number): string[] {
  return log
    .entered(cursor)
    .flatMap(({ firstSeq, chunk }) => chunk.items.map((item, index) => `${firstSeq + index} ${Buffer.from(item)}`));
}

describe('the embedded log', () => {
  it('gives back what was appended, in order and in batches', () => {
    const log = new EmbeddedLog(openEnvironment(newFolder()).table('log'), 0);
    const heard: string[] = [];
    log.wait((withinMs) => heard.push(`readable within ${withinMs} ms`));
    for (const text of ['a', 'b', 'c']) {
      const onOutcome = ({ status }: ChunkOutcome): void => void heard.push(`${text} ${status}`);
      log.append({ bytes: Buffer.from(text), entryCount: 2, withinMs: 5, onOutcome });
    }
    expect(heard.splice(0)).toEqual(Array(3).fill('readable within 5 ms'));
    expect([log.readableBytes, log.readableEntries]).toEqual([3, 6]);
    const texts = (bytesMax: number): string[] =>
      log.read(bytesMax, 7).map(({ bytes }) => Buffer.from(bytes).toString());
    expect(texts(0)).toEqual(['a']);
    expect([log.readableBytes, log.readableEntries]).toEqual([2, 4]);
    const refused = { status: 'refused', code: 'StorageFull', message: 'no room' } as const;
    log.takeBack(log.read(1, 7), refused);
    expect(heard.splice(0)).toEqual(['b refused']);
    log.close(refused);
    expect(heard).toEqual(['c refused']);
    expect(texts(10)).toEqual([]);
  });

  it('numbers entries from 1 without gaps, across chunks', () => {
    const environment = openEnvironment(newFolder());
    const log = new EmbeddedLog(environment.table('log'), 0);
    expect(log.head).toBe(0);
    const firsts = environment.transact(() => [
      enter(log, chunkOf(['a', 'b']), 2, 10),
      enter(log, chunkOf(['c']), 1, 11),
    ]);
    expect(firsts).toEqual([1, 3]);
    expect(log.head).toBe(3);
    expect(textsAbove(log, 0)).toEqual(['1 a', '2 b', '3 c']);
    expect(log.entered(0).map(({ appendMs }) => appendMs)).toEqual([10, 11]);
  });

  it('reads the whole chunks that end above a cursor', () => {
    const environment = openEnvironment(newFolder());
    const log = new EmbeddedLog(environment.table('log'), 0);
    environment.transact(() =>
      [['a', 'b'], ['c', 'd', 'e'], ['f']].map((items) => enter(log, chunkOf(items), items.length, 0)),
    );
    expect(textsAbove(log, 2)).toEqual(['3 c', '4 d', '5 e', '6 f']);
    expect(textsAbove(log, 3)).toEqual(['3 c', '4 d', '5 e', '6 f']);
    expect(textsAbove(log, 5)).toEqual(['6 f']);
    expect(textsAbove(log, 6)).toEqual([]);
  });

  it('trims only applied rows above the retained bytes, and never its last row', () => {
    const environment = openEnvironment(newFolder());
    const log = new EmbeddedLog(environment.table('log'), 0);
    const large = 'x'.repeat(logRetainedBytesMax / 8);
    for (let number = 0; number < 20; number++) environment.transact(() => enter(log, chunkOf([large]), 1, 0));
    environment.transact(() => log.trim(0));
    expect(log.entered(0)).toHaveLength(20);
    environment.transact(() => log.trim(4));
    expect(log.entered(0)[0]!.firstSeq).toBe(5);
    environment.transact(() => log.trim(20));
    const retained = log.entered(0);
    expect(retained.length).toBeGreaterThan(4);
    expect(retained.length).toBeLessThan(9);
    expect(retained.at(-1)!.firstSeq).toBe(20);
    environment.transact(() => enter(log, chunkOf([large.repeat(16)]), 1, 0));
    environment.transact(() => log.trim(21));
    expect(log.entered(0).map(({ firstSeq }) => firstSeq)).toEqual([21]);
    expect(log.head).toBe(21);
  });

  it('continues from its head after reopening, and after an aborted append', async () => {
    const folder = newFolder();
    {
      const environment = Environment.open({ path: folder, mapBytes: 2 ** 28, tables: ['log'] });
      const log = new EmbeddedLog(environment.table('log'), 0);
      environment.transact(() => enter(log, chunkOf(['a', 'b', 'c']), 3, 0));
      await environment.close();
    }
    const environment = openEnvironment(folder);
    const log = new EmbeddedLog(environment.table('log'), 0);
    expect(log.head).toBe(3);
    const abort = (): void =>
      environment.transact(() => {
        enter(log, chunkOf(['lost']), 1, 0);
        throw new Error('aborted on purpose');
      });
    expect(abort).toThrow('aborted on purpose');
    log.reload(0);
    expect(log.head).toBe(3);
    expect(environment.transact(() => enter(log, chunkOf(['d']), 1, 0))).toBe(4);
    expect(textsAbove(log, 3)).toEqual(['4 d']);
    log.reload(2);
    expect(log.head).toBe(4);
    log.reload(9);
    expect(environment.transact(() => enter(log, chunkOf(['e']), 1, 0))).toBe(10);
  });

  it('stores a chunk unchanged', () => {
    const environment = openEnvironment(newFolder());
    const log = new EmbeddedLog(environment.table('log'), 0);
    const writer = new ByteWriter(64);
    const chunk = {
      slot: 7,
      origin: { slot: 3, generation: 2, session: 4, previousMark: 5, known: { session: 3, mark: 5 }, targetSlots: 8 },
      items: [Buffer.from('i')],
      marks: [9],
    };
    writeChunk(writer, chunk);
    const bytes = writer.finish();
    environment.transact(() => enter(log, bytes, 1, 0));
    expect(log.entered(0)[0]!.chunk).toEqual(readChunk(bytes));
  });
});
