/** What a running node cannot apply, as an operator sees it and decides about it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import {
  runQuarantineDrop,
  runQuarantineList,
  runQuarantineRetry,
  runQuarantineShow,
} from '../../src/cli/command/quarantine.ts';
import { runStatus } from '../../src/cli/command/status.ts';
import type { Command, CommandContext } from '../../src/cli/command.ts';
import type { CommandName } from '../../src/config/command-names.ts';
import { type GivenFlags, resolveSettings } from '../../src/config/settings.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { decodeOutcomes, encodeAppend } from '../../src/log/chunk.ts';
import { type RunningRouter, startRouter } from '../../src/router/router-server.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import { originOf } from '../support/effect-origin.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { noIdentitySource } from '../support/no-identities.ts';
import { recordOp } from '../support/record-op.ts';
import { bytesOfChunk } from '../support/slot-cluster.ts';
import { until } from '../support/until.ts';

const slots = 2;
const startMs = Date.UTC(2025, 0, 1);
let node: LoneNode;
let router: RunningRouter;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-quarantine-'));
  node = await startLoneNode({ slots, applyThreads: 1 });
  router = await startRouter({
    map: node.map,
    caller: node.client,
    identity: noIdentitySource,
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
    http2Port: null,
    adminToken: null,
    onFault: (error) => expect.fail(error.message),
  });
});

afterAll(async () => {
  await router[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Returns DIDs of slot 0. */
function didsOf(count: number, name: string): string[] {
  const dids: string[] = [];
  for (let number = 0; dids.length < count; number++) {
    const did = `did:web:${name}-${number}.example`;
    if (slotOf(did, slots) === 0) dids.push(did);
  }
  return dids;
}

/** A commit whose block is none, as only a defect of ours would let through. */
function brokenCommit(did: string, rev: string): CommitEntry {
  const op = recordOp({ collection: 'app.bsky.feed.post', rkey: rev }, { text: rev });
  return { kind: 'commit', did, rev, since: null, eventMs: startMs, ops: [{ ...op, block: Buffer.of(255) }] };
}

function goodCommit(did: string, rev: string): CommitEntry {
  const ops = [recordOp({ collection: 'app.bsky.feed.post', rkey: rev }, { text: rev })];
  return { kind: 'commit', did, rev, since: null, eventMs: startMs, ops };
}

async function append(...entries: CommitEntry[]): Promise<string> {
  const chunk = bytesOfChunk({ slot: 0, origin: null, items: entries.map((entry) => encodeEntry(entry)), marks: [] });
  const call = { node: 'n0', method: nodeCalls.append, payload: encodeAppend([chunk]), timeoutMs: 20_000 };
  const [outcome] = decodeOutcomes(await node.client.call(call), 1);
  return outcome!.status === 'refused' ? outcome!.code : outcome!.status;
}

async function run(name: CommandName, command: Command, flags: GivenFlags, ...operands: string[]): Promise<string> {
  const given = { ...flags, routerUrl: `http://127.0.0.1:${router.port}`, dataDir: folder };
  const resolved = resolveSettings(name, given, {});
  let printed = '';
  const context = {
    settings: resolved.settings,
    resolved,
    operands,
    environment: {},
    clock: systemClock,
    print: (text: string) => {
      printed += text;
    },
  } as unknown as CommandContext;
  expect(await command(context)).toBe(0);
  return printed;
}

const list = async (): Promise<{ entries: { seq: number; did: string }[]; dids: object[]; stoppedMs: number }> => {
  const slotsListed = JSON.parse(await run('quarantine list', runQuarantineList, { json: true })) as never[];
  return slotsListed[0] ?? { entries: [], dids: [], stoppedMs: 0 };
};

