/** Every key fits the storage engine, whatever strangers write. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { didLengthMax, parseRecordUri, recordUri, rkeyLengthMax } from '../../../src/atproto/compact-key.ts';
import type { DagMap } from '../../../src/atproto/dag-value.ts';
import { namespaceLengthMax, privateNamespace } from '../../../src/atproto/private-namespace.ts';
import { checkRecord } from '../../../src/atproto/record-rules.ts';
import { tableCode } from '../../../src/slot/table/slot-state.ts';
import { keyBytesMax } from '../../../src/storage/environment.ts';
import { cidOfText, didOf, ReadsNetwork } from '../../integration/reads-network.ts';
import { anyCollection, anyDid, anyRkey } from './arbitraries.ts';

const longDid = (letter: string): string => `did:web:${letter.repeat(didLengthMax - 8)}`;
const longRkey = (letter: string): string => letter.repeat(rkeyLengthMax);
const longNsid = [...'abcde'].map((letter) => letter.repeat(letter === 'e' ? 61 : 63)).join('.');
const [author, other] = [longDid('a'), longDid('b')];
/** Accounts of one slot, so that all effects are local. */
const slots = 1;
const widest = '\u{fffd}';

function refTo(did: string, collection: string, rkey: string): { uri: string; cid: string } {
  return { uri: `at://${did}/${collection}/${rkey}`, cid: cidOfText(rkey) };
}

/** A post that is valid by its lexicon, whose media names a record that no key can hold. */
function postWithPoison(did: string, collection: string): DagMap {
  const media = { $type: 'app.bsky.embed.record', record: refTo(did, 'app.bsky.feed.post', longRkey(widest)) };
  const record = { $type: 'app.bsky.embed.record', record: refTo(did, collection, longRkey('q')) };
  const embed = { $type: 'app.bsky.embed.recordWithMedia', record, media };
  return { $type: 'app.bsky.feed.post', text: '', createdAt: '2025-01-01T00:00:00.000Z', embed };
}

