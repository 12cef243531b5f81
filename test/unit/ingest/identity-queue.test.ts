/** When DIDs are resolved, what is postponed, and that waiting leaves no listener. */
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { InvariantError } from '../../../src/base/invariant.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { IdentityResolver } from '../../../src/identity/identity-resolver.ts';
import { IdentityQueue } from '../../../src/ingest/identity-queue.ts';
import { createIngestCounters } from '../../../src/ingest/ingest-counters.ts';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { json, ScriptedNetwork, signingKey } from '../../support/scripted-network.ts';
import { unhandledRejectionOf } from '../../support/unhandled-rejection.ts';
import { until } from '../../support/until.ts';
import { authorDid } from '../atproto/signed-repo.ts';

const hourMs = 3_600_000;
const never = new AbortController().signal;

let network: ScriptedNetwork;
let folder: string;
let state: IngestState;
let log: MemoryLog;
let clock: ManualClock;
let resolver: IdentityResolver;
let stop: AbortController;

beforeEach(async () => {
  network = await ScriptedNetwork.start();
  folder = mkdtempSync(join(tmpdir(), 'skyshard-identity-'));
  state = new IngestState(folder);
  log = new MemoryLog();
  clock = new ManualClock();
  stop = new AbortController();
  resolver = new IdentityResolver({
    plcUrl: network.url,
    handleResolverUrl: network.url,
    allowPrivateHosts: true,
    clock,
  });
});
afterEach(async () => {
  stop.abort();
  resolver[Symbol.dispose]();
  await state[Symbol.asyncDispose]();
  await network.close();
  rmSync(folder, { recursive: true });
});

function queueOf(registry = new Registry()): IdentityQueue {
  const counters = createIngestCounters(registry);
  return new IdentityQueue({ resolver, appender: log, state, clock, random: seededRandom(1), counters }, stop.signal);
}

const resolutions = (): number => network.requestCount(`/${encodeURIComponent(authorDid)}`);

async function noteAndDrain(queue: IdentityQueue): Promise<void> {
  queue.noteActive(authorDid);
  await queue.drained(never);
}

describe('an active DID', () => {
  it('with a handle is resolved again after a day and not before', async () => {
    network.register(authorDid, 'author.test');
    const queue = queueOf();
    await noteAndDrain(queue);
    expect(resolutions()).toBe(1);
    clock.advance(23 * hourMs);
    await noteAndDrain(queue);
    expect(resolutions()).toBe(1);
    clock.advance(hourMs);
    await noteAndDrain(queue);
    expect(resolutions()).toBe(2);
    expect(log.of('identity').map(({ verifiedAtMs }) => verifiedAtMs)).toEqual([
      clock.nowMs() - 24 * hourMs,
      clock.nowMs(),
    ]);
  });

  it('without a proven handle is resolved again after an hour, also by a new queue', async () => {
    network.register(authorDid, 'author.test');
    network.didByHandle.clear();
    await noteAndDrain(queueOf());
    const later = queueOf();
    clock.advance(hourMs - 1000);
    await noteAndDrain(later);
    expect(resolutions()).toBe(1);
    clock.advance(1000);
    await noteAndDrain(later);
    expect(resolutions()).toBe(2);
  });
});

it('what a document says is durable with its resolution, and goes when the DID is gone', async () => {
  network.register(authorDid, 'author.test');
  const queue = queueOf();
  const running = queue.run();
  expect(state.identities.check(authorDid)).toBeUndefined();
  await queue.refresh(authorDid);
  await queue.drained(never);
  expect(state.identities.check(authorDid)).toMatchObject({
    pds: network.url,
    signingKey,
    checkedAtSec: clock.nowMs() / 1000,
  });
  network.documents.clear();
  await queue.refresh(authorDid);
  await queue.drained(never);
  expect(state.identities.check(authorDid)).toMatchObject({ pds: null, signingKey: null });
  stop.abort();
  await running;
});

