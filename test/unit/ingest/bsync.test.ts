/** One bsync beyond what ingest's endpoints show: its silence, and its second scan for a repair. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { Bsync } from '../../../src/ingest/bsync.ts';
import { BsyncClient } from '../../../src/ingest/bsync-client.ts';
import { createIngestCounters } from '../../../src/ingest/ingest-counters.ts';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import { FakeBsync } from '../../support/fake-bsync.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { until } from '../../support/until.ts';

const [alice, bob] = [`did:plc:${'a'.repeat(24)}`, `did:plc:${'b'.repeat(24)}`];
let server: FakeBsync;
beforeEach(async () => {
  server = await FakeBsync.start();
});
afterEach(() => server.close());

it('gives a scan up that is not answered in time, or that nobody waits for any more', async () => {
  server.misanswer = () => 'silence';
  const client = new BsyncClient(`${server.url}/`, server.key, 50);
  const answer = await client.scan('op', 0, 10, new AbortController().signal);
  expect(answer).toMatchObject({ ok: false, reason: 'deadline' });
  const stop = new AbortController();
  const scan = new BsyncClient(server.url, server.key).scan('op', 0, 10, stop.signal);
  await until(() => server.scans.length === 2);
  stop.abort();
  expect(await scan).toMatchObject({ ok: false, reason: 'unreachable' });
});

it('appends once more all of the actors that are asked for, while what is new waits', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-bsync-'));
  const state = new IngestState(folder, 2 ** 28);
  const log = new MemoryLog();
  const stop = new AbortController();
  const registry = new Registry();
  const bsync = new Bsync(
    {
      client: new BsyncClient(server.url, server.key),
      cursors: state.cursors,
      appender: log,
      clock: systemClock,
      random: seededRandom(1),
      counters: createIngestCounters(registry, systemClock),
      note: () => {},
    },
    stop.signal,
  );
  for (let index = 0; index < 1_200; index++)
    server.put(index % 2 === 0 ? alice : bob, 'UPDATE', 'com.example.n', `k${index}`, {});
  server.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: bob });
  const running = bsync.run();
  expect(await bsync.waitFor({ op: 1_200, mute: 1 }, AbortSignal.timeout(10_000))).toEqual([]);
  const before = log.of('private', alice);
  expect(before).toHaveLength(601);
  log.entries.length = 0;
  log.isHeld = true;
  const rescan = bsync.rescan((did) => did === alice);
  await until(() => log.waitingCount > 0);
  const last = server.put(alice, 'DELETE', 'com.example.n', 'k0');
  log.acknowledgeAll();
  await rescan;
  expect(await bsync.waitFor({ op: last }, AbortSignal.timeout(10_000))).toEqual([]);
  const ops = (entries: typeof before) => entries.filter(({ write }) => write.type === 'private-data');
  const again = ops(log.of('private', alice));
  expect(again.slice(0, 600)).toEqual(ops(before));
  // The newer operation follows the older ones of its actor.
  expect(again.slice(600).map(({ write }) => write)).toEqual([
    expect.objectContaining({ method: 'delete', key: 'k0' }),
  ]);
  expect(log.of('private', bob)).toEqual([]);
  expect(bsync.status.cursors).toEqual({ mute: 1, notif: 0, op: last });
  stop.abort();
  await running;
  await state[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}, 30_000);
