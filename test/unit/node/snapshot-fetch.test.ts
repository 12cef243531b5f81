/** Copies of slots that are not needed any more, while the node that has them hangs. */
import { existsSync, rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { CopyThreads } from '../../../src/node/copy-task.ts';
import { ReplicaRebuilds } from '../../../src/node/replica-rebuilds.ts';
import { fetchingPath } from '../../../src/node/snapshot-fetch.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { metaVersion } from '../../../src/slot/slot-meta.ts';
import { logPositionsAnswer } from '../../../src/wire/log-positions.ts';
import type { NodeCall } from '../../../src/wire/node-caller.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { snapshotAnswer, snapshotFormat } from '../../../src/wire/slot-snapshot.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { until } from '../../support/until.ts';

const address = { host: '127.0.0.1', port: 1 };
const map = parseShardMap({
  epoch: 1,
  slots: 2,
  nodes: { a: address, b: address },
  shards: [{ name: 's0', primary: 'a', replicas: ['b'], slots: ['0-1'] }],
});
const manifest = {
  format: snapshotFormat,
  rows: metaVersion,
  cluster: '',
  slot: 0,
  slots: 2,
  generation: 1,
  seq: 1,
  bytes: 10,
  fileDigest: '0'.repeat(64),
  stateDigest: '0'.repeat(64),
};

it.each([nodeCalls.logPositions, nodeCalls.snapshot, nodeCalls.snapshotPart])(
  'a slot is given up though its source never answers %s',
  async (hanging) => {
    const dataDir = makeMemoryFolder('skyshard-fetch-');
    await using copyThreads = new CopyThreads();
    const asked: string[] = [];
    const call = ({ method }: NodeCall): Promise<Uint8Array> => {
      asked.push(method);
      if (method === hanging || method === nodeCalls.snapshotEnd) return new Promise(() => {});
      if (method === nodeCalls.logPositions) return Promise.resolve(logPositionsAnswer.encode({ positions: [] }));
      return Promise.resolve(snapshotAnswer.encode({ id: 'one', manifest }));
    };
    const rebuilds = new ReplicaRebuilds({
      name: 'b',
      dataDir,
      slotMapBytes: 2 ** 24,
      caller: { call },
      copyThreads,
      map: () => map,
      onCopied: () => {},
      note: () => {},
      clock: systemClock,
    });
    try {
      rebuilds.add(0);
      await until(() => asked.includes(hanging), 10_000);
      await rebuilds.leave([0]);
      expect(rebuilds.progress).toEqual([]);
      expect(existsSync(fetchingPath(dataDir, 0))).toBe(false);
      // A node that only seemed to hang removes what it made.
      expect(asked.includes(nodeCalls.snapshotEnd)).toBe(hanging === nodeCalls.snapshotPart);
    } finally {
      await rebuilds[Symbol.asyncDispose]();
      rmSync(dataDir, { recursive: true });
    }
  },
);