describe('records that strangers write', () => {
  it.each([1, 4])('quote what their embed names, and nothing that its media names, in %d slots', async (count) => {
    await using network = new ReadsNetwork({ slots: count });
    const [alice, bob] = [didOf('alice'), didOf('bob')];
    const collections = ['app.bsky.feed.post', 'app.bsky.feed.generator'];
    for (const [index, collection] of collections.entries()) {
      const rkey = longRkey(String(index));
      const record = postWithPoison(bob, collection);
      expect(checkRecord(alice, 'app.bsky.feed.post', rkey, record)).toEqual({ ok: true });
      network.put(bob, collection, { text: 'quoted', createdAt: network.now }, longRkey('q'));
      network.put(alice, 'app.bsky.feed.post', record, rkey);
    }
    network.settle();
    const subject = refTo(bob, 'app.bsky.feed.post', longRkey('q'));
    const { uris } = await network.ask('GetQuotesBySubjectSortedRequest', { subject, limit: 10 });
    expect(uris).toEqual([`at://${alice}/app.bsky.feed.post/${longRkey('0')}`]);
  });

  it('fit the keys of every table in their longest form', async () => {
    await using network = new ReadsNetwork({ slots });
    const post = (letter: string) => refTo(other, 'app.bsky.feed.post', longRkey(letter));
    const createdAt = '2025-01-01T00:00:00.000Z';
    const put = (collection: string, record: object, letter: string): void => {
      const value = { $type: collection, createdAt, ...record } as DagMap;
      expect({ [collection]: checkRecord(author, collection, longRkey(letter), value) }).toEqual({
        [collection]: { ok: true },
      });
      network.put(author, collection, value, longRkey(letter));
    };
    network.identity(author, `${'h'.repeat(60)}.${'i'.repeat(63)}.${'j'.repeat(63)}.${'k'.repeat(60)}.org`);
    network.write(author, { type: 'trusted-verifier', isTrusted: true });
    put('app.bsky.feed.post', { text: '' }, 'a');
    put('app.bsky.feed.post', { text: '', reply: { root: post('r'), parent: post('p') } }, 'b');
    const short = (letter: string) => refTo(other, 'app.bsky.feed.post', letter.repeat(256));
    const allow = [
      { $type: 'app.bsky.feed.threadgate#followingRule' },
      { $type: 'app.bsky.feed.threadgate#listRule', list: `at://${other}/${longNsid}/${longRkey('l')}` },
    ];
    put('app.bsky.feed.threadgate', { post: `at://${author}/app.bsky.feed.post/${longRkey('g')}`, allow }, 'g');
    network.put(other, 'app.bsky.feed.threadgate', { post: short('r').uri, allow }, 'r'.repeat(256));
    network.put(
      author,
      'app.bsky.feed.post',
      { text: '', reply: { root: short('r'), parent: short('p') } },
      'y'.repeat(256),
    );
    put('app.bsky.feed.post', { text: '', embed: { $type: 'app.bsky.embed.record', record: post('q') } }, 'c');
    const mention = { $type: 'app.bsky.richtext.facet#mention', did: other };
    put(
      'app.bsky.feed.post',
      { text: '', facets: [{ index: { byteStart: 0, byteEnd: 0 }, features: [mention] }] },
      'd',
    );
    for (const letter of ['e', 'f']) {
      const subject = refTo(other, longNsid, longRkey('s'));
      put('app.bsky.feed.like', { subject, via: post('v') }, letter);
      put('app.bsky.feed.repost', { subject, via: post('v') }, letter);
      put('app.bsky.graph.follow', { subject: other }, letter);
      put('app.bsky.graph.block', { subject: other }, letter);
      put('app.bsky.graph.verification', { subject: other, handle: 'a.example', displayName: '' }, letter);
      put(
        'app.bsky.graph.listblock',
        { subject: recordUri({ did: other, collection: longNsid, rkey: longRkey('l') }) },
        letter,
      );
      const subjectList = recordUri({ did: author, collection: 'app.bsky.graph.list', rkey: longRkey('l') });
      put('app.bsky.graph.referencelistoptout', { subject: subjectList }, letter);
      put('app.bsky.graph.listitem', { subject: other, list: `at://${author}/${longNsid}/${longRkey('l')}` }, letter);
    }
    put('app.bsky.feed.generator', { did: other, displayName: 'g' }, 'g');
    const joinedViaStarterPack = refTo(other, longNsid, longRkey('s'));
    network.put(author, 'app.bsky.actor.profile', { joinedViaStarterPack, createdAt }, 'self');
    network.write(author, { type: 'blob-takedown', cid: 'b'.repeat(256), ref: 'REF' });
    network.write(author, { type: 'notification-seen', seenMs: 1 });
    network.write(author, {
      type: 'age-assurance',
      change: { status: 'assured', access: null, countryCode: null, regionCode: null, lastInitiatedMs: 1 },
    });
    network.write(author, { type: 'actor-tags', tags: ['one'] });
    network.write(author, {
      type: 'suggestions',
      list: 'tagged',
      changes: [
        {
          tag: 't'.repeat(128),
          subject: recordUri({ did: other, collection: longNsid, rkey: longRkey('s') }),
          subjectType: 'feed',
          order: 1,
        },
      ],
    });
    network.write(author, { type: 'mute', subject: other, onlyReposts: false, onlyQuoteposts: false });
    network.write(author, { type: 'clear-mutes' });
    network.write(author, { type: 'mute', subject: other, onlyReposts: false, onlyQuoteposts: false });
    const subject = { did: other, collection: longNsid, rkey: longRkey('l') };
    network.write(author, { type: 'thread-mute', root: subject });
    const values = [
      [privateNamespace.bookmark, { subject: { uri: recordUri(subject), cid: 'b'.repeat(64) } }],
      [privateNamespace.draft, {}],
      [privateNamespace.activitySubscription, { subject: other, activitySubscription: { post: true, reply: true } }],
      [`${'n'.repeat(namespaceLengthMax - 2)}#x`, {}],
    ] as const;
    for (const [namespace, value] of values) {
      const item = { namespace, key: longRkey('k'), payload: JSON.stringify(value) };
      network.write(author, { type: 'private-data', method: 'create', ...item });
    }
    network.write(author, { type: 'list-mute', list: { did: other, collection: longNsid, rkey: longRkey('l') } });
    for (const record of [null, { collection: longNsid, rkey: longRkey('s') }]) {
      const cts = '2025-01-01T00:00:00.000Z';
      const subject = { did: author, record };
      const label = { subject, src: other, cid: 'b'.repeat(128), val: 'v'.repeat(128), neg: false, cts, exp: null };
      network.cluster.append({ kind: 'label', did: author, label });
    }
    network.put(author, 'app.bsky.labeler.service', { policies: { labelValues: [] }, createdAt }, 'self');
    network.cluster.append({ kind: 'sync', did: author, rev: '3zzzzzzzzzzzz', eventMs: network.timeMs });
    network.cluster.append({ kind: 'resync-begin', did: author, rev: '3zzzzzzzzzzzz', eventMs: network.timeMs });
    network.put(author, 'app.bsky.feed.post', { text: 'seen' }, longRkey('z'));
    network.settle();
    const longestByTable = new Map<number, number>();
    for (const key of network.cluster.slots[0]!.state.rows.scanKeys({
      start: Buffer.of(0),
      end: Buffer.alloc(64, 255),
    })) {
      const table = key.readUInt32BE(0) & 63;
      longestByTable.set(table, Math.max(longestByTable.get(table) ?? 0, key.length));
    }
    // These are only between slots, or only for a while. A confirmed key follows a head.
    const { source, delivered, longWork, session, resend, bracket, confirmed, quarantine, importNote, ...others } =
      tableCode;
    const { routing, ...inOneSlot } = others;
    const confirmedHeadBytes = 4 + 2 + 6;
    const tables = Object.values(inOneSlot).filter((code) => !longestByTable.has(code));
    expect(tables).toEqual([]);
    expect(Math.max(...longestByTable.values()) + confirmedHeadBytes).toBeLessThanOrEqual(keyBytesMax);
    expect(longestByTable.get(tableCode.edgeDuplicate)).toBeGreaterThan(1800);
  });

  it('name only parts that are valid, of ASCII and within their limits', () => {
    const part = fc.oneof(
      anyDid,
      anyCollection,
      anyRkey,
      fc.string({ unit: 'binary', maxLength: 600 }),
      fc.constantFrom('', '.', '..', 'é', longRkey(widest), `did:web:${'é'.repeat(200)}`, longNsid, `${longNsid}x`),
    );
    const uri = fc.tuple(part, part, part).map(([did, collection, rkey]) => `at://${did}/${collection}/${rkey}`);
    fc.assert(
      fc.property(uri, (text) => {
        const ref = parseRecordUri(text);
        if (ref === undefined) return;
        expect(recordUri(ref)).toBe(text);
        const { did, collection, rkey } = ref;
        const lengths = [did, collection, rkey].map((part) => Buffer.byteLength(part));
        expect(lengths).toEqual([did.length, collection.length, rkey.length]);
        expect(did.length <= didLengthMax && collection.length <= 317 && rkey.length <= rkeyLengthMax).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('reads of URIs that no record can have', () => {
  const odd = [longRkey(widest), longRkey('é'), 'é', '', '.', '..', 'a b', 'x'.repeat(513)];

  it.each([1, 4])('are answered as those of records that do not exist, in %d slots', async (count) => {
    await using network = new ReadsNetwork({ slots: count });
    const bob = didOf('bob');
    network.like(didOf('alice'), network.post(bob, 'x'));
    network.settle();
    for (const rkey of odd) {
      const subject = refTo(bob, rkey.length === 512 ? rkey.slice(0, 300) : 'app.bsky.feed.post', rkey);
      const page = { subject, limit: 10 };
      expect((await network.ask('GetLikesBySubjectRequest', page)).uris).toEqual([]);
      expect((await network.ask('GetLikesBySubjectSortedRequest', page)).uris).toEqual([]);
      expect((await network.ask('GetRepostsBySubjectRequest', page)).uris).toEqual([]);
      expect((await network.ask('GetQuotesBySubjectSortedRequest', page)).uris).toEqual([]);
      const { records } = await network.ask('GetPostRecordsRequest', { uris: [subject.uri] });
      expect(records.map(({ record }) => Buffer.from(record).toString())).toEqual(['null']);
      const counts = await network.ask('GetInteractionCountsRequest', { refs: [subject] });
      expect(counts.likes).toEqual([0]);
      const byActor = await network.ask('GetLikesByActorAndSubjectsRequest', { actorDid: bob, refs: [subject] });
      expect(byActor.uris).toEqual(['']);
      expect((await network.ask('GetRecordTakedownRequest', { recordUri: subject.uri })).takenDown).toBe(false);
    }
  });
});
