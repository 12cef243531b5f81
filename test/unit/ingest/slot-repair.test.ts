/** A repair fetches again what the rows of all slots name, then makes the slot complete. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import type { Entry } from '../../../src/entry/entry.ts';
import type { LabelRescanRequest } from '../../../src/ingest/label-rescan.ts';
import { SlotRepair, type SlotRepairOptions } from '../../../src/ingest/slot-repair.ts';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import type { LogAppender } from '../../../src/log/log-appender.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { didsOfSlotAnswer, didsOfSlotRequest } from '../../../src/wire/dids-of-slot.ts';
import type { NodeCall } from '../../../src/wire/node-caller.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { nodeStatusMessage } from '../../../src/wire/node-status.ts';
import { until } from '../../support/until.ts';

const slots = 2;
const map = parseShardMap({
  epoch: 1,
  slots,
  nodes: { n0: { host: '127.0.0.1', port: 1 }, n1: { host: '127.0.0.1', port: 2 } },
  shards: [
    { name: 's0', primary: 'n0', slots: ['0'] },
    { name: 's1', primary: 'n1', slots: ['1'] },
  ],
});
let folder: string;
let state: IngestState;

function didIn(slot: number, from: number): string {
  for (let number = from; ; number++) {
    const did = `did:web:n${number}.example`;
    if (slotOf(did, slots) === slot) return did;
  }
}

const [known, named, own] = [didIn(1, 0), didIn(1, 100), didIn(1, 200)];

function statusOf(slot: number, condition: 'complete' | 'incomplete'): Uint8Array {
  const counts = { cursor: 1, head: 1, waiting: 0, outbox: 0, lastMark: 0, sentEffects: 0, receivedEffects: 0 };
  const rest = {
    bytes: 0,
    owners: 1,
    quarantined: 0,
    suspendedDids: 0,
    generation,
    state: 'applying',
    log: null,
    condition,
  } as const;
  const status = { slot, ...counts, ...rest, deliveredMark: null, isContinuing: false, lagMs: null };
  return nodeStatusMessage.encode({ role: 'node', name: 'n', epoch: 1, pid: 1, slots: [status] });
}

/** As the slot's node says. */
let generation: number;
let condition: 'complete' | 'incomplete';
let appended: [string, Entry][];
let requested: string[];
let refreshed: string[];
let rescanned: string[];
/** What could not be read again of labelers. */
let unread: readonly string[];
let labelRequests: LabelRescanRequest[];
let stop: AbortController;

async function call({ node, method, payload }: NodeCall): Promise<Uint8Array> {
  if (method === nodeCalls.status) return node === 'n1' ? statusOf(1, condition) : statusOf(0, 'complete');
  const { of, from } = didsOfSlotRequest.decode(payload);
  expect(of).toBe(1);
  if (node === 'n1') return didsOfSlotAnswer.encode({ dids: [own], next: null });
  const next = from.after === '' ? { slot: 0, after: 'aa' } : null;
  return didsOfSlotAnswer.encode({ dids: next === null ? [named] : [], next });
}

function newRepair(overrides: Partial<SlotRepairOptions> = {}): SlotRepair {
  stop = new AbortController();
  return new SlotRepair({
    caller: { call },
    map: () => map,
    appender: {
      append: async (key: string, entry: Entry) => void appended.push([key, entry]),
    } as unknown as LogAppender,
    state,
    backfill: {
      requestRepos: async (dids) => {
        requested.push(...dids);
        await state.fetches.request(
          dids.map((did) => ({ did, host: null, revMin: '', urgency: 'now' as const })),
          0,
        );
      },
    },
    identities: { refresh: async (did) => void refreshed.push(did) },
    bsync: { rescan: async ({ isWanted }) => void rescanned.push(...[known, didIn(0, 0)].filter(isWanted)) },
    rescanLabels: async (request) => {
      labelRequests.push(request);
      return unread;
    },
    clock: systemClock,
    random: seededRandom(1),
    note: () => {},
    signal: stop.signal,
    ...overrides,
  });
}

const ask = (slot: number, more: { isDryRun?: boolean; withoutLabels?: string[] } = {}) => ({
  slot,
  isDryRun: false,
  withoutLabels: [],
  ...more,
});

