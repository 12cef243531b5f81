/** What ingest takes of labelers: signed labels of their own, in order, each once over restarts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DagMap } from '../../src/atproto/dag-value.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { didsOfSlotAnswer } from '../../src/wire/dids-of-slot.ts';
import type { NodeCall } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { labelsFrame, newKey, ScriptedLabeler, signedLabel } from '../support/scripted-labeler.ts';
import { ShiftedClock } from '../support/shifted-clock.ts';
import { until } from '../support/until.ts';
import { didOf } from './reads-network.ts';

const labelerDid = didOf('labeler');
const [alice, bob] = [didOf('alice'), didOf('bob')];
const post = `at://${alice}/app.bsky.feed.post/3k2aaaaaaaa2a`;
const hourAgo = new Date(Date.now() - 3_600_000).toISOString();

let harness: IngestHarness;
let labeler: ScriptedLabeler;

beforeEach(async () => {
  harness = await IngestHarness.create();
  labeler = await ScriptedLabeler.start(labelerDid);
  harness.network.documents.set(labelerDid, labeler.document);
});
afterEach(async () => {
  await harness.close();
  await labeler.close();
});

function start(labelers: readonly string[] = [labelerDid]) {
  return harness.start({ labelers });
}

async function settled(seq: number, name = labelerDid): Promise<void> {
  const answer = await harness.post('/v1/settle', { cursors: { [name]: seq }, timeoutMs: 15_000 });
  expect(answer).toMatchObject({ status: 200 });
}

function labels(): string[] {
  return harness.log.of('label').map(({ label }) => `${label.neg ? '-' : ''}${label.val} ${label.cid}`.trim());
}

function statusOf(index = 0) {
  return harness.ingest.labelers[index]!.status;
}

describe('labels of a labeler that is named by its DID', () => {
  it('become entries of the slots of their subjects, in the order of the stream', async () => {
    await start();
    await labeler.publish({ uri: alice, cts: hourAgo });
    const seq = await labeler.publish({ uri: post, cts: hourAgo, val: 'b', exp: hourAgo }, { uri: bob, neg: true });
    await settled(seq);
    expect(harness.log.of('label', alice)).toEqual([
      { kind: 'label', did: alice, label: expect.objectContaining({ src: labelerDid, val: 'spam', cts: hourAgo }) },
      { kind: 'label', did: alice, label: expect.objectContaining({ val: 'b', exp: hourAgo }) },
    ]);
    expect(harness.log.of('label', alice)[1]!.label.subject).toEqual({
      did: alice,
      record: { collection: 'app.bsky.feed.post', rkey: '3k2aaaaaaaa2a' },
    });
    expect(harness.log.of('label', bob)[0]!.label.neg).toBe(true);
    const { body } = await harness.get('/v1/status');
    expect(body['labelers']).toMatchObject([
      { name: labelerDid, connected: true, receivedSeq: seq, events: { labels: 2 }, trust: { verified: 3 } },
    ]);
  });

  it('are read from the beginning once, and after a restart from where they are durable', async () => {
    const first = await labeler.publish({ uri: alice, val: 'one' });
    await start();
    await settled(first);
    await harness.stop();
    const second = await labeler.publish({ uri: alice, val: 'two' });
    await start();
    await settled(second);
    expect(labels()).toEqual(['one', 'two']);
    expect(labeler.stream.connections.map(({ cursor }) => cursor)).toEqual([0, first]);
  });

  it('keep their order although signatures are checked side by side', async () => {
    await start();
    const cts = hourAgo;
    const all = Array.from({ length: 120 }, (_label, index) => ({ uri: alice, val: `v${index}`, cts }));
    const seq = await labeler.publish(...all);
    await settled(seq);
    expect(labels()).toEqual(all.map(({ val }) => val));
  });

  it('count only when they are signed by its key: any other is dropped, counted, and passed', async () => {
    await start();
    const wrong = await newKey();
    const own = (fields: DagMap): DagMap => labeler.labelOf({ uri: alice, ...fields });
    const signed = await signedLabel(labeler.key, own({ val: 'signed' }));
    const cases: DagMap[] = [
      await signedLabel(wrong, own({ val: 'wrong-key' })),
      { ...signed, val: 'changed' },
      { ...signed, neg: true },
      own({ val: 'unsigned' }),
      await signedLabel(labeler.key, { ...own({}), src: bob }),
      await signedLabel(labeler.key, own({ uri: 'at://alice.test/app.bsky.feed.post/1' })),
      await signedLabel(labeler.key, own({ cts: 'yesterday' })),
      await signedLabel(labeler.key, own({ val: 'x'.repeat(129) })),
      await signedLabel(labeler.key, own({ odd: [1] })),
      signed,
    ];
    const seq = labeler.publishFrame((at) => labelsFrame(at, cases));
    await settled(seq);
    expect(labels()).toEqual(['signed']);
    expect(statusOf().dropped).toEqual({
      'label-signature-bad': 3,
      'label-unsigned': 1,
      'label-of-another-source': 1,
      'label-subject-bad': 1,
      'label-time-bad': 1,
      'label-value-bad': 1,
      'label-malformed': 1,
    });
    expect(statusOf().trust).toMatchObject({ verified: 1, failed: 3, refused: 1 });
  });

  it('count when its key has changed, of either curve, after one fresh look-up', async () => {
    await start();
    await settled(await labeler.publish({ uri: alice, val: 'old' }));
    const lookups = harness.network.requestCount(`/${encodeURIComponent(labelerDid)}`);
    labeler.key = await newKey('p256');
    harness.network.documents.set(labelerDid, labeler.document);
    await settled(await labeler.publish({ uri: alice, val: 'new' }, { uri: bob, val: 'new' }));
    expect(labels()).toEqual(['old', 'new', 'new']);
    const wrong = await signedLabel(await newKey(), labeler.labelOf({ uri: alice }));
    for (let index = 0; index < 5; index++) await settled(labeler.publishFrame((seq) => labelsFrame(seq, [wrong])));
    expect(harness.network.requestCount(`/${encodeURIComponent(labelerDid)}`)).toBe(lookups + 1);
  });

  it('wait while a fresh key cannot be had, and so does what follows them', async () => {
    await start();
    await settled(await labeler.publish({ uri: alice, val: 'old' }));
    const path = `/${encodeURIComponent(labelerDid)}`;
    let refusals = 0;
    harness.network.responders.set(path, () => ({ status: 500, body: `${refusals++}` }));
    labeler.key = await newKey();
    const seq = await labeler.publish({ uri: alice, val: 'new' });
    await until(() => refusals >= 2);
    expect(statusOf()).toMatchObject({ doneSeq: seq - 1, dropped: {} });
    harness.network.documents.set(labelerDid, labeler.document);
    harness.network.responders.clear();
    await settled(seq);
    expect(labels()).toEqual(['old', 'new']);
  });

  it('are refused when they are ahead of our clock, without holding up others', async () => {
    // The window after which a label is refused for good is of ten seconds.
    await harness.start({ labelers: [labelerDid], clock: new ShiftedClock(1_500) });
    const cts = new Date(Date.now() + 3_600_000).toISOString();
    const seq = await labeler.publish({ uri: alice, val: 'ahead', cts }, { uri: alice, val: 'sound' });
    await until(() => labels().includes('sound'));
    expect(labels()).toEqual(['sound']);
    expect(statusOf()).toMatchObject({ receivedSeq: seq, doneSeq: seq - 1, pendingEvents: 1 });
    await until(() => statusOf().doneSeq === seq, 30_000);
    expect(statusOf().dropped).toEqual({ 'label-ahead': 1 });
    expect(labels()).toEqual(['sound']);
  });
});

describe('labels of a service that is named by its URL', () => {
  it('count for sources whose documents name it, and for no others', async () => {
    harness.network.documents.set(bob, { ...labeler.document, id: bob, service: [] });
    await start([labeler.url]);
    const name = `labels:${labeler.url}`;
    const strange = await signedLabel(labeler.key, labeler.labelOf({ uri: alice, src: bob, val: 'strange' }));
    labeler.publishFrame((seq) => labelsFrame(seq, [strange]));
    await settled(await labeler.publish({ uri: alice, val: 'own' }), name);
    expect(labels()).toEqual(['own']);
    expect(statusOf()).toMatchObject({ name, dropped: { 'label-of-another-source': 1 } });
  });
});

describe('a labeler', () => {
  it('that is down, or whose document names no service, is tried until it is there', async () => {
    harness.network.documents.delete(labelerDid);
    await start();
    await until(() => statusOf().lastProblem?.includes('names no service'));
    harness.network.documents.set(labelerDid, { ...labeler.document, service: [] });
    const attempts = statusOf().attempts;
    await until(() => statusOf().attempts > attempts);
    await settled(0, harness.network.url);
    expect(harness.status.connected).toBe(true);
  });

  it('that sends garbage, repeats and goes back harms neither itself nor others', async () => {
    const other = await ScriptedLabeler.start(didOf('other'));
    harness.network.documents.set(other.did, other.document);
    await start([labelerDid, other.did]);
    const first = await labeler.publish({ uri: alice, val: 'one' });
    const frame = labeler.stream.backlog[0]!.frame;
    await settled(first);
    labeler.stream.send(frame);
    labeler.stream.send('a text');
    labeler.stream.send(Buffer.from('garbage'));
    labeler.stream.send(Buffer.alloc(6_000_000));
    labeler.publishFrame((seq) => labelsFrame(seq, [1 as never, {}]));
    const last = await labeler.publish({ uri: alice, val: 'two' });
    await settled(last);
    labeler.stream.cut();
    await settled(await other.publish({ uri: bob, val: 'other' }), other.did);
    await settled(await labeler.publish({ uri: alice, val: 'three' }));
    expect(labels().filter((label) => label !== 'other')).toEqual(['one', 'one', 'two', 'three']);
    expect(statusOf().dropped).toMatchObject({ 'seq-not-ascending': 1, 'not-binary': 1, 'frame-too-large': 1 });
    expect(statusOf().dropped).toMatchObject({ 'label-malformed': 2 });
    expect(statusOf(1).dropped).toEqual({});
    await other.close();
  });

  it('that refuses our cursor, or no longer has what followed it, says so in its status', async () => {
    await start();
    const seq = await labeler.publish({ uri: alice });
    await settled(seq);
    await harness.stop();
    labeler.stream.backlog = [];
    await start();
    await until(() => statusOf().problem?.code === 'FutureCursor');
    const { status } = await harness.post('/v1/source/begin', { source: labelerDid, cursor: 0 });
    expect(status).toBe(200);
    await settled(await labeler.publish({ uri: bob }));
    expect(statusOf().problem).toBeNull();
  });

  it('is not heard while the log is full, and goes on once there is room', async () => {
    await start();
    harness.log.isHeld = true;
    const seq = await labeler.publish({ uri: alice });
    await until(() => harness.log.waitingCount > 0);
    expect(statusOf()).toMatchObject({ doneSeq: seq - 1 });
    const answer = await harness.post('/v1/settle', { cursors: { [labelerDid]: seq }, timeoutMs: 50 });
    expect(answer).toMatchObject({ status: 504, body: { message: expect.stringContaining(labelerDid) } });
    harness.log.acknowledgeAll();
    await settled(seq);
  });
});

describe('a repair of a slot', () => {
  const map = parseShardMap({
    epoch: 1,
    slots: 2,
    nodes: { n0: { host: '127.0.0.1', port: 1 } },
    shards: [{ name: 's0', primary: 'n0', slots: ['0-1'] }],
  });
  const isOfSlot = (did: string): boolean => slotOf(did, 2) === 1;
  const counts = { cursor: 1, head: 1, waiting: 0, outbox: 0, lastMark: 0, sentEffects: 0, receivedEffects: 0 };
  const rest = {
    bytes: 0,
    owners: 1,
    quarantined: 0,
    suspendedDids: 0,
    generation: 1,
    state: 'applying',
    log: null,
  } as const;
  const more = { deliveredMark: null, isContinuing: false, lagMs: null, condition: 'incomplete' } as const;
  const slots = [{ slot: 1, ...counts, ...rest, ...more }];
  const call = async ({ method }: NodeCall): Promise<Uint8Array> =>
    method === nodeCalls.status
      ? nodeStatusMessage.encode({ role: 'node', name: 'n', epoch: 1, pid: 1, slots })
      : didsOfSlotAnswer.encode({ dids: [], next: null });
  const repaired = async (phase: 'done' | 'failed' = 'done', withoutLabels: readonly string[] = []) => {
    const { status } = await harness.post('/v1/repair', { slot: 1, isDryRun: false, withoutLabels });
    expect(status).toBe(200);
    return until(async () => {
      const { body } = await harness.get('/v1/repair');
      return body['phase'] === phase ? body : null;
    }, 60_000);
  };
  const dids = Array.from({ length: 40 }, (_did, index) => `did:web:n${index}.example`);

  it('reads the labels about its subjects again from the beginning, in order, and no others', async () => {
    await harness.start({ labelers: [labelerDid], cluster: { caller: { call }, map: () => map } });
    let seq = 0;
    for (const did of dids) seq = await labeler.publish({ uri: did, val: 'a' }, { uri: did, val: 'b' });
    await settled(seq);
    const before = harness.log.entries.length;
    expect(await repaired()).toMatchObject({ problem: null });
    const again = harness.log.entries.slice(before);
    expect(again.at(-1)!.entry).toEqual({ kind: 'completed' });
    const wanted = dids.filter(isOfSlot);
    expect(wanted.length).toBeGreaterThan(10);
    expect(again.slice(0, -1).map(({ key }) => key)).toEqual(wanted.flatMap((did) => [did, did]));
    expect(labeler.stream.connections.map(({ cursor }) => cursor)).toEqual([0, 0]);
    await settled(await labeler.publish({ uri: alice, val: 'live' }));
  });

  it('does not complete it while a labeler cannot be read again, unless it is given up by name', async () => {
    await harness.start({ labelers: [labelerDid], cluster: { caller: { call }, map: () => map } });
    await settled(await labeler.publish({ uri: alice }));
    await labeler.close();
    const problem = `labels of ${labelerDid} could not be read again`;
    expect(await repaired('failed')).toMatchObject({ problem });
    expect(harness.log.of('completed')).toEqual([]);
    expect((await harness.get('/v1/status')).body['repair']).toMatchObject({ phase: 'failed', problem });
    const body = { slot: 1, isDryRun: false, withoutLabels: ['did:web:misspelt.example'] };
    expect(await harness.post('/v1/repair', body)).toMatchObject({ status: 400 });
    expect(await repaired('done', [labelerDid])).toMatchObject({ problem: null, withoutLabels: [labelerDid] });
    expect(harness.log.of('completed')).toHaveLength(1);
  }, 80_000);

  it('goes on after a restart of ingest', async () => {
    const parts = { labelers: [labelerDid], cluster: { caller: { call }, map: () => map } };
    await harness.start(parts);
    for (const did of dids) await labeler.publish({ uri: did, val: 'a' });
    const last = await labeler.publish({ uri: alice });
    await settled(last);
    const { backlog } = labeler.stream;
    // Half of it, and silence.
    labeler.stream.onConnect = ({ socket }) => {
      for (const { frame } of backlog.slice(0, 20)) socket.send(frame);
    };
    await harness.post('/v1/repair', { slot: 1, isDryRun: false });
    const waiting = `${labelerDid}, read to 20 of ${last}`;
    await until(async () => JSON.stringify((await harness.get('/v1/repair')).body['waitsFor']) === `["${waiting}"]`);
    await harness.stop();
    labeler.stream.onConnect = null;
    expect(harness.log.of('completed')).toEqual([]);
    await harness.start(parts);
    await until(() => harness.log.of('completed').length === 1);
    const repair = await until(async () => {
      const { body } = await harness.get('/v1/repair');
      return body['phase'] === 'done' ? body : null;
    });
    expect(repair).toMatchObject({ slot: 1, waitsFor: [], problem: null });
  }, 60_000);
});
