/** Records that are as large as they may be cost neither an answer nor the memory of a node. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { inputLimits } from '../../src/atproto/input-limits.ts';
import { encodeMessage } from '../../src/proto/codec.ts';
import type { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { answerBytesMax, answeredOf } from '../../src/wire/partial-answer.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RouterPlans } from '../support/router-plans.ts';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, mallory] = [didOf('alice'), didOf('mallory')];
/** A control character takes six bytes of JSON. */
const filler = '\u0001'.repeat(Math.floor(inputLimits.recordJsonBytesMax / 6) - 100);

let network: ReadsNetwork;
let router: ServiceRouter;
const plans = new RouterPlans();
beforeEach(() => {
  network = new ReadsNetwork({ slots: 2 }, false, undefined, new ManualClock());
  const shards = [{ name: 's0', primary: 'n0', slots: ['0-1'] }];
  const map = parseShardMap({ epoch: 1, slots: 2, nodes: { n0: { host: '127.0.0.1', port: 0 } }, shards });
  const caller = {
    call: ({ method, payload }: { method: string; payload: Uint8Array }) => network.call(method, payload),
  };
  router = plans.routerOf({ map, caller });
});
afterEach(() => network[Symbol.asyncDispose]());

it('twenty posts of a megabyte of JSON come in parts, all of them, in the order asked', async () => {
  const posts: StrongRef[] = [];
  for (let index = 0; index < 20; index++)
    posts.push(index % 4 === 0 ? network.post(alice, `post ${index}`) : network.post(mallory, `${index}`, { filler }));
  network.settle();
  const uris = posts.map(({ uri }) => uri);
  const payload = encodeMessage('GetPostRecordsRequest', { uris });
  const first = Buffer.from(await network.call('bsky.GetPostRecords', payload));
  expect(first.length).toBeLessThan(answerBytesMax + inputLimits.recordJsonBytesMax + 10_000);
  expect(answeredOf(first)).toBeGreaterThan(1);
  const { records, meta } = await plans.ask('GetPostRecords', { uris }, router);
  expect(records.map(({ cid }) => cid)).toEqual(posts.map(({ cid }) => cid));
  expect(meta).toHaveLength(20);
  expect(Buffer.from(records[1]!.record).length).toBeGreaterThan(0.99 * inputLimits.recordJsonBytesMax - 1_000);
  expect(router.itemsInFlight).toBe(0);
  const { cache } = network.reads.records;
  expect(cache.bytes).toBeLessThanOrEqual(cache.capacityBytes);
});

it('eighty actors of large profiles and declarations take little memory, and are as if they had none', async () => {
  const dids = Array.from({ length: 80 }, (_unused, index) =>
    didOf(`fat${[...index.toString(8)].map((digit) => 'abcdefgh'[Number(digit)]).join('')}z`),
  );
  for (const did of dids) {
    network.identity(did, null);
    network.put(did, 'app.bsky.actor.profile', { displayName: 'x', filler }, 'self');
    network.put(did, 'chat.bsky.actor.declaration', { allowIncoming: 'none', filler }, 'self');
  }
  network.profile(alice, 'alice.test');
  network.settle();
  const { actors } = await plans.ask('GetActors', { dids: [alice, ...dids] }, router);
  expect(actors).toHaveLength(81);
  expect(actors.every(({ exists }) => exists)).toBe(true);
  const profiles = actors.map(({ profile }) => Buffer.from(profile!.record).toString());
  expect(profiles[0]).toContain('alice.test');
  expect(new Set(profiles.slice(1))).toEqual(new Set(['null']));
  const { bytes, capacityBytes } = network.reads.cacheByName['actors']!;
  expect(bytes).toBeLessThan(100_000);
  expect(bytes).toBeLessThan(capacityBytes);
});
