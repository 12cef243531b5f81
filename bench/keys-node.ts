/**
 * The node of bench/keys.ts: fills slots with posts, then serves them read-only. Arguments: folder,
 * posts, authors, seed.
 *
 * It answers the batched read under three names: from compacted slots, as a node that is quiet has
 * them, with its default record cache and with one that holds only a small part of the requested
 * records; and with the latter from slots as they were written. Its status reports on all.
 */

import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { ByteWriter } from '../src/base/bytes.ts';
import { settingTable } from '../src/config/setting-table.ts';
import { encodeEntry } from '../src/entry/entry-codec.ts';
import { writeChunk } from '../src/log/chunk.ts';
import { startNodeServer } from '../src/node/node-server.ts';
import { StoredRecords } from '../src/read/answer/stored-records.ts';
import { RecordCache } from '../src/read/cache/record-cache.ts';
import { createRecordBatchHandler } from '../src/read/handler/record-batch-handler.ts';
import { RowFinder } from '../src/read/lookup/row-finder.ts';
import { SlotLookup } from '../src/read/lookup/slot-lookup.ts';
import { slotOf } from '../src/shardmap/slot-of.ts';
import { Slot } from '../src/slot/slot.ts';
import { SlotState, slotTableNames } from '../src/slot/table/slot-state.ts';
import { Compaction } from '../src/storage/compaction.ts';
import { Environment } from '../src/storage/environment.ts';
import { postCommits } from './post-set.ts';
import { type RecordsMethod, recordsMethods } from './records-methods.ts';

const [folder, posts, authors, seed] = process.argv.slice(2) as [string, string, string, string];
export const slots = 16;
const mapBytes = 16 * 2 ** 30;
const chunkItems = 2000;
const writtenFolder = join(folder, 'written');
const compactedFolder = join(folder, 'compacted');

const openSlots = (within: string): Slot[] =>
  Array.from({ length: slots }, (_unused, index) =>
    Slot.open({ index, slots, path: join(within, String(index)), mapBytes }),
  );

async function fill(): Promise<void> {
  const opened = openSlots(writtenFolder);
  const pending: Uint8Array[][] = opened.map(() => []);
  const writer = new ByteWriter(2 ** 20);
  const apply = (slot: number): void => {
    writeChunk(writer, { slot, origin: null, items: pending[slot]!, marks: [] });
    opened[slot]!.run([writer.finish()], Date.UTC(2026, 0, 1));
    pending[slot] = [];
  };
  for (const entry of postCommits({ seed: Number(seed), posts: Number(posts), authors: Number(authors) })) {
    const slot = slotOf(entry.did, slots);
    pending[slot]!.push(encodeEntry(entry));
    if (pending[slot]!.length === chunkItems) apply(slot);
  }
  for (let slot = 0; slot < slots; slot++) if (pending[slot]!.length > 0) apply(slot);
  for (const slot of opened) await slot[Symbol.asyncDispose]();
}

async function compact(): Promise<void> {
  const isOver = (): boolean => false;
  cpSync(writtenFolder, compactedFolder, { recursive: true });
  for (const slot of openSlots(compactedFolder)) {
    const compaction = Compaction.begin(slot.environment, () => slot.requireOnlyWriter());
    while (!compaction.copySome(isOver));
    await compaction.settle();
    while (!compaction.copySome(isOver));
    compaction.replace();
    await slot[Symbol.asyncDispose]();
  }
}

await fill();
await compact();

function finderIn(within: string): RowFinder {
  const states = Array.from({ length: slots }, (_unused, index) => {
    const path = join(within, String(index));
    return new SlotState(index, Environment.open({ path, mapBytes, tables: slotTableNames }));
  });
  return new RowFinder(new SlotLookup(slots, (slot) => states[slot]));
}

/** About a tenth of the memory of the requested posts, which are up to a hundred thousand. */
const smallCacheBytes = 3 * 2 ** 20;
const caches: Readonly<Record<RecordsMethod, RecordCache>> = {
  default: new RecordCache(settingTable.recordCacheMib.default * 2 ** 20),
  small: new RecordCache(smallCacheBytes),
  written: new RecordCache(smallCacheBytes),
};
const [compacted, written] = [finderIn(compactedFolder), finderIn(writtenFolder)];
const handlerOf = (name: RecordsMethod) =>
  createRecordBatchHandler({
    finder: name === 'written' ? written : compacted,
    records: new StoredRecords(caches[name]),
  });
const names = Object.keys(recordsMethods) as RecordsMethod[];
const serving = await startNodeServer({
  host: '127.0.0.1',
  port: 0,
  tls: null,
  clusterToken: null,
  adminToken: null,
  handlers: new Map(names.map((name) => [recordsMethods[name], handlerOf(name)])),
  epoch: () => 1,
  isReady: () => true,
  status: async () =>
    Object.fromEntries(names.map((name) => [name, { hits: caches[name].hits, misses: caches[name].misses }])),
  registry: new Registry(),
  onFault: (error) => {
    throw error;
  },
});
console.log(JSON.stringify({ port: serving.port }));
process.on('SIGTERM', () => void serving.close(100).then(() => process.exit(0)));
