/** The control calls of a running node: status, digest, repos to resync, and private writes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import { reposToResyncAnswer, reposToResyncRequest } from '../../src/wire/repos-to-resync.ts';
import { digestAnswer, digestRequest } from '../../src/wire/slot-digest.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const slots = 4;
const slot = slotOf(did, slots);

let node: LoneNode;

beforeAll(async () => {
  node = await startLoneNode({ slots, applyThreads: 2 });
});

afterAll(() => node[Symbol.asyncDispose]());

const nothing = Buffer.alloc(0);
const ask = (method: string, payload: Uint8Array): Promise<Uint8Array> =>
  node.client.call({ node: 'n0', method, payload, timeoutMs: 10_000 });

it('slot.write answers once its private entry is applied', async () => {
  const digestOf = async () => digestAnswer.decode(await ask(nodeCalls.digest, digestRequest.encode({ slot })));
  const before = await digestOf();
  const takedown = encodeEntry({ kind: 'private', did, write: { type: 'actor-takedown', ref: 'ref-1' } });
  expect((await ask(nodeCalls.write, takedown)).length).toBe(0);
  const after = await digestOf();
  expect(after).toMatchObject({ slot, seq: before.seq + 1 });
  expect(after.digest).not.toBe(before.digest);
  const status = nodeStatusMessage.decode(await ask(nodeCalls.status, nothing));
  expect(status).toMatchObject({ role: 'node', name: 'n0', epoch: 1, pid: process.pid });
  expect(status.slots.map(({ slot: index }) => index)).toEqual([0, 1, 2, 3]);
  expect(status.slots[slot]).toMatchObject({ cursor: after.seq, head: after.seq, waiting: 0, state: 'applying' });
  const first = reposToResyncRequest.encode({ slot: 0, after: '' });
  expect(reposToResyncAnswer.decode(await ask(nodeCalls.reposToResync, first))).toEqual({ dids: [], next: null });
});

it('other entries, malformed bytes and slots of other nodes are refused', async () => {
  const delivered = encodeEntry({ kind: 'delivered', target: 1, mark: 1 });
  await expect(ask(nodeCalls.write, delivered)).rejects.toMatchObject({ code: 'InvalidArgument' });
  await expect(ask(nodeCalls.write, Buffer.from([255, 255]))).rejects.toMatchObject({ code: 'Unavailable' });
  await expect(ask(nodeCalls.digest, Buffer.from([0x81]))).rejects.toMatchObject({ code: 'Internal' });
  const elsewhere = digestRequest.encode({ slot: slots });
  await expect(ask(nodeCalls.digest, elsewhere)).rejects.toMatchObject({ code: 'WrongEpoch' });
});
