/** What a server says of messages. */
import type { JsMsg, StoredMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { expect, it } from 'vitest';
import { messageOf, received } from '../../../src/log/log-message.ts';

it('a message that is received has the same time as when it is asked for', async () => {
  // As close to the next millisecond as that a number of so many nanoseconds is rounded to it.
  const nanos = '1796082575123999950';
  const stored = { seq: 1, time: new Date('2026-11-30T23:49:35.123999950Z'), header: headers() };
  async function* messages(): AsyncGenerator<JsMsg> {
    const time = new Date(Math.floor(Number(nanos) / 1e6));
    const info = { consumer: 'one', deliverySequence: 1, pending: 0 };
    yield { seq: 1, time, timestampNanos: BigInt(nanos), data: new Uint8Array(), info } as unknown as JsMsg;
  }
  const times: number[] = [];
  for await (const { timeMs } of received(messages())) times.push(timeMs);
  expect(times).toEqual([messageOf(stored as unknown as StoredMsg)!.timeMs]);
});
