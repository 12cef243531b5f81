/** Random values of every part of a key or an entry, often odd ones. */
import fc from 'fast-check';
import { indexedCollections } from '../../../src/atproto/collection.ts';
import { didLengthMax, type RecordRef, rkeyLengthMax } from '../../../src/atproto/compact-key.ts';
import type { EdgeKind } from '../../../src/atproto/edge-kind.ts';
import type { Label } from '../../../src/atproto/label.ts';
import { noticeReasons } from '../../../src/atproto/notice-reason.ts';
import { privateKinds, privateNamespace } from '../../../src/atproto/private-namespace.ts';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { type Effect, type Entry, privateMethods, type SlotEffect } from '../../../src/entry/entry.ts';
import { gates } from '../../../src/entry/gate.ts';
import { slotConditions } from '../../../src/entry/lifecycle-entry.ts';
import { suggestionLists } from '../../../src/entry/suggestion.ts';

const yearZeroMs = Date.parse('0000-01-01T00:00:00.000Z');
/** The last millisecond that six bytes can hold when they count from year 0. */
export const timeMsMax = yearZeroMs + 2 ** 48 - 1;

const base32Letter = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567');
const tidLetter = fc.constantFrom(...'234567abcdefghijklmnopqrstuvwxyz');

export const plcDid = fc
  .array(base32Letter, { minLength: 24, maxLength: 24 })
  .map((letters) => `did:plc:${letters.join('')}`);
const webDid = fc.domain().map((domain) => `did:web:${domain}`.slice(0, didLengthMax));
const longDid = fc.integer({ min: 1, max: didLengthMax - 8 }).map((length) => `did:key:${'z'.repeat(length)}`);
const nearlyPlc = fc.constantFrom(
  'did:plc:',
  `did:plc:${'A'.repeat(24)}`,
  `did:plc:${'1'.repeat(24)}`,
  `did:plc:${'a'.repeat(25)}`,
  `did:plc:${'a'.repeat(23)}`,
);
export const anyDid = fc.oneof({ weight: 4, arbitrary: plcDid }, webDid, longDid, nearlyPlc);

export const tid = fc
  .tuple(fc.constantFrom(...'234567abcdefghij'), fc.array(tidLetter, { minLength: 12, maxLength: 12 }))
  .map(([first, rest]) => first + rest.join(''));
const oddRkey = fc.string({ unit: fc.constantFrom(...'abzAZ09._:~-'), minLength: 1, maxLength: 40 });
const edgeRkey = fc.constantFrom(
  'self',
  's',
  'selfs',
  'x'.repeat(rkeyLengthMax),
  'k'.repeat(13),
  'z'.repeat(13),
  '2222222222222',
  'jzzzzzzzzzzzz',
);
export const anyRkey = fc.oneof({ weight: 4, arbitrary: tid }, oddRkey, edgeRkey);

export const indexedCollection = fc.constantFrom(...indexedCollections);
export const anyCollection = fc.oneof(
  { weight: 4, arbitrary: indexedCollection },
  fc.constantFrom('a.b.c', 'com.example.odd', `a.b.${'c'.repeat(300)}`),
);
export const anyRef: fc.Arbitrary<RecordRef> = fc.record({ did: anyDid, collection: anyCollection, rkey: anyRkey });
export const indexedRef: fc.Arbitrary<RecordRef> = fc.record({
  did: anyDid,
  collection: indexedCollection,
  rkey: anyRkey,
});

/** Times that six bytes can hold, from year 0 on and so partly negative. */
export const storableTime = fc.oneof(
  fc.integer({ min: yearZeroMs, max: timeMsMax }),
  fc.integer({ min: -5, max: 5 }),
  fc.constantFrom(yearZeroMs, timeMsMax, Date.UTC(2024, 1, 29)),
);

const anyText = fc.string({ unit: 'grapheme', maxLength: 30 });
const anyRev = fc.oneof(tid, fc.constant(''));
export const anyCid = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((digest) => base32Of([0x01, 0x71, 0x12, 0x20, ...digest])),
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((digest) => base32Of([0x01, 0x55, 0x12, 0x20, ...digest])),
  fc.constantFrom(
    '',
    'bafyrei',
    `bafyrei${'a'.repeat(52)}`,
    `bafyrei${'b'.repeat(52)}`,
    `bafyrei${'A'.repeat(52)}`,
    'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
  ),
);

