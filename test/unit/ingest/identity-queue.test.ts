/** When DIDs are resolved, what is postponed, and that waiting leaves no listener. */
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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

function queueOf(): IdentityQueue {
  const counters = createIngestCounters(new Registry());
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
  expect(state.identities.factsOf(authorDid)).toBeUndefined();
  await queue.refresh(authorDid);
  expect(state.identities.factsOf(authorDid)).toMatchObject({
    pds: network.url,
    signingKey,
    checkedAtSec: clock.nowMs() / 1000,
  });
  network.documents.clear();
  await queue.refresh(authorDid);
  expect(state.identities.factsOf(authorDid)).toMatchObject({ pds: null, signingKey: null });
});

describe('a resolution that the source asked for', () => {
  it('is postponed while the directory is down and made when it is up again', async () => {
    let isDown = true;
    network.register(authorDid, 'author.test');
    const document = network.documents.get(authorDid);
    network.responders.set(`/${encodeURIComponent(authorDid)}`, () =>
      isDown ? { status: 503, body: '' } : json(document),
    );
    const queue = queueOf();
    const refreshed = queue.refresh(authorDid);
    // Attempts are paced by the clock.
    let isOver = false;
    void refreshed.then(() => {
      isOver = true;
    });
    await until(() => {
      clock.advance(1000);
      return isOver;
    });
    expect(resolutions()).toBe(3);
    expect(log.entries).toEqual([]);
    expect(state.identities.postponed(clock.nowMs() / 1000 + 60, 10)).toMatchObject([{ did: authorDid, attempts: 1 }]);

    isDown = false;
    const running = queue.runPostponed();
    await until(() => {
      clock.advance(5000);
      return log.of('identity').length === 1;
    });
    await queue.drained(never);
    expect(log.of('identity')).toMatchObject([{ did: authorDid, handle: 'author.test' }]);
    expect(state.identities.postponed(clock.nowMs() / 1000 + 1e6, 10)).toEqual([]);
    stop.abort();
    await running;
  });

  it('has no outcome when the queue stops first', async () => {
    network.responders.set(`/${encodeURIComponent(authorDid)}`, () => ({ status: 503, body: '' }));
    const queue = queueOf();
    let isOver = false;
    void queue.refresh(authorDid).then(() => {
      isOver = true;
    });
    await until(() => clock.sleeperCount > 0);
    stop.abort();
    await queue.stopped();
    expect(isOver).toBe(false);
  });
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
  void queue.refresh(authorDid);
  const waits = [queue.drained(signal), queue.drained(signal)];
  expect(getEventListeners(signal, 'abort')).toHaveLength(2);
  expect(await Promise.all(waits)).toEqual([true, true]);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
