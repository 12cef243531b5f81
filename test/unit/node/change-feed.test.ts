/** A serving thread knows of each counted commit before it reads, whatever else waits there. */
import { MessageChannel } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { ChangeInlet, changePoster, sharedCounts } from '../../../src/node/change-feed.ts';
import type { SlotChanges } from '../../../src/slot/table/slot-state.ts';

const changesOf = (owner: number): SlotChanges => ({
  owners: [owner],
  records: null,
  becameIncomplete: false,
  areFilesReplaced: false,
});

function feeds(count: number) {
  const counts = sharedCounts();
  const channels = Array.from({ length: count }, () => new MessageChannel());
  const taken: string[] = [];
  const inlet = new ChangeInlet({ ports: channels.map(({ port2 }) => port2), counts }, (slot, { owners }) =>
    taken.push(`${slot}: ${owners}`),
  );
  const post = channels.map(({ port1 }) => changePoster({ ports: [port1], counts }));
  return { inlet, post, taken, [Symbol.dispose]: () => inlet.close() };
}

it('takes what was posted without going back to the event loop, each change once, in order', () => {
  using feed = feeds(2);
  feed.post[0]!(1, changesOf(10));
  feed.post[1]!(2, changesOf(20));
  feed.post[0]!(1, changesOf(11));
  feed.inlet.catchUp();
  expect(feed.taken).toEqual(['1: 10', '1: 11', '2: 20']);
  feed.inlet.catchUp();
  expect(feed.taken).toHaveLength(3);
});

it('takes what comes while nobody asks', async () => {
  using feed = feeds(1);
  feed.post[0]!(1, changesOf(10));
  for (let turn = 0; turn < 1_000 && feed.taken.length === 0; turn++)
    await new Promise((resolve) => setImmediate(resolve));
  expect(feed.taken).toEqual(['1: 10']);
  feed.inlet.catchUp();
  expect(feed.taken).toHaveLength(1);
});
