/** Whom a replica asks for copies, when its log refuses to go on from what it was given. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { CopyThreads } from '../../../src/node/copy-task.ts';
import { ReplicaRebuilds } from '../../../src/node/replica-rebuilds.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { environmentFiles } from '../../../src/storage/environment.ts';
import { logPositionsAnswer } from '../../../src/wire/log-positions.ts';
import type { NodeCall } from '../../../src/wire/node-caller.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { type SnapshotManifest, snapshotAnswer, snapshotPartRequest } from '../../../src/wire/slot-snapshot.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { until } from '../../support/until.ts';

const address = { host: '127.0.0.1', port: 1 };
const map = parseShardMap({
  epoch: 1,
  slots: 2,
  nodes: { a: address, b: address, c: address },
  shards: [{ name: 's0', primary: 'a', replicas: ['b', 'c'], slots: ['0-1'] }],
});
const slotMapBytes = 2 ** 28;

const copyThreads = new CopyThreads();
let folder: string;
/** Of the slot that both other nodes have. */
let manifest: SnapshotManifest;

beforeEach(async () => {
  folder = makeMemoryFolder('skyshard-rebuilds-');
  const path = join(folder, 'slot');
  const opening = { session: 1, generation: 1, condition: 'complete', cluster: '' } as const;
  {
    await using slot = Slot.open({ index: 0, slots: 2, path, mapBytes: slotMapBytes, opening });
    slot.run([], 1);
  }
  const task = { from: path, folder: join(folder, 'copy'), slot: 0, mapBytes: slotMapBytes, fileDigest: null };
  manifest = await copyThreads.run(task, new AbortController().signal);
});
afterEach(() => rmSync(folder, { recursive: true }));
afterAll(() => copyThreads[Symbol.asyncDispose]());

type Rebuilding = { readonly rebuilds: ReplicaRebuilds; readonly sources: string[]; readonly notes: string[] };

/** A replica that two nodes answer. */
function rebuilding(clock: Clock): Rebuilding {
  const file = readFileSync(join(folder, 'copy', environmentFiles.data));
  const sources: string[] = [];
  const call = async ({ node, method, payload }: NodeCall): Promise<Uint8Array> => {
    if (method === nodeCalls.logPositions) return logPositionsAnswer.encode({ positions: [] });
    if (method === nodeCalls.snapshotEnd) return Buffer.alloc(0);
    if (method === nodeCalls.snapshotPart) {
      const { offset, bytes } = snapshotPartRequest.decode(payload);
      return file.subarray(offset, offset + bytes);
    }
    sources.push(node);
    return snapshotAnswer.encode({ id: 'one', manifest });
  };
  const notes: string[] = [];
  const rebuilds = new ReplicaRebuilds({
    name: 'c',
    dataDir: folder,
    slotMapBytes,
    caller: { call },
    copyThreads,
    map: () => map,
    onCopied: () => {},
    note: (message) => void notes.push(message),
    clock,
  });
  return { rebuilds, sources, notes };
}

it('a copy that its log refuses is not asked of the same node for ever', async () => {
  const { rebuilds, sources, notes } = rebuilding(systemClock);
  await using _ended = rebuilds;
  for (const expected of [['b'], ['b', 'a'], ['b', 'a', 'b']]) {
    rebuilds.add(0);
    await until(() => rebuilds.copied.length > 0).catch(() => expect(notes).toEqual([]));
    expect(sources).toEqual(expected);
    // In its place, where its log refuses it as it did what was there before.
    rebuilds.installed(0);
  }
});

it('a slot that comes and goes by moves is copied at once each time', async () => {
  // What waits as after a failure waits until the end.
  const forEver = (signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    ms >= 250 ? forEver(signal) : systemClock.sleep(ms, signal);
  const { rebuilds, sources } = rebuilding({ ...systemClock, sleep });
  await using _ended = rebuilds;
  for (let times = 0; times < 3; times++) {
    rebuilds.add(0);
    await until(() => rebuilds.copied.length > 0);
    await rebuilds.leave([0]);
  }
  expect(sources).toEqual(['b', 'b', 'b']);
});
