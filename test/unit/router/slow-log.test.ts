/** What a router notes and keeps of requests that took long. */
import { describe, expect, it } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { encodeMessage } from '../../../src/proto/codec.ts';
import { defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import { SlowLog } from '../../../src/router/slow-log.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import type { NodeCall, NodeCaller } from '../../../src/wire/node-caller.ts';
import { didOf } from '../../support/fake-nodes.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { noIdentitySource } from '../../support/no-identities.ts';

const address = { host: '127.0.0.1', port: 0 };
const map = parseShardMap({
  epoch: 1,
  slots: 2,
  nodes: { a: address, b: address },
  shards: [
    { name: 's', primary: 'a', slots: ['0'] },
    { name: 't', primary: 'b', slots: ['1'] },
  ],
});
const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', parentId: '00f067aa0ba902b7', isSampled: true };
const dids = Array.from({ length: 40 }, (_unused, index) => didOf(index));
const getActors = encodeMessage('GetActorsRequest', { dids });

type Noted = { readonly message: string; readonly fields: Record<string, unknown> };

/** Makes a router whose nodes take this many ms, one after the other; a number below 0 fails. */
function routerOf(tookMsByNode: Readonly<Record<string, number>>, isAtOnce = false) {
  const clock = new ManualClock();
  const noted: Noted[] = [];
  const calls: NodeCall[] = [];
  const slow = new SlowLog((message, fields) => noted.push({ message, fields }), clock);
  let before: Promise<unknown> = Promise.resolve();
  const caller: NodeCaller = {
    call: (call) => {
      calls.push(call);
      const tookMs = tookMsByNode[call.node]!;
      if (isAtOnce) {
        clock.advance(tookMs);
        return Buffer.alloc(0);
      }
      const answer = before.then(() => {
        clock.advance(Math.abs(tookMs));
        if (tookMs < 0) throw new DataPlaneError('Internal', 'a secret of a record');
        return Buffer.alloc(0);
      });
      before = answer.catch(() => {});
      return answer;
    },
  };
  const router = new ServiceRouter({
    map,
    caller,
    identity: noIdentitySource,
    plans: planByMethod,
    admission: defaultAdmissionLimits,
    clock,
    onSlow: (request) => slow.add(request),
    slowMs: 1_000,
    onFault: (error) => {
      throw error;
    },
  });
  return { router, noted, calls, clock, slow };
}

const context = { caller: 'appview', timeoutMs: null, trace };

describe('a request that took long', () => {
  it('is noted with its plan, the nodes that it asked, the time of each step, and its trace', async () => {
    const { router, noted, calls, slow } = routerOf({ a: 700, b: 500 });
    await router.handle('GetActors', getActors, context);
    expect(noted).toEqual([
      {
        message: 'GetActors took 1200 ms',
        fields: {
          request: expect.stringMatching(/^[\w-]{8}\.[a-z\d]+$/),
          trace: trace.traceId,
          caller: 'appview',
          plan: 'GetActors',
          items: 40,
          steps: 'b bsky.GetActors at 0 took 1200; a bsky.GetActors at 0 took 700',
        },
      },
    ]);
    expect(calls.map((call) => [call.node, call.trace])).toEqual([
      ['a', trace],
      ['b', trace],
    ]);
    expect(slow.slowest).toMatchObject([
      { method: 'GetActors', durationMs: 1_200, steps: [{ node: 'a' }, { node: 'b' }] },
    ]);
  });

  it('and failed says by which code, and nothing of what was asked', async () => {
    const { router, noted } = routerOf({ a: -1_500, b: 0 });
    await expect(router.handle('GetActors', getActors, context)).rejects.toThrow('a secret');
    expect(noted[0]!.fields).toMatchObject({ code: 'Internal' });
    expect(JSON.stringify(noted)).not.toMatch(/secret|did:/);
  });

  it('in this process alone has no steps', async () => {
    const { router, noted } = routerOf({ a: 600, b: 600 }, true);
    await router.handle('GetActors', getActors, { ...context, trace: null });
    expect(noted[0]!.fields).toMatchObject({ steps: 'none but here' });
    expect(noted[0]!.fields).not.toHaveProperty('trace');
  });

  it('is told from one that did not', async () => {
    const { router, noted, calls } = routerOf({ a: 400, b: 500 });
    await router.handle('GetActors', getActors, context);
    expect([calls.length, noted.length]).toEqual([2, 0]);
  });
});

it('few are noted a second; the slowest of the last minutes are kept', async () => {
  const { router, noted, clock, slow } = routerOf({ a: 0, b: 0 });
  const slowly = async (ms: number): Promise<void> => {
    const { router: slower, slow: log } = routerOf({ a: ms, b: 0 });
    await slower.handle('GetActors', getActors, context);
    expect(log.slowest.length).toBe(1);
  };
  await slowly(2_000);
  await router.handle('GetActors', getActors, context);
  expect(noted).toEqual([]);
  const run = { trace: null, items: 1, waitedMs: 0, isShared: false, steps: [], startMs: 0, left: 0 } as never;
  for (let index = 0; index < 150; index++) {
    slow.add({ method: 'Ping', caller: '', code: null, durationMs: 1_000 + index, run });
  }
  expect(noted.length).toBe(5);
  expect(slow.slowest.length).toBe(100);
  expect(slow.slowest[0]!.durationMs).toBe(1_149);
  clock.advance(1_000);
  slow.add({ method: 'Ping', caller: '', code: null, durationMs: 5_000, run });
  expect(noted.at(-1)!.fields).toMatchObject({ slowNotNoted: 145 });
  clock.advance(601_000);
  expect(slow.slowest).toEqual([]);
});
