/** OwnerFinder agrees with the owner tables of the slots and never outlives a slot handle. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { xxh32, xxh32OfPlc } from '../../../src/base/xxh32.ts';
import { OwnerFinder } from '../../../src/read/lookup/owner-finder.ts';
import { SlotLookup } from '../../../src/read/lookup/slot-lookup.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';

const slots = 4;
const random = seededRandom(20_260_101);
const letters = 'abcdefghijklmnopqrstuvwxyz234567';
const newDid = (): string => `did:plc:${Array.from({ length: 24 }, () => letters[random.below(32)]).join('')}`;

const folder = mkdtempSync(join(tmpdir(), 'skyshard-owner-finder-'));
const environments: Environment[] = [];
const states: (SlotState | undefined)[] = [];
const finder = new OwnerFinder(new SlotLookup(slots, (slot) => states[slot]));

function find(did: string): { slot: number; owner: number } | undefined {
  const source = Buffer.from(`at://${did}/app.bsky.feed.post/self`);
  return finder.find(source, 5) ? { slot: finder.state.index, owner: finder.owner } : undefined;
}

beforeAll(() => {
  for (let slot = 0; slot < slots; slot++) {
    const path = join(folder, String(slot));
    const environment = Environment.open({ path, mapBytes: 2 ** 28, tables: slotTableNames });
    environments.push(environment);
    states.push(new SlotState(slot, environment));
  }
});

afterAll(async () => {
  for (const environment of environments) await environment.close();
  rmSync(folder, { recursive: true });
});

describe('finding owners by bytes', () => {
  it('hashes a did:plc as its text is hashed', () => {
    const words = new Int32Array(6);
    for (let round = 0; round < 1000; round++) {
      const text = Buffer.from(newDid(), 'latin1');
      for (let word = 0; word < 6; word++) words[word] = text.readInt32LE(8 + word * 4);
      expect(xxh32OfPlc(words)).toBe(xxh32(text));
    }
  });

  it('finds the owners of the slots, the first time and again, with more of them than one set of the cache holds', () => {
    const dids = Array.from({ length: 40_000 }, newDid);
    const ownerByDid = new Map<string, number>();
    for (let slot = 0; slot < slots; slot++) {
      const state = new SlotState(slot, environments[slot]!);
      state.resetOwners(slot * 1000 + 1);
      environments[slot]!.transact(() => {
        for (const did of dids) if (slotOf(did, slots) === slot) ownerByDid.set(did, state.ensureOwner(did));
      });
      environments[slot]!.refreshReads();
    }
    for (let pass = 0; pass < 2; pass++) {
      const wrong = dids.filter((did) => {
        const found = find(did);
        return found?.owner !== ownerByDid.get(did) || found?.slot !== slotOf(did, slots);
      });
      expect(wrong).toEqual([]);
    }
  });

  it('does not find an unknown DID until its slot has it', () => {
    const did = newDid();
    const slot = slotOf(did, slots);
    expect(find(did)).toBeUndefined();
    const writer = new SlotState(slot, environments[slot]!);
    writer.resetOwners(77_777);
    environments[slot]!.transact(() => writer.ensureOwner(did));
    environments[slot]!.refreshReads();
    expect(find(did)).toEqual({ slot, owner: 77_777 });
  });

  it('drops owners of a replaced slot handle, and refuses a slot that is gone', async () => {
    const did = newDid();
    const slot = slotOf(did, slots);
    const giveOwner = (environment: Environment, owner: number): SlotState => {
      const state = new SlotState(slot, environment);
      state.resetOwners(owner);
      environment.transact(() => state.ensureOwner(did));
      environment.refreshReads();
      return new SlotState(slot, environment);
    };
    states[slot] = giveOwner(environments[slot]!, 88_888);
    expect(find(did)).toEqual({ slot, owner: 88_888 });
    const other = Environment.open({ path: join(folder, 'other'), mapBytes: 2 ** 28, tables: slotTableNames });
    states[slot] = giveOwner(other, 99_999);
    expect(find(did)).toEqual({ slot, owner: 99_999 });
    states[slot] = undefined;
    expect(() => find(did)).toThrow(expect.objectContaining({ code: 'WrongEpoch' }));
    await other.close();
  });
});
