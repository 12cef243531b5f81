/** A page of edges reads few rows beyond its own, whatever the keys of their records. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type EdgePage, readEdgePage } from '../../src/slot/table/edge-walk.ts';
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import type { Scan } from '../../src/storage/environment.ts';
import type { RowCursor } from '../../src/storage/row-cursor.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob] = [didOf('alice'), didOf('bob')];
const follows = 400;
const pageSize = 50;

let network: ReadsNetwork;
beforeEach(() => {
  network = new ReadsNetwork({ slots: 1 });
});
afterEach(() => network[Symbol.asyncDispose]());

/** The state of the one slot, with a note of each row that a cursor of it lends. */
function notingRows(note: () => void): SlotState {
  const { state } = network.cluster.slots[0]!;
  const open = (range: Scan): RowCursor => {
    const cursor = state.rows.open(range);
    const next = cursor.next.bind(cursor);
    cursor.next = () => {
      const row = next();
      if (row !== undefined) note();
      return row;
    };
    return cursor;
  };
  return Object.create(state, { rows: { value: { open } } }) as SlotState;
}

/** The rkeys of a page's edges. */
function rkeysOf({ edges, found }: EdgePage): string[] {
  return found.map((edge) => edges.bytes.toString('hex', edges.rkeyAt(edge), edges.subjectAt(edge)));
}

it('reads hardly more rows than a page of edges needs, wherever these have their place', () => {
  for (const did of [alice, bob]) {
    for (let index = 0; index < follows; index++) {
      network.timeMs += 60_000;
      // A record whose sort time is far from its key has a row of its own in the order.
      const createdAt = new Date(network.timeMs - (did === bob ? 3_600_000 : 0)).toISOString();
      network.put(did, 'app.bsky.graph.follow', {
        subject: didOf(`fan${index.toString(2).replaceAll('0', 'b').replaceAll('1', 'c')}`),
        createdAt,
      });
    }
  }
  network.settle();
  for (const did of [alice, bob]) {
    let rowCount = 0;
    const state = notingRows(() => rowCount++);
    const owner = network.cluster.slots[0]!.state.ownerOf(did)!;
    const page = rkeysOf(readEdgePage({ state, owner }, 'follow', null, pageSize));
    expect(page).toHaveLength(pageSize);
    // The page, and the hour of records above it.
    expect(rowCount).toBeLessThan(pageSize + 60 + pageSize + 10);
    const all = rkeysOf(readEdgePage({ state, owner }, 'follow', null, follows + 1));
    expect(all).toHaveLength(follows);
    expect(all.slice(0, pageSize)).toEqual(page);
  }
});