describe('entries that a node cannot apply', () => {
  it('are listed, shown, tried again and dropped, and the node goes on', async () => {
    const [poisoned, other] = didsOf(2, 'a') as [string, string];
    expect(await append(brokenCommit(poisoned, 'r1'), goodCommit(other, 'r1'))).toBe('durable');
    const { entries } = await list();
    expect(entries).toMatchObject([{ slot: 0, kind: 'commit', did: poisoned }]);
    const name = `0/${entries[0]!.seq}`;
    const said = node.notes.filter((note) => note.includes('is in quarantine'));
    expect(said).toEqual([
      expect.stringMatching(`"slot":0,"seq":${entries[0]!.seq},"kind":"commit","did":"${poisoned}"`),
    ]);
    expect(await run('quarantine list', runQuarantineList, {})).toContain(name);
    const shown = await run('quarantine show', runQuarantineShow, {}, name);
    expect(shown).toContain('the block of an op holds a record');
    // The places of these are said too, unless the node runs from a bundle.
    expect(shown).toMatch(/^invariant.*\nrecordOf.*\napplyRepoOp/m);
    expect(await run('quarantine retry', runQuarantineRetry, { dryRun: true }, name)).toContain('would retry');
    expect(await run('quarantine retry', runQuarantineRetry, {}, name)).toContain('failed again');
    expect(await run('status', runStatus, {})).toContain('aside');
    const metrics = await node.registry.metrics();
    expect(metrics).toContain('skyshard_quarantined_entries 1');
    expect(metrics).toMatch(/skyshard_quarantine_total\{kind="commit",reason="InvariantError"\} 1/);
    expect(await run('quarantine drop', runQuarantineDrop, { did: poisoned })).toContain('dropped');
    expect(await run('quarantine list', runQuarantineList, {})).toBe('nothing is in quarantine\n');
  });

  it('of many accounts stop the slot, which says so and goes on when told', async () => {
    const dids = didsOf(21, 'b');
    expect(await append(...dids.map((did) => brokenCommit(did, 'r1')))).toBe('durable');
    expect((await list()).stoppedMs).toBeGreaterThan(0);
    expect(await append(goodCommit(dids[0]!, 'r2'))).toBe('ApplyStopped');
    expect(await node.registry.metrics()).toContain('skyshard_slots_stopped 1');
    expect(await run('quarantine list', runQuarantineList, {})).toContain('skyshard quarantine retry --slot 0');
    await run('quarantine drop', runQuarantineDrop, { slot: '0' });
    await run('quarantine drop', runQuarantineDrop, { all: true });
    expect(await list()).toMatchObject({ entries: [], stoppedMs: 0 });
    expect(await append(goodCommit(dids[0]!, 'r2'))).toBe('durable');
  });

  it('that are effects and are dropped are asked for again from their source', async () => {
    const did = 'did:web:claimant.example';
    const effect = { type: 'handle-claim', handle: 'x'.repeat(3_000), did, verifiedAtMs: 1, present: true } as const;
    const chunk = bytesOfChunk({
      slot: 0,
      origin: originOf({ index: 1, generation: 1, session: 0, slots }, 0),
      items: [encodeEntry({ kind: 'effect', effect }).subarray(2)],
      marks: [1],
    });
    const ask = (method: string, payload: Uint8Array): Promise<Uint8Array> =>
      node.client.call({ node: 'n0', method, payload, timeoutMs: 20_000 });
    expect(decodeOutcomes(await ask(nodeCalls.append, encodeAppend([chunk])), 1)).toMatchObject([
      { status: 'durable' },
    ]);
    expect((await list()).entries).toMatchObject([{ kind: 'handle-claim', did, fromSlot: 1 }]);
    // Slot 1 owes nothing: what it sends is a bracket, of which its log says, and no count.
    const applied = async (): Promise<number> =>
      nodeStatusMessage.decode(await ask(nodeCalls.status, Buffer.alloc(0))).slots[1]!.cursor;
    const before = await applied();
    expect(await run('quarantine drop', runQuarantineDrop, { all: true })).toContain('slot 1 sends slot 0 again');
    await until(async () => (await applied()) >= before + 2);
    expect((await list()).entries).toEqual([]);
  });

  it('are named as they are listed', async () => {
    await expect(run('quarantine show', runQuarantineShow, {}, 'nonsense')).rejects.toThrow(/is not <slot>\/<seq>/);
    await expect(run('quarantine show', runQuarantineShow, {}, '0/999')).rejects.toThrow(/keeps no entry/);
    await expect(run('quarantine drop', runQuarantineDrop, {})).rejects.toThrow(/give one of/);
  });
});
