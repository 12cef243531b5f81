/** A commit names every record that it changed, so that no cached record is stale. */

import { describe, expect, it } from 'vitest';
import { edgeByKind } from '../../../src/atproto/edge-kind.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { MessageWriter } from '../../../src/proto/message-writer.ts';
import { StoredRecords } from '../../../src/read/answer/stored-records.ts';
import { RecordCache } from '../../../src/read/cache/record-cache.ts';
import type { Slot } from '../../../src/slot/slot.ts';
import { changedRecordsNamedMax, hashOfRecordKey, RecordChanges } from '../../../src/slot/table/record-changes.ts';
import { keyHeadBytes, type SlotState, tableCode } from '../../../src/slot/table/slot-state.ts';
import { makeHistory } from '../../simulation/history.ts';
import { SlotCluster } from '../../support/slot-cluster.ts';
import { tableOfKey } from '../../support/stored-rows.ts';

/** Rows by key in hexadecimal. */
type Rows = Map<string, Buffer>;
type Tables = { readonly records: Rows; readonly counts: Rows; readonly edges: Rows };
const noRows = (): Tables => ({ records: new Map(), counts: new Map(), edges: new Map() });

function tablesOf({ rows }: SlotState): Tables {
  const tables = noRows();
  for (const { key, value } of rows.scan({ start: Buffer.from([0]), end: Buffer.alloc(8, 255) })) {
    const table = tableOfKey(key);
    const isOfCounts = table === tableCode.recordCounts || table === tableCode.actorCounts;
    if (table === tableCode.record) tables.records.set(key.toString('hex'), value);
    else if (isOfCounts) tables.counts.set(key.toString('hex'), value);
    else if (table === tableCode.edgeBySubject) tables.edges.set(key.toString('hex'), value);
  }
  return tables;
}

/** Keys whose rows differ, in hexadecimal. */
function changedKeys(before: ReadonlyMap<string, Buffer>, after: ReadonlyMap<string, Buffer>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((key) => {
    const [old, now] = [before.get(key), after.get(key)];
    return old === undefined || now === undefined || !old.equals(now);
  });
}

function answerOf(records: StoredRecords, state: SlotState, key: Buffer): string {
  const into = new MessageWriter();
  const flags = records.write(into, 1, state, key);
  return `${flags} ${into.finish().toString('hex')}`;
}

/** The JSON that a batched read answers with; undefined for no record. */
function jsonOf(records: StoredRecords, state: SlotState, key: Buffer): string | undefined {
  const record = records.readJson(state, key);
  return record?.source.utf8Slice(record.jsonStart, record.jsonEnd);
}

/** Of keys in hexadecimal: what those of an owner's edges of one kind begin with. */
const prefixOfEdge = (key: string): string => key.slice(0, 2 * (keyHeadBytes + 1));
const hashedCodes: readonly number[] = Object.values(edgeByKind).flatMap(({ subject, code }) =>
  subject === 'record' ? [code] : [],
);
const isHashed = (prefix: string): boolean => hashedCodes.includes(Number.parseInt(prefix.slice(-2), 16));
/** Sets of hashes that commits changed. */
const edgeSets = { changed: 0 };

/** A slot whose record rows are compared after each commit. */
class WatchedSlot {
  readonly state: SlotState;
  readonly index: number;
  tables: Tables = noRows();

  constructor({ state, index }: Slot) {
    this.state = state;
    this.index = index;
  }

  /** Checks that all changes were noted, and invalidates them. Returns their numbers. */
  follow(cache: RecordCache): { changed: number; removed: number } {
    const before = this.tables;
    const now = tablesOf(this.state);
    this.tables = now;
    const { records } = this.state.takeChanges();
    const noted = new Set(records);
    const changed = changedKeys(before.records, now.records);
    // The absence of counts is cached too, so new rows must be noted.
    const counted = changedKeys(before.counts, now.counts);
    const edgePrefixes = new Set(changedKeys(before.edges, now.edges).map(prefixOfEdge).filter(isHashed));
    edgeSets.changed += edgePrefixes.size;
    const stale = [...changed, ...counted, ...edgePrefixes];
    expect(stale.filter((key) => !noted.has(hashOfRecordKey(Buffer.from(key, 'hex'))))).toEqual([]);
    cache.invalidate(this.index, records);
    const removed = changed.filter((key) => !now.records.has(key)).length;
    return { changed: changed.filter((key) => before.records.has(key)).length - removed, removed };
  }
}

describe('changes of records', () => {
  it('are noted wherever a row is written, so that no cached record is stale', async () => {
    const counts = { changed: 0, removed: 0 };
    const cached = new StoredRecords(new RecordCache(256 * 1024));
    const plain = new StoredRecords(new RecordCache(0));
    for (let seed = 1; seed <= 4; seed++) {
      const cluster = SlotCluster.open({ slots: 2, random: seededRandom(seed) });
      const watched = cluster.slots.map((slot) => new WatchedSlot(slot));
      const seenKeys = cluster.slots.map(() => new Set<string>());
      for (const entry of makeHistory({ random: seededRandom(seed), name: `c${seed}`, steps: 150 }).entries) {
        cluster.append(entry).settle();
        for (const slot of watched) {
          const { changed, removed } = slot.follow(cached.cache);
          counts.changed += changed;
          counts.removed += removed;
          for (const key of slot.tables.records.keys()) seenKeys[slot.index]!.add(key);
          for (const text of seenKeys[slot.index]!) {
            const key = Buffer.from(text, 'hex');
            const answers = [cached, plain].map((from) => answerOf(from, slot.state, key));
            const jsons = [cached, plain].map((from) => jsonOf(from, slot.state, key));
            // Not by `expect`, which takes longer than the answers, of which there are many.
            if (answers[0] !== answers[1] || jsons[0] !== jsons[1])
              expect.fail(`${text} is stale: ${answers.join(', not ')}; ${jsons.join(', not ')}`);
          }
        }
      }
      await cluster[Symbol.asyncDispose]();
    }
    expect(counts.changed).toBeGreaterThan(50);
    expect(counts.removed).toBeGreaterThan(50);
    expect(edgeSets.changed).toBeGreaterThan(50);
    expect(cached.cache.hits).toBeGreaterThan(cached.cache.misses);
  }, 120_000);

  it('are not named individually past a bound', () => {
    const changes = new RecordChanges();
    const note = (count: number): void => {
      for (let number = 0; number < count; number++) {
        const key = Buffer.alloc(8);
        key.writeUInt32BE(number);
        changes.note(key);
        changes.note(key);
      }
    };
    note(changedRecordsNamedMax);
    expect(changes.take()).toHaveLength(changedRecordsNamedMax);
    note(changedRecordsNamedMax + 1);
    expect(changes.take()).toBeNull();
    note(3);
    expect(changes.take()).toHaveLength(3);
    expect(changes.take()).toHaveLength(0);
  });
});
