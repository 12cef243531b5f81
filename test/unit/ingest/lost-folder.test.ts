/** Ingest whose folder is lost says so, instead of following its sources from now on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { requireOwnFolder, requireSameCluster } from '../../../src/ingest/lost-folder.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import type { NodeCaller } from '../../../src/wire/node-caller.ts';
import { nodeStatusMessage } from '../../../src/wire/node-status.ts';

const folder = mkdtempSync(join(tmpdir(), 'skyshard-lost-'));
afterAll(() => rmSync(folder, { recursive: true }));

const map = parseShardMap({
  epoch: 1,
  slots: 1,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
});

const slot = {
  slot: 0,
  cursor: 1,
  head: 1,
  waiting: 0,
  outbox: 0,
  deliveredMark: null,
  lastMark: 0,
  isContinuing: false,
  sentEffects: 0,
  receivedEffects: 0,
  lagMs: null,
  bytes: 0,
  quarantined: 0,
  suspendedDids: 0,
  generation: 1,
  state: 'applying',
  condition: 'complete',
  log: null,
} as const;

/** Fails a number of calls, then answers with the status of a slot of so many owners. */
class Node implements NodeCaller {
  calls = 0;
  readonly #owners: number;
  readonly #failures: number;

  constructor(owners: number, failures = 0) {
    this.#owners = owners;
    this.#failures = failures;
  }

  async call(): Promise<Uint8Array> {
    if (this.calls++ < this.#failures) throw new DataPlaneError('Unavailable', 'not up yet');
    const status = { role: 'node', name: 'n0', epoch: 1, pid: 1 } as const;
    return nodeStatusMessage.encode({ ...status, slots: [{ ...slot, owners: this.#owners }] });
  }
}

function check(caller: NodeCaller, path = folder): Promise<void> {
  return requireOwnFolder({ folder: path, map: () => map, caller, clock: systemClock, note: () => {} });
}

it('refuses a new folder while slots hold data, naming the ways on', async () => {
  await expect(check(new Node(7))).rejects.toMatchObject({
    code: 'ConfigInvalid',
    message: expect.stringContaining('is new, but the slots of node n0 hold data'),
    hint: expect.stringMatching(/--cursor.*--begin-again ingest/),
  });
});

it('waits for a node that is not up yet, and begins in a new cluster', async () => {
  const node = new Node(0, 2);
  await check(node);
  expect(node.calls).toBe(3);
});

it('asks nobody when the folder is there', async () => {
  const path = mkdtempSync(join(folder, 'state-'));
  writeFileSync(join(path, 'data.mdb'), '');
  const node = new Node(7);
  await check(node, path);
  expect(node.calls).toBe(0);
});

it('takes the name of its cluster, and is refused for a cluster of another name', () => {
  const path = join(folder, 'named');
  requireSameCluster(path, '');
  requireSameCluster(path, 'a');
  requireSameCluster(path, 'a');
  for (const other of ['b', '']) {
    expect(() => requireSameCluster(path, other)).toThrow(/is of the cluster "a", and the map names/);
  }
});
