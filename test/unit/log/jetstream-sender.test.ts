/** What counts as appended by a process that may not know yet that slots are doubled. */
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { encodeEntryChunk } from '../../../src/log/chunk.ts';
import { JetStreamSender } from '../../../src/log/jetstream-sender.ts';
import { LogSession } from '../../../src/log/log-session.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';
import { beginDoubling } from '../../../src/shardmap/slot-doubling.ts';
import { NatsServer } from '../../support/nats-server.ts';
import { stopAfterEach } from '../../support/stop-after-each.ts';
import { until } from '../../support/until.ts';

const testMsMax = 120_000;
const json = {
  epoch: 1,
  slots: 8,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0-7'] }],
};
const before = parseShardMap(json);
const doubled = parseShardMap(beginDoubling(json, before));
/** Of one stream. */
const [parent, other, child] = [1, 5, 9];

const resources = stopAfterEach();

/** A sender with a map, and the streams that nodes have made, with logs of the slots of before. */
async function start(): Promise<{ session: LogSession; sender: JetStreamSender; use(map: ShardMap): void }> {
  const server = await NatsServer.start();
  resources.use(server);
  const at = { urls: [server.url], credentialsFile: null };
  const streams = { bytesMax: 2 ** 26, copies: 1 };
  const session = await LogSession.open({ ...at, streams }, server.url, before);
  resources.defer(() => session.close());
  for (const slot of [parent, other]) await session.publish(slot, Buffer.from('first'), { isFirst: true });
  let map = before;
  const options = { map: () => map, clock: systemClock, random: seededRandom(1), note: () => {} };
  const sender = new JetStreamSender({ server: { ...at, streams: null }, ...options });
  resources.use(sender);
  await until(() => sender.status.problem === null);
  const use = (next: ShardMap): void => {
    map = next;
  };
  return { session, sender, use };
}

/** Sends an entry, cut by so many slots. Returns what became of it. */
async function send(sender: JetStreamSender, slot: number, slots: number): Promise<string> {
  const did = `did:web:n${slot}.example`;
  const [outcome] = await sender.send([encodeEntryChunk(slot, [{ kind: 'sync', did, rev: 'r', eventMs: 0 }])], slots);
  return outcome?.status === 'refused' ? `${outcome.code}: ${outcome.message}` : String(outcome?.status);
}

const splits = 'Unavailable: slot 1 splits, into one of 16, and entries may be of its child';

it(
  'does not count what may have come behind a split of which the writer does not know',
  async () => {
    const { session, sender } = await start();
    expect(await send(sender, parent, 8)).toBe('durable');
    await session.noteSplit(parent, 16);
    expect([await send(sender, parent, 8), await send(sender, other, 8)]).toEqual([splits, 'durable']);
    // It has been said for good.
    expect(await send(sender, parent, 8)).toBe(splits);
    expect(await send(sender, parent, 16)).toBe('durable');
  },
  testMsMax,
);

it(
  'sends what is of a child to its parent, until that splits and the log of the child begins',
  async () => {
    const { session, sender, use } = await start();
    use(doubled);
    const last = (): Promise<number[]> => Promise.all([parent, child].map((slot) => session.lastSeqOf(slot)));
    expect(await send(sender, child, 16)).toBe('durable');
    expect(await last()).toEqual([3, 0]);
    await session.noteSplit(parent, 16);
    // It is in the log of the parent, who passes it, and is sent again.
    expect(await send(sender, child, 16)).toBe(splits);
    expect([await send(sender, parent, 16), await send(sender, other, 16)]).toEqual(['durable', 'durable']);
    const [lastOfParent] = await last();
    await session.publish(child, Buffer.from('first'), { isFirst: true });
    expect(await send(sender, child, 16)).toBe('durable');
    const [parentAfter, childAfter] = await last();
    expect(parentAfter).toBe(lastOfParent);
    expect(childAfter).toBeGreaterThan(lastOfParent!);
  },
  testMsMax,
);