function base32Of(bytes: readonly number[]): string {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const groups = bits.match(/.{1,5}/g) ?? [];
  return `b${groups.map((group) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')}`;
}

/** The 36 bytes of CIDs, of records and of anything else. */
export const anyCidBytes = fc
  .tuple(fc.constantFrom(0x71, 0x55), fc.uint8Array({ minLength: 32, maxLength: 32 }))
  .map(([codec, digest]) => Buffer.from([0x01, codec, 0x12, 0x20, ...digest]));

const writtenOp: fc.Arbitrary<RepoOp> = fc.record({
  action: fc.constantFrom('create', 'update'),
  collection: anyCollection,
  rkey: anyRkey,
  cid: anyCidBytes,
  block: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
});
const anyDeletion = fc.tuple(anyCollection, anyRkey).map(([collection, rkey]) => deleteOp(collection, rkey));
const ops = fc.array(fc.oneof(writtenOp, anyDeletion), { maxLength: 5 });
const nullableText = fc.option(anyText);

const edgeKinds: readonly EdgeKind[] = [
  'follow',
  'like',
  'repost',
  'quote',
  'reply',
  'block',
  'list-item',
  'list-block',
  'verification',
  'list-opt-out',
  'join',
];

const version = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const judged = fc.record({ eventMs: storableTime, version, isViolating: fc.boolean() });

const edgeEffect: fc.Arbitrary<Effect> = fc
  .record({
    edge: fc.constantFrom(...edgeKinds),
    present: fc.boolean(),
    source: anyRef,
    other: anyDid,
    subject: fc.option(anyRef),
    isOwn: fc.boolean(),
    sortMs: storableTime,
    judged: fc.option(judged),
  })
  .map(({ other, subject, isOwn, judged: known, ...rest }) => ({
    type: 'edge',
    ...rest,
    ...(known === null ? {} : { judged: known }),
    subject,
    subjectDid: isOwn && subject !== null ? subject.did : other,
  }));

