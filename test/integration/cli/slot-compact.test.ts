/** `skyshard slot compact` on a running cluster. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listOf } from '../../../src/cli/service-call.ts';
import type { SlotCompaction } from '../../../src/wire/slot-compaction.ts';
import { DemoCluster } from '../../support/demo-cluster.ts';

let demo: DemoCluster;

beforeAll(async () => {
  demo = await DemoCluster.start(200);
}, 120_000);

afterAll(() => demo.stop(), 60_000);

async function feeds(): Promise<unknown[]> {
  const dids = await demo.dids();
  return Promise.all(dids.map(async (did) => listOf(await demo.call('GetAuthorFeed', { actorDid: did }), 'items')));
}

it('says what it would free, shows how far it is, frees it, and changes no answer', async () => {
  const before = await feeds();
  const dry = await demo.run('slot', 'compact', '0', '--dry-run', '--json');
  const { bytes, packedBytes, phase } = JSON.parse(dry.out) as SlotCompaction;
  expect([dry.code, phase]).toEqual([0, 'none']);
  expect(packedBytes).toBeLessThan(bytes);
  expect((await demo.run('slot', 'compact', '0', '--dry-run')).out).toMatch(
    /^slot 0: about .* of .* would be freed\n$/,
  );
  const done = await demo.run('slot', 'compact', '0', '--json');
  expect(done.code).toBe(0);
  const last = JSON.parse(done.out.trim().split('\n').at(-1)!) as SlotCompaction;
  expect(last).toMatchObject({ slot: 0, phase: 'done', rowsDone: last.rows, problem: '' });
  expect(last.bytes).toBeLessThan(last.bytesBefore);
  const text = await demo.run('slot', 'compact', '1');
  expect(text).toMatchObject({ code: 0, out: expect.stringMatching(/slot 1: .* are freed\n$/) });
  expect(await feeds()).toEqual(before);
});

it('refuses what is no slot', async () => {
  expect(await demo.run('slot', 'compact', 'x')).toMatchObject({ code: 2, err: expect.stringContaining('not a slot') });
  expect((await demo.run('slot', 'compact', '60000')).err).toContain('the map has no slot 60000');
});
