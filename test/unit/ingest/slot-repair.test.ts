/** A repair fetches again what the rows of all slots name, then makes the slot complete. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import type { Entry } from '../../../src/entry/entry.ts';
import { SlotRepair } from '../../../src/ingest/slot-repair.ts';
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
const folder = mkdtempSync(join(tmpdir(), 'skyshard-repair-'));
let state: IngestState;

beforeAll(() => {
  state = new IngestState(folder, 2 ** 28);
});
afterAll(async () => {
  await state[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function didIn(slot: number, from: number): string {
  for (let number = from; ; number++) {
    const did = `did:web:n${number}.example`;
    if (slotOf(did, slots) === slot) return did;
  }
}

const [known, named, own] = [didIn(1, 0), didIn(1, 100), didIn(1, 200)];

function statusOf(slot: number, condition: 'complete' | 'incomplete'): Uint8Array {
  const counts = { cursor: 1, head: 1, waiting: 0, outbox: 0, lastMark: 0, sentEffects: 0, receivedEffects: 0 };
  const rest = { bytes: 0, owners: 1, quarantined: 0, suspendedDids: 0, state: 'applying', condition } as const;
  const status = { slot, ...counts, ...rest, deliveredMark: null, isContinuing: false, lagMs: null };
  return nodeStatusMessage.encode({ role: 'node', name: 'n', epoch: 1, pid: 1, slots: [status] });
}

async function call({ node, method, payload }: NodeCall): Promise<Uint8Array> {
  if (method === nodeCalls.status) return node === 'n1' ? statusOf(1, 'incomplete') : statusOf(0, 'complete');
  const { of, from } = didsOfSlotRequest.decode(payload);
  expect(of).toBe(1);
  if (node === 'n1') return didsOfSlotAnswer.encode({ dids: [own], next: null });
  const next = from.after === '' ? { slot: 0, after: 'aa' } : null;
  return didsOfSlotAnswer.encode({ dids: next === null ? [named] : [], next });
}

it('asks for repos that ingest, the slot or others know, and ends when each has an outcome', async () => {
  await state.fetches.request([{ did: known, host: null, revMin: '', urgency: 'now' }], 0);
  await state.fetches.request([{ did: didIn(0, 0), host: null, revMin: '', urgency: 'now' }], 0);
  const appended: [string, Entry][] = [];
  const refreshed: string[] = [];
  const rescanned: string[] = [];
  const stop = new AbortController();
  const repair = new SlotRepair({
    caller: { call },
    map: () => map,
    appender: {
      append: async (key: string, entry: Entry) => void appended.push([key, entry]),
    } as unknown as LogAppender,
    state,
    backfill: {
      requestRepos: async (dids) =>
        void (await state.fetches.request(
          dids.map((did) => ({ did, host: null, revMin: '', urgency: 'now' as const })),
          0,
        )),
    },
    identities: { refresh: async (did) => void refreshed.push(did) },
    bsync: { rescan: async (isWanted) => void rescanned.push(...[known, didIn(0, 0)].filter(isWanted)) },
    rescanLabels: async (isWanted) => [known, didIn(0, 0)].filter(isWanted).map((did) => `labeler of ${did}`),
    clock: systemClock,
    random: seededRandom(1),
    signal: stop.signal,
  });
  await expect(repair.request(0, false)).rejects.toMatchObject({ code: 'InvalidArgument' });
  expect(await repair.request(1, true)).toMatchObject({ repos: 3 });
  expect(repair.progress).toBe(null);
  await repair.request(1, false);
  await until(() => repair.progress?.phase === 'fetching' && refreshed.length === 3);
  expect(refreshed.sort()).toEqual([known, named, own].sort());
  await until(() => rescanned.length > 0);
  expect(rescanned).toEqual([known]);
  await state.fetches.storeOutcome(known, (row) => ({ ...row, state: 'done' }));
  await state.fetches.storeOutcome(own, (row) => ({ ...row, state: 'failed' }));
  await until(() => repair.progress?.left === 1);
  expect(appended).toEqual([]);
  await state.fetches.storeOutcome(named, (row) => ({ ...row, state: 'gone' }));
  await until(() => repair.progress?.phase === 'done');
  expect(repair.progress).toMatchObject({ repos: 3, left: 0, failed: 1 });
  expect(repair.progress?.problem).toBe(`labels were not all read again of labeler of ${known}`);
  expect(appended).toEqual([[expect.any(String), { kind: 'completed' }]]);
  expect(slotOf(appended[0]![0], slots)).toBe(1);
}, 30_000);
