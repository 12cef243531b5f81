/** A serving thread that does nothing but answer calls that another gives it. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { CallExchange, type ExchangeEnds } from '../../src/node/call-exchange.ts';
import type { RpcHead } from '../../src/router/edge/rpc-endpoint.ts';
import { answerReply, type RpcReply } from '../../src/router/edge/rpc-protocol.ts';

export type ExchangeChildData = {
  readonly ends: ExchangeEnds;
  /** Ends the thread's hang by a notification. */
  readonly hang: Int32Array;
};

/** What the child does with a call. */
export type ChildMethod = 'Answer' | 'Keep' | 'Hang';

const { ends, hang } = workerData as ExchangeChildData;
const answer = async ({ protocol, method }: RpcHead): Promise<RpcReply> => {
  if (method === ('Hang' satisfies ChildMethod)) Atomics.wait(hang, 0, 0);
  if (method === ('Keep' satisfies ChildMethod)) await new Promise(() => {});
  return answerReply(protocol, method, Buffer.from('child'));
};
const exchange = new CallExchange({
  ends,
  answer,
  timeoutMsOf: () => 0,
  random: seededRandom(1),
  clock: systemClock,
});
parentPort!.on('message', (message: 'stop' | 'dispose') => {
  if (message === 'stop') exchange.stop();
  else exchange[Symbol.dispose]();
  parentPort!.postMessage(message);
});