describe('a resolution that the source asked for', () => {
  it('waits for its durable record alone, and is tried again until the directory is up', async () => {
    let isDown = true;
    network.register(authorDid, 'author.test');
    const document = network.documents.get(authorDid);
    network.responders.set(`/${encodeURIComponent(authorDid)}`, () =>
      isDown ? { status: 503, body: '' } : json(document),
    );
    const queue = queueOf();
    await queue.refresh(authorDid);
    expect(resolutions()).toBe(0);
    expect(state.lookups.get(authorDid)).toMatchObject({ attempts: 0 });
    const running = queue.run();
    // An error is an answer: nobody waits for a second attempt.
    expect(await queue.drained(never)).toBe(true);
    expect(resolutions()).toBe(1);
    expect(log.entries).toEqual([]);
    expect(state.lookups.get(authorDid)).toMatchObject({ attempts: 1 });

    isDown = false;
    await until(() => {
      clock.advance(5000);
      return log.of('identity').length === 1;
    });
    expect(log.of('identity')).toMatchObject([{ did: authorDid, handle: 'author.test' }]);
    await until(() => state.lookups.get(authorDid) === undefined);
    expect(state.lookups.counts).toEqual({ directory: 0, otherHosts: 0, oldestDueSec: null });
    stop.abort();
    await running;
  });

  it('is still queued when the queue stops during the look-up', async () => {
    network.responders.set(`/${encodeURIComponent(authorDid)}`, () => new Promise(() => {}));
    const queue = queueOf();
    const running = queue.run();
    await queue.refresh(authorDid);
    await until(() => resolutions() === 1);
    stop.abort();
    await Promise.all([running, queue.stopped()]);
    expect(state.lookups.get(authorDid)).toMatchObject({ attempts: 0 });
  });

  it('brings a changed key at once while the handle cannot be checked, and keeps the handle', async () => {
    network.register(authorDid, 'author.test');
    network.responders.set('/xrpc/com.atproto.identity.resolveHandle', () => ({ status: 502, body: '' }));
    const queue = queueOf();
    const running = queue.run();
    await queue.refresh(authorDid);
    await queue.drained(never);
    expect(log.of('identity')).toMatchObject([{ handle: null, verifiedAtMs: 0 }]);
    expect(state.identities.check(authorDid)).toMatchObject({ pds: network.url });
    expect(state.lookups.get(authorDid)).toMatchObject({ attempts: 1 });
    // Nothing has changed, so nothing more is said.
    await queue.refresh(authorDid);
    await queue.drained(never);
    expect(log.of('identity')).toHaveLength(1);
    stop.abort();
    await running;
  });
});

it('a new DID whose look-up fails is queued durably; a known one waits for its next activity', async () => {
  network.responders.set(`/${encodeURIComponent(authorDid)}`, () => ({ status: 503, body: '' }));
  const queue = queueOf();
  await noteAndDrain(queue);
  expect(state.lookups.get(authorDid)).toMatchObject({ attempts: 1 });
  const facts = { pds: null, signingKey: null, checkedAtSec: 1, hasHandle: true };
  await state.identities.storeCheck(authorDid, facts);
  clock.advance(hourMs);
  await noteAndDrain(queue);
  expect(resolutions()).toBe(2);
  expect(state.lookups.get(authorDid)).toBeUndefined();
});

it('an outcome that cannot be stored is counted though nobody waits for it', async () => {
  network.register(authorDid, 'author.test');
  const registry = new Registry();
  const queue = queueOf(registry);
  vi.spyOn(log, 'append').mockRejectedValue(new DataPlaneError('StorageFull', 'a test'));
  queue.noteActive(authorDid);
  await queue.drained(never);
  expect(await registry.metrics()).toMatch(/identities_resolved_total\{outcome="not-stored"\} 1/);
});

it('a broken invariant in a job that nobody waits for reaches main', async () => {
  network.register(authorDid, 'author.test');
  const broken = new InvariantError('broken invariant: a test');
  vi.spyOn(log, 'append').mockRejectedValue(broken);
  const queue = queueOf();
  expect(await unhandledRejectionOf(() => queue.noteActive(authorDid))).toBe(broken);
  expect(queue.pendingCount).toBe(0);
});

it('waiting for jobs leaves no listener on the signal', async () => {
  network.register(authorDid, 'author.test');
  const queue = queueOf();
  const { signal } = new AbortController();
  queue.noteActive(authorDid);
  const waits = [queue.drained(signal), queue.drained(signal)];
  expect(getEventListeners(signal, 'abort')).toHaveLength(2);
  expect(await Promise.all(waits)).toEqual([true, true]);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