export const anyEffect: fc.Arbitrary<Effect> = fc.oneof(
  edgeEffect,
  fc.record({
    type: fc.constant('thread' as const),
    present: fc.boolean(),
    root: anyRef,
    parent: anyRef,
    reply: anyRef,
    sortMs: storableTime,
    isTakenDown: fc.boolean(),
    isFollower: fc.boolean(),
    judged,
  }),
  fc.record({
    type: fc.constant('verdict' as const),
    gate: fc.constantFrom(...gates),
    post: anyRef,
    version,
    isViolating: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('gate-question' as const),
    root: anyRef,
    reply: anyRef,
    version,
    indexedMs: storableTime,
    allowsFollowers: fc.boolean(),
    lists: fc.array(anyRef, { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constant('gate-answer' as const),
    root: anyRef,
    reply: anyRef,
    version,
    isAllowed: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('notice' as const),
    present: fc.boolean(),
    recipient: anyDid,
    source: anyRef,
    reason: fc.constantFrom(...noticeReasons),
    reasonSubject: nullableText,
    sortMs: storableTime,
    isTakenDown: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('notice' as const),
    present: fc.boolean(),
    recipient: anyDid,
    source: anyRef,
    reason: fc.constant('reply' as const),
    reasonSubject: nullableText,
    sortMs: storableTime,
    isTakenDown: fc.boolean(),
    rootHash: fc.nat(65_535),
  }),
  fc.record({
    type: fc.constant('notice-takedown' as const),
    recipient: anyDid,
    source: anyRef,
    isTakenDown: fc.boolean(),
    sortMs: storableTime,
  }),
  fc.record({ type: fc.constant('post-exists' as const), reposter: anyDid, post: anyRef, exists: fc.boolean() }),
  fc.record({
    type: fc.constant('verified-by' as const),
    present: fc.boolean(),
    subject: anyDid,
    source: anyRef,
    sortMs: storableTime,
    handle: anyText,
    displayName: anyText,
  }),
  fc.record({
    type: fc.constant('handle-claim' as const),
    handle: anyText,
    did: anyDid,
    verifiedAtMs: storableTime,
    present: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('handle-loss' as const),
    handle: anyText,
    did: anyDid,
    lostVerifiedAtMs: storableTime,
  }),
);

const base = { did: anyDid, eventMs: storableTime };
const rev = { ...base, rev: anyRev };
const count = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const anySlotEffect: fc.Arbitrary<SlotEffect> = fc.oneof(
  fc.record({ type: fc.constantFrom('resend-begin' as const, 'resend-end' as const) }),
  fc.record({ type: fc.constant('split' as const), slots: count, generation: count, session: count }),
);
const seq = fc.integer({ min: 0, max: 2 ** 53 - 1 });

const labelTime = fc
  .integer({ min: 0, max: Date.UTC(9999, 0) })
  .chain((ms) => fc.constantFrom(new Date(ms).toISOString(), new Date(ms).toISOString().replace('Z', '99+02:00')));
const anyLabel = (did: string): fc.Arbitrary<Label> =>
  fc.record({
    subject: fc.record({
      did: fc.constant(did),
      record: fc.option(fc.record({ collection: anyCollection, rkey: anyRkey })),
    }),
    src: anyDid,
    cid: anyCid,
    val: anyText,
    neg: fc.boolean(),
    cts: labelTime,
    exp: fc.option(labelTime),
  });
const anyLabelEntry = anyDid.chain((did) =>
  anyLabel(did).chain((label) => {
    const { subject, src, cid, val } = label;
    return fc.constantFrom<Entry>(
      { kind: 'label', did, label },
      { kind: 'label-removal', did, id: { subject, src, cid, val } },
    );
  }),
);

const anyPlainEntry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ kind: fc.constant('commit' as const), ...rev, since: fc.option(anyRev), ops }),
  fc.record({ kind: fc.constantFrom('sync' as const, 'resync-begin' as const, 'resync-end' as const), ...rev }),
  fc.record({ kind: fc.constant('resync-chunk' as const), ...rev, ops }),
  fc.record({ kind: fc.constant('resync-given-up' as const), ...base }),
  fc.record({
    kind: fc.constant('imported' as const),
    did: anyDid,
    rev: anyRev,
    isLast: fc.boolean(),
    records: ops.map((list) =>
      list
        .filter(({ action }) => action === 'create')
        .map((op, index) => ({ op, indexedMs: index, takedownRef: index % 2 === 0 ? null : 'T', tags: ['a', 'b'] })),
    ),
  }),
  fc.record({
    kind: fc.constant('identity' as const),
    ...base,
    handle: nullableText,
    verifiedAtMs: storableTime,
    keysJson: anyText,
    servicesJson: anyText,
  }),
  anyLabelEntry,
  fc.record({ kind: fc.constant('account' as const), ...base, active: fc.boolean(), status: anyText }),
  fc.record({
    kind: fc.constant('private' as const),
    did: anyDid,
    write: fc.oneof(
      fc.record({ type: fc.constant('actor-takedown' as const), ref: nullableText }),
      fc.record({ type: fc.constant('import' as const), runs: fc.boolean() }),
      fc.record({
        type: fc.constant('record-takedown' as const),
        collection: anyCollection,
        rkey: anyRkey,
        ref: nullableText,
      }),
      fc.record({ type: fc.constant('blob-takedown' as const), cid: anyText, ref: nullableText }),
      fc.record({ type: fc.constant('notification-seen' as const), seenMs: storableTime }),
      fc.record({ type: fc.constant('upstream-status' as const), status: anyText }),
      fc.record({
        type: fc.constant('suggestions' as const),
        list: fc.constantFrom(...suggestionLists),
        changes: fc.array(
          fc.record({
            tag: anyText,
            subject: anyText,
            subjectType: anyText,
            order: fc.oneof(fc.nat(2 ** 31 - 1), fc.constantFrom('last' as const, 'gone' as const)),
          }),
          { maxLength: 5 },
        ),
      }),
      fc.record({
        type: fc.constant('record-tags' as const),
        collection: anyCollection,
        rkey: anyRkey,
        tags: fc.array(anyText, { maxLength: 5 }),
      }),
      fc.record({ type: fc.constant('actor-tags' as const), tags: fc.array(anyText, { maxLength: 5 }) }),
      fc.record({
        type: fc.constant('age-assurance' as const),
        change: fc.option(
          fc.record({
            status: anyText,
            access: nullableText,
            countryCode: nullableText,
            regionCode: nullableText,
            lastInitiatedMs: fc.option(storableTime),
          }),
        ),
      }),
      fc.record({
        type: fc.constant('mute' as const),
        subject: anyDid,
        onlyReposts: fc.boolean(),
        onlyQuoteposts: fc.boolean(),
      }),
      fc.record({ type: fc.constant('unmute' as const), subject: anyDid }),
      fc.record({ type: fc.constantFrom('list-mute' as const, 'list-unmute' as const), list: anyRef }),
      fc.record({ type: fc.constantFrom('clear-mutes' as const, 'clear-list-mutes' as const) }),
      fc.record({ type: fc.constant('trusted-verifier' as const), isTrusted: fc.boolean() }),
      fc.record({ type: fc.constantFrom('thread-mute' as const, 'thread-unmute' as const), root: anyRef }),
      fc.record({ type: fc.constant('clear-thread-mutes' as const) }),
      fc.record({ type: fc.constant('notification-priority' as const), isPriority: fc.boolean() }),
      fc.record({
        type: fc.constant('private-data' as const),
        method: fc.constantFrom(...privateMethods),
        namespace: fc.oneof(fc.constantFrom(...Object.values(privateNamespace)), fc.constant('com.example.thing#x')),
        key: anyText,
        payload: anyText,
      }),
      fc.record({ type: fc.constant('erase' as const), kind: fc.constantFrom(...privateKinds) }),
      fc.oneof(writtenOp, anyDeletion).map((op) => {
        const { collection, rkey } = op;
        if (op.action === 'delete') return { type: 'record-delete' as const, collection, rkey };
        return { type: 'record-put' as const, collection, rkey, cid: op.cid, block: op.block };
      }),
      fc.record({ type: fc.constant('reindex' as const) }),
    ),
  }),
  fc.record({ kind: fc.constant('effect' as const), effect: fc.oneof(anyEffect, anySlotEffect) }),
  fc.record({
    kind: fc.constant('opened' as const),
    session: fc.nat(2 ** 31 - 1),
    generation: fc.nat(2 ** 31 - 1),
    condition: fc.constantFrom(...slotConditions),
    cluster: anyText,
  }),
  fc.record({ kind: fc.constant('tail-lost' as const), lostIn: fc.nat(2 ** 31 - 1), generation: fc.nat(2 ** 31 - 1) }),
  fc.record({ kind: fc.constantFrom('completed' as const, 'resend-step' as const) }),
  fc.record({ kind: fc.constant('resend' as const), target: fc.nat(65_535) }),
  fc.record({ kind: fc.constant('split' as const), slots: count }),
  fc.record({ kind: fc.constant('target-split' as const), target: fc.nat(65_535), slots: count }),
  fc.record({ kind: fc.constant('delivered' as const), target: fc.nat(65_535), mark: seq }),
  fc.record({ kind: fc.constant('continue' as const) }),
  fc.record({
    kind: fc.constant('quarantine' as const),
    action: fc.constantFrom('retry' as const, 'drop' as const),
    seq: fc.nat(),
    part: fc.nat(65_535),
  }),
);

/** What an import brings beside records holds another entry. */
const anyIfAbsent = anyPlainEntry
  .filter((entry) => entry.kind === 'identity' || entry.kind === 'private' || entry.kind === 'label')
  .chain((entry) =>
    fc.record({
      kind: fc.constant('if-absent' as const),
      did: fc.constant(entry.did),
      entry: fc.constant(entry),
      written: fc.option(fc.record({ createdMs: storableTime, updatedMs: storableTime })),
    }),
  );

export const anyEntry: fc.Arbitrary<Entry> = fc.oneof({ weight: 12, arbitrary: anyPlainEntry }, anyIfAbsent);