async function fetched(did: string, outcome: 'done' | 'failed' | 'gone' = 'done'): Promise<void> {
  await until(() => state.repairs.get()?.isRequested === true && state.repairs.get()?.generation === generation);
  await until(() => state.fetches.get(did)?.state === 'queued');
  await state.fetches.storeOutcome(did, (row) => ({ ...row, state: outcome }));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-repair-'));
  state = new IngestState(folder, 2 ** 28);
  [generation, condition, unread] = [1, 'incomplete', []];
  [appended, requested, refreshed, rescanned, labelRequests] = [[], [], [], [], []];
  await state.fetches.request([{ did: known, host: null, revMin: '', urgency: 'now' }], 0);
  await state.fetches.request([{ did: didIn(0, 0), host: null, revMin: '', urgency: 'now' }], 0);
});
afterEach(async () => {
  stop.abort();
  await state[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

it('asks for repos that ingest, the slot or others know, and ends when each has an outcome', async () => {
  const repair = newRepair();
  await expect(repair.request(ask(0))).rejects.toMatchObject({ code: 'InvalidArgument' });
  expect(await repair.request(ask(1, { isDryRun: true }))).toMatchObject({ repos: 3 });
  expect(repair.progress).toBe(null);
  await repair.request(ask(1));
  await until(() => repair.progress?.phase === 'fetching' && refreshed.length === 3);
  expect(refreshed.sort()).toEqual([known, named, own].sort());
  await until(() => rescanned.length > 0);
  expect(rescanned).toEqual([known]);
  expect([known, didIn(0, 0)].filter(labelRequests[0]!.isWanted)).toEqual([known]);
  await fetched(known);
  await fetched(own, 'failed');
  await until(() => repair.progress?.left === 1);
  expect(appended).toEqual([]);
  await fetched(named, 'gone');
  await until(() => repair.progress?.phase === 'done');
  expect(repair.progress).toMatchObject({ repos: 3, left: 0, failed: 1, problem: null });
  expect(appended).toEqual([[expect.any(String), { kind: 'completed' }]]);
  expect(slotOf(appended[0]![0], slots)).toBe(1);
}, 30_000);

it('completes no slot while a labeler is unread, unless the operator gives that one up', async () => {
  unread = ['did:web:labeler.example'];
  const repair = newRepair();
  await repair.request(ask(1));
  for (const did of [known, named, own]) await fetched(did);
  await until(() => repair.progress?.phase === 'failed');
  expect(repair.progress?.problem).toBe('labels of did:web:labeler.example could not be read again');
  expect(appended).toEqual([]);
  // Asked for again, it goes on where it was.
  requested = [];
  await repair.request(ask(1));
  await until(() => repair.progress?.phase === 'failed');
  expect(requested).toEqual([]);
  await repair.request(ask(1, { withoutLabels: [...unread] }));
  await until(() => repair.progress?.phase === 'done');
  expect(repair.progress).toMatchObject({ withoutLabels: unread, problem: null });
  expect(labelRequests.at(-1)!.isGivenUp(unread[0]!)).toBe(true);
  expect(appended).toHaveLength(1);
}, 30_000);

it('begins at the beginning when a slot that it completed is incomplete again', async () => {
  const repair = newRepair();
  await repair.request(ask(1));
  for (const did of [known, named, own]) await fetched(did);
  await until(() => repair.progress?.phase === 'done');
  requested = [];
  await repair.request(ask(1));
  await until(() => requested.length === 3);
}, 30_000);

it('completes no slot that has lost what it had once more while it was repaired', async () => {
  const repair = newRepair();
  await repair.request(ask(1));
  await until(() => state.repairs.get()?.isRequested);
  requested = [];
  generation = 2;
  for (const did of [known, named, own]) await state.fetches.storeOutcome(did, (row) => ({ ...row, state: 'done' }));
  await until(() => repair.progress?.phase === 'failed');
  expect(repair.progress?.problem).toBe('the slot has lost what it had once more');
  expect(appended).toEqual([]);
  await repair.request(ask(1));
  for (const did of [known, named, own]) await fetched(did);
  await until(() => repair.progress?.phase === 'done');
  expect(requested).toHaveLength(3);
  // And one that is asked for while it runs begins anew.
  condition = 'incomplete';
  await repair.request(ask(1));
  await until(() => state.repairs.get()?.isRequested);
  requested = [];
  generation = 3;
  await repair.request(ask(1));
  for (const did of [known, named, own]) await fetched(did);
  await until(() => repair.progress?.phase === 'done');
  expect(requested).toHaveLength(3);
  expect(appended).toHaveLength(2);
}, 30_000);

it('is stopped at once, and durably, while a node does not answer', async () => {
  let isDown = true;
  const caller = {
    call: (request: NodeCall): Promise<Uint8Array> =>
      isDown && request.method === nodeCalls.didsOf ? new Promise(() => {}) : call(request),
  };
  const repair = newRepair({ caller });
  await repair.request(ask(1));
  expect(repair.progress).toMatchObject({ phase: 'listing' });
  expect(await repair.stop()).toBe(true);
  const stopped = { phase: 'failed', problem: expect.stringContaining('bsync') };
  expect(state.repairs.get()).toMatchObject(stopped);
  isDown = false;
  // The call of the one that was stopped is never answered, and keeps nothing waiting.
  await repair.request(ask(1));
  for (const did of [known, named, own]) await fetched(did);
  await until(() => repair.progress?.phase === 'done');
});

it('is stopped when the operator says so, for another or to go on later', async () => {
  const repair = newRepair({
    bsync: { rescan: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())) },
  });
  expect(await repair.stop()).toBe(false);
  await repair.request(ask(1));
  for (const did of [known, named, own]) await fetched(did);
  await until(() => repair.progress?.left === 0 && labelRequests.length === 1);
  expect(await repair.stop()).toBe(true);
  expect(repair.progress).toMatchObject({
    phase: 'failed',
    problem: expect.stringContaining('the operator has stopped it'),
  });
  // Nothing goes on by itself, after a restart neither.
  await newRepair().run();
  expect(appended).toEqual([]);
  requested = [];
  const later = newRepair();
  await later.request(ask(1));
  await until(() => later.progress?.phase === 'done');
  expect(requested).toEqual([]);
  expect(appended).toHaveLength(1);
}, 30_000);

it('lets a labeler be given up while it runs', async () => {
  const [gone, other] = ['did:web:gone.example', 'did:web:other.example'] as const;
  const repair = newRepair({
    rescanLabels: async ({ isGivenUp }) => {
      await until(() => isGivenUp(gone));
      return isGivenUp(other) ? [other] : [];
    },
  });
  await repair.request(ask(1));
  for (const did of [known, named, own]) await fetched(did);
  await repair.request(ask(1, { withoutLabels: [gone] }));
  await until(() => repair.progress?.phase === 'done');
  expect(repair.progress?.withoutLabels).toEqual([gone]);
}, 30_000);

it('fails, and goes on with nothing, when anything that it reads again fails', async () => {
  const failure = new DataPlaneError('StorageFull', 'there is no room');
  const repair = newRepair({ rescanLabels: () => Promise.reject(failure) });
  await repair.request(ask(1));
  await until(() => rescanned.length > 0);
  expect(repair.progress?.phase).toBe('fetching');
  for (const did of [known, named, own]) await fetched(did);
  await until(() => repair.progress?.phase === 'failed');
  expect(repair.progress?.problem).toBe('there is no room');
  expect(appended).toEqual([]);
}, 30_000);

it('goes on after a restart, without asking again for what has been fetched', async () => {
  const first = newRepair({ bsync: { rescan: ({ positions }) => positions.finish('bsync of a test') } });
  await first.request(ask(1));
  await fetched(known);
  await fetched(own, 'failed');
  await until(() => labelRequests[0]?.positions.isDone('bsync of a test') && state.repairs.get()?.isRequested);
  stop.abort();
  await until(() => state.repairs.get()?.done.length === 1);
  requested = [];
  const second = newRepair();
  expect(second.progress).toMatchObject({ slot: 1, phase: 'fetching' });
  await expect(second.request(ask(0))).rejects.toMatchObject({ code: 'InvalidArgument' });
  const running = second.run();
  await until(() => labelRequests.length === 2);
  expect(requested).toEqual([own]);
  expect(labelRequests[1]!.positions.isDone('bsync of a test')).toBe(true);
  await fetched(own);
  await fetched(named);
  await running;
  expect(second.progress).toMatchObject({ phase: 'done', repos: 3, failed: 0 });
  expect(appended).toHaveLength(1);
  // Nothing is left to go on with.
  await newRepair().run();
  expect(appended).toHaveLength(1);
}, 30_000);

it('begins at the beginning after a restart when the slot has lost what it had once more', async () => {
  await newRepair().request(ask(1));
  await until(() => state.repairs.get()?.isRequested);
  stop.abort();
  for (const did of [known, named, own]) await fetched(did);
  requested = [];
  generation = 2;
  const second = newRepair();
  const running = second.run();
  for (const did of [known, named, own]) await fetched(did);
  await running;
  expect(requested.sort()).toEqual([known, named, own].sort());
  expect(second.progress?.phase).toBe('done');
}, 30_000);
