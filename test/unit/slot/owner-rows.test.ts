/** Rows that a transaction changes often and writes once. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addToActorCount, getActorCount } from '../../../src/slot/table/actor-counts.ts';
import { getRepo, putRepo, removeRepo } from '../../../src/slot/table/actor-row.ts';
import { beginKey, SlotState, slotTableNames, tableCode } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

let folder: string;
let environment: Environment;
let state: SlotState;
const owner = 7;
const repo = { rev: '3kabcdefghijk', resyncRev: '', deletedMs: null, isGivenUp: false };

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-owner-rows-');
  environment = Environment.open({ path: join(folder, 'slot'), mapBytes: 2 ** 26, tables: slotTableNames });
  state = new SlotState(0, environment);
});

afterEach(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

function transact(work: () => void): void {
  environment.transact(() => {
    work();
    state.flushOwnerRows();
  });
}

function stored(table: number): Buffer | undefined {
  return state.rows.get(beginKey(owner, table).finish());
}

it('reads what the transaction has changed, and writes it at its end', () => {
  transact(() => {
    putRepo(state, owner, repo);
    addToActorCount(state, owner, 'likes', 1);
    addToActorCount(state, owner, 'followers', 1);
    addToActorCount(state, owner, 'followers', 1);
    expect(stored(tableCode.actorCounts)).toBeUndefined();
    expect(getRepo(state, owner)).toEqual(repo);
    expect(getActorCount(state, owner, 'followers')).toBe(2);
  });
  const reader = new SlotState(0, environment);
  expect(getRepo(reader, owner)).toEqual(repo);
  expect(getActorCount(reader, owner, 'followers')).toBe(2);
  expect(getActorCount(reader, owner, 'likes')).toBe(1);
});

it('removes a row that ends empty, and has none meanwhile', () => {
  transact(() => {
    putRepo(state, owner, repo);
    addToActorCount(state, owner, 'likes', 1);
  });
  transact(() => {
    addToActorCount(state, owner, 'likes', -1);
    removeRepo(state, owner);
    expect(getRepo(state, owner)).toBeUndefined();
    expect(getActorCount(state, owner, 'likes')).toBe(0);
  });
  expect(stored(tableCode.actorCounts)).toBeUndefined();
  expect(stored(tableCode.repo)).toBeUndefined();
});

it('puts again in one transaction what that has removed', () => {
  transact(() => {
    removeRepo(state, owner);
    putRepo(state, owner, repo);
    expect(state.changedOwnerRow(owner, tableCode.notificationSeen, 5)).toEqual(Buffer.alloc(5));
    state.putOwnerRow(owner, tableCode.notificationSeen, Buffer.alloc(0));
    state.changedOwnerRow(owner, tableCode.notificationSeen, 5)[0] = 1;
  });
  expect(getRepo(state, owner)).toEqual(repo);
  expect(stored(tableCode.notificationSeen)).toEqual(Buffer.of(1, 0, 0, 0, 0));
});

it('drops what an aborted transaction has changed', () => {
  transact(() => putRepo(state, owner, repo));
  const abort = new Error('aborted');
  const work = (): void => {
    putRepo(state, owner, { ...repo, rev: '3kzzzzzzzzzzz' });
    throw abort;
  };
  expect(() => transact(work)).toThrow(abort);
  state.resetOwners(1);
  expect(getRepo(state, owner)).toEqual(repo);
});
