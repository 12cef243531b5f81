/** Ingest feeds no slot that lacks what it was fed before, so no cursor passes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { SlotsSeen } from '../../../src/ingest/slots-seen.ts';
import { decodeAppend, encodeOutcomes } from '../../../src/log/chunk.ts';
import { RemoteLog } from '../../../src/log/remote-log.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import type { NodeCall, NodeCaller } from '../../../src/wire/node-caller.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { nodeStatusMessage, type SlotStatus } from '../../../src/wire/node-status.ts';
import { until } from '../../support/until.ts';

const map = parseShardMap({
  epoch: 1,
  slots: 2,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0-1'] }],
});

/** A node of two slots; each append raises their cursors. */
class Node implements NodeCaller {
  cursors = [0, 0];
  condition: SlotStatus['condition'] = 'complete';
  appends = 0;
  statuses = 0;
  isUp = true;

  async call({ method, payload }: NodeCall): Promise<Uint8Array> {
    if (!this.isUp) throw new DataPlaneError('Unavailable', 'not up');
    if (method === nodeCalls.append) {
      this.appends++;
      this.cursors = this.cursors.map((cursor) => cursor + 1);
      return encodeOutcomes(decodeAppend(payload).map(() => ({ status: 'durable', batchBytes: 1_000 })));
    }
    this.statuses++;
    const slots = this.cursors.map(
      (cursor, slot): SlotStatus => ({
        slot,
        cursor,
        head: cursor,
        waiting: 0,
        outbox: 0,
        deliveredMark: null,
        lastMark: 0,
        isContinuing: false,
        sentEffects: 0,
        receivedEffects: 0,
        lagMs: null,
        bytes: 0,
        owners: 0,
        quarantined: 0,
        suspendedDids: 0,
        generation: 1,
        state: 'applying',
        condition: this.condition,
        log: null,
        role: 'primary',
        acts: true,
        behindMs: 0,
      }),
    );
    return nodeStatusMessage.encode({ role: 'node', name: 'n0', epoch: 1, pid: 1, slots });
  }
}

let folder: string;
let node: Node;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-seen-'));
  node = new Node();
});

afterEach(() => rmSync(folder, { recursive: true }));

function open(): SlotsSeen {
  return new SlotsSeen({ folder, map: () => map, caller: node, clock: systemClock });
}

const refusal = {
  code: 'ConfigInvalid',
  message: 'slots of node n0 lack what they were fed before: 0,1',
  hint: expect.stringMatching(/--begin-again 0,1, then run `skyshard repair slot <n>`/),
};

it('refuses slots that are further back than before, also after its own restart', async () => {
  node.cursors = [7, 9];
  await open().require('n0');
  node.cursors = [1, 1];
  await expect(open().require('n0')).rejects.toMatchObject(refusal);
  node.cursors = [8, 9];
  await open().require('n0');
});

it('feeds slots that know that they lack something, from where they are', async () => {
  node.cursors = [7, 9];
  await open().require('n0');
  node.cursors = [1, 1];
  node.condition = 'incomplete';
  await open().require('n0');
  node.condition = 'complete';
  await open().require('n0');
});

it('appends nothing to a node that came back empty until it begins again as told', async () => {
  const seen = open();
  const problems: string[] = [];
  const onRetry = (_node: string, { code }: DataPlaneError): void => void problems.push(code);
  const beforeCall = (name: string): Promise<void> => seen.require(name);
  await using log = new RemoteLog({ caller: node, map: () => map, lingerMs: 0, beforeCall, onRetry });
  for (let round = 0; round < 3; round++) await log.append('k', { kind: 'completed' });
  expect({ appends: node.appends, statuses: node.statuses }).toEqual({ appends: 3, statuses: 1 });
  await seen.compareAll();
  seen.noteLost('n0');
  node.cursors = [1, 1];
  let isAppended = false;
  const appended = log.append('k', { kind: 'completed' }).then(() => {
    isAppended = true;
  });
  await until(() => problems.length > 1, 10_000);
  expect(problems).toContain('ConfigInvalid');
  expect({ appends: node.appends, isAppended }).toEqual({ appends: 3, isAppended: false });
  node.condition = 'incomplete';
  await appended;
  expect(node.appends).toBe(4);
});

it('compares once for calls that begin together, and again after a failed comparison', async () => {
  const seen = open();
  await Promise.all([seen.require('n0'), seen.require('n0')]);
  expect(node.statuses).toBe(1);
  seen.noteLost('n0');
  node.isUp = false;
  await expect(seen.require('n0')).rejects.toMatchObject({ code: 'Unavailable' });
  node.isUp = true;
  await seen.require('n0');
  expect(node.statuses).toBe(2);
});

it('notices a loss without a lost connection when it compares again', async () => {
  const seen = open();
  node.cursors = [7, 9];
  await seen.compareAll();
  node.cursors = [1, 1];
  await seen.compareAll();
  await expect(seen.require('n0')).rejects.toMatchObject(refusal);
});

it('refuses a file that is not its own', () => {
  writeFileSync(join(folder, 'slots-seen.json'), '{"cursors": "many"}');
  expect(open).toThrow(/slots-seen\.json/);
});
