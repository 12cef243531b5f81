/** Calls given to another serving thread are answered, whether that one closes or hangs. */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { grpcStatus } from '../../../src/base/data-plane-error.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { CallExchange, exchangeEnds } from '../../../src/node/call-exchange.ts';
import { answerReply, type RpcReply } from '../../../src/router/edge/rpc-protocol.ts';
import type { ChildMethod, ExchangeChildData } from '../../support/exchange-child.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { until } from '../../support/until.ts';

const timeoutMs = 5_000;

let child: Worker;
let clock: ManualClock;
let exchange: CallExchange;
const hang = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

beforeEach(() => {
  const [own, ends] = exchangeEnds(2);
  const workerData: ExchangeChildData = { ends: ends!, hang };
  child = new Worker(new URL('../../support/exchange-child.ts', import.meta.url), {
    workerData,
    transferList: [ends!.ports[0]!],
  });
  clock = new ManualClock();
  exchange = new CallExchange({
    ends: own!,
    answer: async ({ protocol, method }) => answerReply(protocol, method, Buffer.from('own')),
    timeoutMsOf: () => timeoutMs,
    random: seededRandom(1),
    clock,
  });
});

afterEach(async () => {
  Atomics.notify(hang, 0);
  exchange[Symbol.dispose]();
  await child.terminate();
});

/** Keeps this thread busy for a turn of its event loop, in which timers run. */
async function busyTurn(): Promise<void> {
  for (const endMs = performance.now() + 20; performance.now() < endMs; );
  await setImmediate();
}

type Asked = { readonly reply: Promise<RpcReply>; readonly isGiven: boolean };

function ask(method: ChildMethod): Asked {
  const before = exchange.waiting;
  const plain = { timeoutHeader: '', caller: '', isCompressed: false, trace: null } as const;
  const head = { protocol: 'grpc', method, ...plain } as const;
  const reply = Promise.resolve(exchange.answer(head, Buffer.from('request')));
  return { reply, isGiven: exchange.waiting > before };
}

/** Asks until the child has a call. */
async function give(method: ChildMethod): Promise<Asked> {
  return await until(async () => {
    await busyTurn();
    const asked = ask(method);
    return asked.isGiven ? asked : null;
  });
}

/** Asks for several of the intervals in which threads publish how busy they are. */
async function givenOfMany(): Promise<number> {
  let given = 0;
  for (let turn = 0; turn < 25; turn++) {
    await busyTurn();
    if (ask('Answer').isGiven) given++;
  }
  return given;
}

async function tell(message: 'stop' | 'dispose'): Promise<void> {
  const done = once(child, 'message');
  child.postMessage(message);
  await done;
}

it('gives calls away while this thread is busy and another is not', async () => {
  const { reply } = await give('Answer');
  expect((await reply).body.toString()).toContain('child');
  expect(await givenOfMany()).toBeGreaterThan(0);
});

it('ends the calls of a thread that hangs, some time after their deadline', async () => {
  const { reply } = await give('Hang');
  clock.advance(2 * timeoutMs);
  await until(() => exchange.waiting === 0);
  expect((await reply).grpc!.status).toBe(grpcStatus.deadlineExceeded);
});

it('answers the calls of a thread that ends before it has answered', async () => {
  const { reply } = await give('Keep');
  await tell('dispose');
  await until(() => exchange.waiting === 0);
  expect((await reply).grpc!.status).toBe(grpcStatus.unavailable);
});

it('gives no calls to a thread that closes', async () => {
  await give('Answer');
  await tell('stop');
  expect(await givenOfMany()).toBe(0);
});

it('gives no calls while it closes, and waits for those that were given', async () => {
  const { reply } = await give('Answer');
  exchange.stop();
  expect(await givenOfMany()).toBe(0);
  expect((await reply).body.toString()).toContain('child');
  expect(exchange.waiting).toBe(0);
});
