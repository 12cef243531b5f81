/**
 * The node of bench/keys.ts: fills slots with posts, then serves them read-only. Arguments: folder,
 * posts, authors, seed.
 *
 * It answers the batched read under two names: with a node's default record cache, and with one
 * that holds only a small part of the requested records. Its status reports on both.
 */

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
import { Environment } from '../src/storage/environment.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { postCommits } from './post-set.ts';

const [folder, posts, authors, seed] = process.argv.slice(2) as [string, string, string, string];
export const slots = 16;
const mapBytes = 16 * 2 ** 30;
const chunkItems = 2000;
const pathOf = (slot: number): string => join(folder, String(slot));

async function fill(): Promise<void> {
  const opened = Array.from({ length: slots }, (_unused, index) =>
    Slot.open({ index, slots, path: pathOf(index), mapBytes }),
  );
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

await fill();
const states = Array.from({ length: slots }, (_unused, index) => {
  return new SlotState(index, Environment.open({ path: pathOf(index), mapBytes, tables: slotTableNames }));
});
const stateOf = (slot: number): SlotState | undefined => states[slot];
/** About a tenth of the memory of the requested posts, which are up to a hundred thousand. */
const smallCacheBytes = 3 * 2 ** 20;
const caches = {
  default: new RecordCache(settingTable.recordCacheMib.default * 2 ** 20),
  small: new RecordCache(smallCacheBytes),
};
const handlerWith = (cache: RecordCache) =>
  createRecordBatchHandler({
    finder: new RowFinder(new SlotLookup(slots, stateOf)),
    records: new StoredRecords(cache),
  });
const serving = await startNodeServer({
  host: '127.0.0.1',
  port: 0,
  tls: null,
  clusterToken: null,
  adminToken: null,
  handlers: new Map([
    [nodeCalls.records, handlerWith(caches.default)],
    [`${nodeCalls.records}.small`, handlerWith(caches.small)],
  ]),
  epoch: () => 1,
  isReady: () => true,
  status: async () => ({
    default: { hits: caches.default.hits, misses: caches.default.misses },
    small: { hits: caches.small.hits, misses: caches.small.misses },
  }),
  registry: new Registry(),
  onFault: (error) => {
    throw error;
  },
});
console.log(JSON.stringify({ port: serving.port }));
process.on('SIGTERM', () => void serving.close(100).then(() => process.exit(0)));
