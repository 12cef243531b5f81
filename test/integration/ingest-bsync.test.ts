/** Private writes from bsync: what they become, in which order, and what bad ones do to others. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { privateNamespace } from '../../src/atproto/private-namespace.ts';
import { encodeAccountFrame } from '../../src/demo/server/firehose-frame.ts';
import type { PrivateWrite } from '../../src/entry/entry.ts';
import type { BsyncStatus } from '../../src/ingest/bsync.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { didsOfSlotAnswer } from '../../src/wire/dids-of-slot.ts';
import type { NodeCall } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import { FakeBsync } from '../support/fake-bsync.ts';
import { IngestHarness, verifyOff } from '../support/ingest-harness.ts';
import { until } from '../support/until.ts';

const [alice, bob] = [`did:plc:${'a'.repeat(24)}`, `did:plc:${'b'.repeat(24)}`];
const post = `at://${bob}/app.bsky.feed.post/3l2aaaaaaaaaa`;
const list = `at://${bob}/app.bsky.graph.list/3l2bbbbbbbbbb`;
const bookmark = { subject: { uri: post, cid: 'bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454' } };

describe('ingest of a bsync', () => {
  let harness: IngestHarness;
  let bsync: FakeBsync;
  beforeEach(async () => {
    harness = await IngestHarness.create();
    bsync = await FakeBsync.start();
  });
  afterEach(async () => {
    await harness.close();
    await bsync.close();
  });

  const start = (key: string | null = bsync.key) =>
    harness.start({ verify: verifyOff, bsync: { url: bsync.url, key } });
  const writes = (): PrivateWrite[] => harness.log.of('private').map(({ write }) => write);
  const settle = (operations: object, timeoutMs = 10_000) =>
    harness.post('/v1/settle', { bsync: operations, timeoutMs });
  const status = async (): Promise<BsyncStatus> => (await harness.get('/v1/status')).body['bsync'] as BsyncStatus;
  const metrics = async (): Promise<string> => String((await harness.get('/metrics')).body['text']);

  it('makes of each operation what the official plane makes of it', async () => {
    bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: bob, onlyReposts: true });
    bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: list });
    bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: post });
    bsync.add('mute', { type: 'TYPE_REMOVE', actorDid: alice, subject: bob });
    bsync.add('mute', { type: 'TYPE_REMOVE', actorDid: alice, subject: list });
    bsync.add('mute', { type: 'TYPE_REMOVE', actorDid: alice, subject: post });
    const mute = bsync.add('mute', { type: 'TYPE_CLEAR', actorDid: alice });
    await start();
    expect((await settle({ mute })).status).toBe(200);
    const [, , rkey] = post.slice(5).split('/') as [string, string, string];
    const root = { did: bob, collection: 'app.bsky.feed.post', rkey };
    const muted = { did: bob, collection: 'app.bsky.graph.list', rkey: '3l2bbbbbbbbbb' };
    expect(writes()).toEqual([
      { type: 'mute', subject: bob, onlyReposts: true, onlyQuoteposts: false },
      { type: 'list-mute', list: muted },
      { type: 'thread-mute', root },
      { type: 'unmute', subject: bob },
      { type: 'list-unmute', list: muted },
      { type: 'thread-unmute', root },
      // The threads stay muted.
      { type: 'clear-mutes' },
      { type: 'clear-list-mutes' },
    ]);
    expect(harness.log.of('private').every(({ did }) => did === alice)).toBe(true);
    harness.log.entries.length = 0;
    bsync.add('notif', { actorDid: alice, priority: true });
    bsync.add('notif', { actorDid: alice });
    const notif = bsync.add('notif', { actorDid: alice, priority: false });
    expect((await settle({ notif: String(notif) })).status).toBe(200);
    expect(writes()).toEqual([
      { type: 'notification-priority', isPriority: true },
      { type: 'notification-priority', isPriority: false },
    ]);
    harness.log.entries.length = 0;
    const namespace = privateNamespace.bookmark;
    bsync.put(alice, 'CREATE', namespace, 'one', bookmark);
    bsync.put(alice, 'UPDATE', 'com.example.thing', 'two', { text: 'é' });
    bsync.put(alice, 'DELETE', namespace, 'one');
    const op = bsync.put(alice, 'CREATE', privateNamespace.ageAssurance, 'three', {
      status: 'pending',
      createdAt: '2025-01-01T00:00:00.000Z',
      countryCode: 'DE',
    });
    expect((await settle({ op })).status).toBe(200);
    expect(writes()).toEqual([
      { type: 'private-data', method: 'create', namespace, key: 'one', payload: JSON.stringify(bookmark) },
      { type: 'private-data', method: 'update', namespace: 'com.example.thing', key: 'two', payload: '{"text":"é"}' },
      { type: 'private-data', method: 'delete', namespace, key: 'one', payload: '' },
      expect.objectContaining({ type: 'private-data', namespace: privateNamespace.ageAssurance }),
      {
        type: 'age-assurance',
        change: {
          status: 'pending',
          access: null,
          countryCode: 'DE',
          regionCode: null,
          lastInitiatedMs: Date.UTC(2025, 0, 1),
        },
      },
    ]);
    expect((await status()).cursors).toEqual({ mute, notif, op });
  });

  it('goes on after a restart where its cursor is durable, page after page', async () => {
    for (let index = 0; index < 1_200; index++) bsync.put(alice, 'UPDATE', 'com.example.n', `k${index}`, { index });
    await start();
    expect((await settle({ op: 1_200 })).status).toBe(200);
    expect(writes()).toHaveLength(1_200);
    await harness.stop();
    bsync.put(alice, 'UPDATE', 'com.example.n', 'last', {});
    bsync.scans.length = 0;
    harness.log.entries.length = 0;
    await start();
    expect((await settle({ op: 1_201 })).status).toBe(200);
    expect(writes()).toHaveLength(1);
    expect(bsync.scans.find(({ stream }) => stream === 'op')?.cursor).toBe('1200');
  });

  it('stores no cursor before the log has what came before it', async () => {
    harness.log.isHeld = true;
    bsync.put(alice, 'UPDATE', 'com.example.n', 'one', {});
    await start();
    await until(() => harness.log.waitingCount === 1);
    const late = await settle({ op: 1 }, 100);
    expect(late.status).toBe(504);
    expect(late.body['message']).toContain('bsync (op, at 0)');
    // Without targets, it is waited for what has come.
    expect((await harness.post('/v1/settle', { timeoutMs: 100 })).status).toBe(504);
    expect((await status()).cursors.op).toBe(0);
    harness.log.acknowledgeAll();
    expect((await settle({ op: 1 })).status).toBe(200);
    expect((await status()).cursors.op).toBe(1);
  });

  it('drops what it cannot read, counted by reason, and takes what lies between', async () => {
    const good = (key: string): number => bsync.put(alice, 'UPDATE', 'com.example.n', key, {});
    good('first');
    for (const bad of [
      { actorDid: 5, namespace: 'com.example.n', key: 'k', method: 'METHOD_UPDATE' },
      { actorDid: 'nobody', namespace: 'com.example.n', key: 'k', method: 'METHOD_DELETE' },
      { actorDid: alice, namespace: 'not a namespace', key: 'k', method: 'METHOD_DELETE' },
      { actorDid: alice, namespace: 'com.example.n', key: 'a/b', method: 'METHOD_DELETE' },
      { actorDid: alice, namespace: 'com.example.n', key: 'k', method: 9 },
      { actorDid: alice, namespace: 'com.example.n', key: 'k', method: 'METHOD_UPDATE', payload: 'e30x' },
      {
        actorDid: alice,
        namespace: 'com.example.n',
        key: 'k',
        method: 'METHOD_UPDATE',
        payload: Buffer.from(JSON.stringify('x'.repeat(1_100_000))).toString('base64'),
      },
      { id: 'twelve', actorDid: alice, namespace: 'com.example.n', key: 'k', method: 'METHOD_DELETE' },
    ])
      bsync.add('op', bad);
    bsync.add('op', { id: '20', actorDid: alice, namespace: 'com.example.n', key: 'last', method: 'METHOD_DELETE' });
    bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: 'at://handle.test/app.bsky.graph.list/x' });
    const mute = bsync.add('mute', { type: 7, actorDid: alice, subject: bob });
    await start();
    expect((await settle({ op: 20, mute })).status).toBe(200);
    expect(writes().map((write) => (write.type === 'private-data' ? write.key : ''))).toEqual(['first', 'last']);
    const text = await metrics();
    for (const reason of [
      'malformed',
      'actor-malformed',
      'namespace-malformed',
      'key-malformed',
      'unknown-kind',
      'payload-malformed',
      'payload-too-large',
      'id-malformed',
    ])
      expect(text).toContain(`skyshard_bsync_dropped_total{stream="op",reason="${reason}"} 1`);
    expect(text).toContain('skyshard_bsync_dropped_total{stream="mute",reason="subject-malformed"} 1');
    expect(text).toContain('skyshard_bsync_dropped_total{stream="mute",reason="unknown-kind"} 1');
    expect(text).toContain('skyshard_bsync_operations_total{stream="op"} 2');
    expect(text).toContain('skyshard_bsync_cursor{stream="op"} 20');
  });

  it('takes no operation twice, and moves no cursor back, when bsync replays', async () => {
    for (let index = 0; index < 5; index++) bsync.put(alice, 'UPDATE', 'com.example.n', `k${index}`, {});
    await start();
    expect((await settle({ op: 5 })).status).toBe(200);
    const replayed = [bsync.operations.op[1], bsync.operations.op[3]];
    bsync.put(alice, 'UPDATE', 'com.example.n', 'new', {});
    const body = JSON.stringify({ operations: [...replayed, bsync.operations.op[5]], cursor: '2' });
    bsync.misanswer = ({ stream }) => (stream === 'op' ? { body } : null);
    expect((await settle({ op: 6 })).status).toBe(200);
    expect(writes()).toHaveLength(6);
    // The same again leads nowhere, which is no reason to ask at once.
    await until(async () => (await status()).problems.op !== undefined);
    expect((await status()).cursors.op).toBe(6);
    bsync.misanswer = () => null;
    bsync.put(alice, 'UPDATE', 'com.example.n', 'newer', {});
    expect((await settle({ op: 7 })).status).toBe(200);
    expect(writes()).toHaveLength(7);
  });

  it('begins a stream again where the operator says', async () => {
    for (let index = 0; index < 5; index++) bsync.put(alice, 'UPDATE', 'com.example.n', `k${index}`, {});
    await start();
    expect((await settle({ op: 5 })).status).toBe(200);
    const { body } = await harness.post('/v1/source/begin', { source: 'bsync:op', cursor: 3 });
    expect(body).toEqual({ source: 'bsync:op', cursor: 3, cursorBefore: 5 });
    expect((await settle({ op: 5 })).status).toBe(200);
    expect(writes().slice(5)).toEqual(writes().slice(3, 5));
  });

  describe('after a privacy request', () => {
    const map = parseShardMap({
      epoch: 1,
      slots: 1,
      nodes: { n0: { host: '127.0.0.1', port: 1 } },
      shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
    });
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
    /** A node whose slot lost all that it had. */
    const call = async ({ method }: NodeCall): Promise<Uint8Array> =>
      method === nodeCalls.status
        ? nodeStatusMessage.encode({
            role: 'node',
            name: 'n',
            epoch: 1,
            pid: 1,
            slots: [{ slot: 0, ...counts, ...rest, ...more }],
          })
        : didsOfSlotAnswer.encode({ dids: [], next: null });
    const startIncomplete = () =>
      harness.start({
        verify: verifyOff,
        bsync: { url: bsync.url, key: bsync.key },
        cluster: { caller: { call }, map: () => map },
      });
    const erase = (kind: string, did = alice) => harness.post('/v1/private/erase', { did, kind });
    const repair = async (): Promise<void> => {
      expect((await harness.post('/v1/repair', { slot: 0, isDryRun: false })).status).toBe(200);
      await until(async () => (await harness.get('/v1/repair')).body['phase'] === 'done');
    };
    /** What it makes known in the order of the log: of private data the keys. */
    const story = (did: string): string[] =>
      harness.log.of('private', did).map(({ write }) => (write.type === 'private-data' ? write.key : write.type));

    it('brings nothing back of what was erased, by repair or from the beginning, and keeps what follows', async () => {
      await startIncomplete();
      bsync.put(alice, 'CREATE', privateNamespace.bookmark, 'bookmark', bookmark);
      bsync.put(alice, 'CREATE', privateNamespace.ageAssurance, 'age', { status: 'assured', createdAt: '' });
      bsync.put(bob, 'CREATE', privateNamespace.draft, 'of-bob', {});
      const op = bsync.put(alice, 'CREATE', privateNamespace.draft, 'draft', {});
      bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: bob });
      const mute = bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: post });
      bsync.add('notif', { actorDid: alice, priority: true });
      expect((await settle({ op, mute, notif: 1 })).status).toBe(200);
      harness.log.entries.length = 0;
      expect((await erase('private-data')).body).toEqual({ did: alice, kind: 'private-data', upTo: op });
      expect((await erase('mutes')).body).toMatchObject({ upTo: mute });
      expect(story(alice)).toEqual(['erase', 'clear-mutes', 'clear-list-mutes', 'clear-thread-mutes']);
      expect((await harness.get(`/v1/private/erasures?did=${alice}`)).body['erased']).toEqual([
        { kind: 'private-data', stream: `bsync ${bsync.url} op`, upTo: op },
        { kind: 'mutes', stream: `bsync ${bsync.url} mute`, upTo: mute },
      ]);
      const listed = { actors: [{ did: alice, kinds: ['private-data', 'mutes'] }], after: null };
      expect((await harness.get('/v1/private/erasures')).body).toEqual(listed);
      expect((await harness.get(`/v1/private/erasures?after=${alice}`)).body).toEqual({ actors: [], after: null });
      bsync.put(alice, 'CREATE', privateNamespace.draft, 'later', {});
      const last = bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: list });
      const targets = { op: op + 1, mute: last };
      expect((await settle(targets)).status).toBe(200);
      // The state of ingest is what must hold them.
      await harness.stop();
      await startIncomplete();
      harness.log.entries.length = 0;
      await repair();
      // What is known of an actor's age is no private data.
      const kept = ['age-assurance', 'later', 'list-mute', 'notification-priority'];
      expect(story(alice).sort()).toEqual(kept);
      expect(story(bob)).toEqual(['of-bob']);
      harness.log.entries.length = 0;
      for (const source of ['bsync:op', 'bsync:mute', 'bsync:notif'])
        expect((await harness.post('/v1/source/begin', { source, cursor: 0 })).status).toBe(200);
      expect((await settle({ ...targets, notif: 1 })).status).toBe(200);
      expect(story(alice).sort()).toEqual(kept);
      expect(story(bob)).toEqual(['of-bob']);
      expect(await metrics()).toContain('skyshard_bsync_dropped_total{stream="op",reason="erased"} 6');
    });

    it('erases one kind alone, and each up to its own time', async () => {
      await startIncomplete();
      bsync.put(alice, 'CREATE', privateNamespace.bookmark, 'bookmark', bookmark);
      bsync.put(alice, 'CREATE', privateNamespace.draft, 'draft', {});
      expect((await settle({ op: 2 })).status).toBe(200);
      await erase('drafts');
      bsync.put(alice, 'CREATE', privateNamespace.draft, 'second', {});
      bsync.put(alice, 'CREATE', privateNamespace.bookmark, 'second-bookmark', bookmark);
      expect((await settle({ op: 4 })).status).toBe(200);
      await erase('bookmarks');
      harness.log.entries.length = 0;
      await repair();
      expect(story(alice)).toEqual(['second']);
      expect(await erase('everything')).toMatchObject({ status: 400 });
      expect(await erase('drafts', 'nobody')).toMatchObject({ status: 400 });
    });

    it('knows what was erased while no bsync was followed, and takes nothing back of what was before', async () => {
      await startIncomplete();
      bsync.put(alice, 'CREATE', privateNamespace.draft, 'draft', {});
      bsync.put(bob, 'CREATE', privateNamespace.draft, 'of-bob', {});
      expect((await settle({ op: 2 })).status).toBe(200);
      await erase('drafts');
      await harness.stop();
      await harness.start({ verify: verifyOff });
      expect((await erase('drafts')).body).toMatchObject({ upTo: null });
      expect((await erase('drafts', bob)).body).toMatchObject({ upTo: null });
      const { actors } = (await harness.get('/v1/private/erasures')).body;
      expect(actors).toEqual([
        { did: alice, kinds: ['drafts'] },
        { did: bob, kinds: ['drafts'] },
      ]);
      await harness.stop();
      await startIncomplete();
      harness.log.entries.length = 0;
      await repair();
      expect([...story(alice), ...story(bob)]).toEqual([]);
    });

    it('waits for what is on its way to the log, and interrupts what waits for bsync', async () => {
      await startIncomplete();
      harness.log.isHeld = true;
      bsync.put(alice, 'CREATE', privateNamespace.draft, 'draft', {});
      await until(() => harness.log.waitingCount === 1);
      const erased = erase('drafts');
      bsync.put(alice, 'CREATE', privateNamespace.draft, 'later', {});
      harness.log.acknowledgeAll();
      expect((await erased).body).toMatchObject({ upTo: 1 });
      expect((await settle({ op: 2 })).status).toBe(200);
      expect(story(alice)).toEqual(['draft', 'erase', 'later']);
      // A bsync that answers nothing is no reason to wait.
      bsync.misanswer = () => 'silence';
      expect((await erase('drafts')).body).toMatchObject({ upTo: 2 });
    });
  });

  it.each([
    ['answers garbage', { body: '<html>' }, 'malformed'],
    ['answers what is no page', { body: '{"operations":{}}' }, 'malformed'],
    ['refuses', { status: 503, body: '{"code":"unavailable"}' }, 'refused'],
    ['sends without end', { body: 'x'.repeat(17 * 2 ** 20) }, 'too-large'],
    ['drops connections', 'drop', 'unreachable'],
  ] as const)(
    'leaves other streams and sources unharmed while one %s, and goes on after',
    async (_name, bad, outcome) => {
      bsync.misanswer = ({ stream }) => (stream === 'op' ? bad : null);
      bsync.put(alice, 'UPDATE', 'com.example.n', 'one', {});
      await start();
      const mute = bsync.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: bob });
      expect((await settle({ mute })).status).toBe(200);
      const time = new Date().toISOString();
      harness.network.publish(1, encodeAccountFrame({ seq: 1, did: bob, time }, null));
      expect((await harness.settle()).status).toBe(200);
      expect(harness.log.of('account', bob)).toHaveLength(1);
      await until(async () => (await status()).problems.op !== undefined);
      const text = await metrics();
      expect(text).toMatch(new RegExp(`skyshard_bsync_scans_total\\{stream="op",outcome="${outcome}"\\} [1-9]`));
      expect(text).toContain('skyshard_bsync_connected{stream="op"} 0');
      expect(text).toContain('skyshard_bsync_connected{stream="mute"} 1');
      bsync.misanswer = () => null;
      expect((await settle({ op: 1 })).status).toBe(200);
      expect((await status()).problems).toEqual({});
    },
  );

  it('shows its key, says when it is refused, and shows the key to no other host', async () => {
    const elsewhere = await FakeBsync.start();
    bsync.put(alice, 'UPDATE', 'com.example.n', 'one', {});
    await start('another-key');
    await until(async () => (await status()).problems.op?.includes('invalid api key') === true);
    expect(bsync.scans[0]?.key).toBe('another-key');
    expect(writes()).toEqual([]);
    await harness.stop();
    const { url } = elsewhere;
    bsync.key = 'another-key';
    bsync.misanswer = () => ({ status: 307, headers: { location: url }, body: '' });
    await start('another-key');
    await until(async () => (await status()).problems.op !== undefined);
    expect(elsewhere.scans).toEqual([]);
    await elsewhere.close();
  });

  it('waits for bsync only where one is configured', async () => {
    await harness.start({ verify: verifyOff });
    expect((await settle({ op: 1 })).status).toBe(400);
    expect((await harness.get('/v1/status')).body['bsync']).toBeNull();
    expect((await harness.post('/v1/settle', { timeoutMs: 1_000 })).status).toBe(200);
  });
});
