/** Rows of the tables read back as written and sort as intended. */

import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cid, cidOfBlock, recordCidOf } from '../../../src/atproto/cid.ts';
import { recordUri } from '../../../src/atproto/compact-key.ts';
import type { DagValue } from '../../../src/atproto/dag-value.ts';
import type { NoticeReason } from '../../../src/atproto/notice-reason.ts';
import { storedTime } from '../../../src/base/time-bytes.ts';
import { MessageWriter } from '../../../src/proto/message-writer.ts';
import { appendRecordJson } from '../../../src/read/lookup/record-answer.ts';
import { actorCountNames, addToActorCount } from '../../../src/slot/table/actor-counts.ts';
import {
  type ActorRow,
  getActor,
  getIdentity,
  getRepo,
  putActor,
  putIdentity,
  putRepo,
} from '../../../src/slot/table/actor-row.ts';
import { type PlainEdge, plainDigest, renderEdgeRecord } from '../../../src/slot/table/edge-record.ts';
import { feedPrefix, putFeedRow, readFeedRow } from '../../../src/slot/table/feed-item.ts';
import { type Notice, putNotice, readNotice } from '../../../src/slot/table/notice.ts';
import { addToRecordCount, recordCountNames, recordCountsKey } from '../../../src/slot/table/record-counts.ts';
import {
  decodeRecordRow,
  encodeRecordRow,
  type RecordRow,
  readRecordRefOfKey,
  recordKey,
} from '../../../src/slot/table/record-row.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { noticePrefix } from '../../../src/slot/table/unread-count.ts';
import { Environment, prefixEnd, type Row } from '../../../src/storage/environment.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { actorCountsOf, recordCountsOf } from '../../support/stored-rows.ts';
import {
  anyCid,
  anyCidBytes,
  anyDid,
  anyRef,
  anyRkey,
  indexedCollection,
  indexedRef,
  storableTime,
} from './arbitraries.ts';

let folder = '';
let environment: Environment;
let state: SlotState;
let owner = 0;

beforeAll(() => {
  folder = makeMemoryFolder('skyshard-tables-');
  environment = Environment.open({ path: folder, mapBytes: 2 ** 28, tables: slotTableNames });
  state = new SlotState(0, environment);
  state.resetOwners(1);
});

afterAll(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

function rowsUnder(prefix: Buffer): Row[] {
  return [...state.rows.scan({ start: prefix, end: prefixEnd(prefix) })];
}

/** Checks a property in a transaction, with a new owner for each value. */
function holdsFor<Value>(any: fc.Arbitrary<Value>, check: (value: Value) => void): void {
  const run = (value: Value): void => {
    owner = state.ensureOwner(`did:web:owner-${state.nextOwner}.example`);
    check(value);
  };
  fc.assert(
    fc.property(any, (value) => environment.transact(() => run(value))),
    { numRuns: 300 },
  );
}

const text = fc.string({ unit: 'grapheme', maxLength: 20 });

/** Returns the row with a creation time `beforeMs` before its indexing. */
function createdBefore(row: RecordRow, beforeMs: number): RecordRow {
  const createdMs = storedTime(row.indexedMs - beforeMs);
  const { body } = row;
  return { ...row, createdMs, cid: body.form === 'edge' ? recordCidOf(plainDigest(body, createdMs)!) : row.cid };
}

describe('rows read back as they were written', () => {
  it('records, in either form', () => {
    const head = { indexedMs: storableTime, takedownRef: fc.option(fc.oneof(text, fc.constant('x'.repeat(200)))) };
    const inJson: fc.Arbitrary<RecordRow> = fc
      .record({
        ...head,
        createdMs: fc.option(storableTime),
        postFlags: fc.nat(127),
        tags: fc.array(text, { maxLength: 3 }),
        cid: anyCidBytes,
        body: fc.record({ form: fc.constant('json' as const), json: text }),
      })
      .map(({ tags, ...row }) => (tags.length === 0 ? row : { ...row, tags }));
    const edge: fc.Arbitrary<PlainEdge> = fc.oneof(
      fc.record({
        kind: fc.constantFrom('follow' as const, 'block' as const),
        subject: fc.record({ did: anyDid, ref: fc.constant(null) }),
        subjectCid: fc.constant(''),
      }),
      fc.record({
        kind: fc.constantFrom('like' as const, 'repost' as const),
        subject: anyRef.map((ref) => ({ did: ref.did, ref })),
        subjectCid: anyCid,
      }),
    );
    // The CID of the edge form is that of its rendered record.
    const inEdge: fc.Arbitrary<RecordRow> = fc
      .record({ ...head, createdMs: storableTime, edge })
      .map(({ edge: plain, ...rest }) => ({
        ...rest,
        postFlags: 0,
        cid: recordCidOf(plainDigest(plain, rest.createdMs)!),
        body: { form: 'edge', ...plain },
      }));
    // Most records are indexed within a minute of creation; the short form ends at these limits.
    const limits = fc.constantFrom(-8_193, -8_192, 57_343, 57_344);
    const nearMs = fc.oneof(fc.integer({ min: -10_000, max: 70_000 }), limits);
    const nearby = fc.tuple(fc.oneof(inJson, inEdge), fc.option(nearMs));
    const row = nearby.map(([value, beforeMs]) => (beforeMs === null ? value : createdBefore(value, beforeMs)));
    holdsFor(row, (value) => {
      const bytes = encodeRecordRow(value);
      const read = decodeRecordRow(bytes);
      expect({ ...read, cid: Buffer.from(read.cid) }).toEqual(value);
      const { body, createdMs, cid } = value;
      const answer = new MessageWriter();
      appendRecordJson(answer, bytes);
      const json = answer.buffer.utf8Slice(0, answer.length);
      if (body.form === 'json') return expect(json).toBe(body.json);
      expect(json).toBe(renderEdgeRecord(body, createdMs!));
      const record = JSON.parse(renderEdgeRecord(body, createdMs!)!) as DagValue;
      expect(cidOfBlock(encodeDagCbor(record)).text).toBe(new Cid(cid).text);
    });
  });

  it('the keys of records', () => {
    holdsFor(indexedRef, (ref) => {
      expect(readRecordRefOfKey(ref.did, recordKey(owner, ref.collection, ref.rkey))).toEqual(ref);
    });
  });

  it('actors, identities and repos', () => {
    const actor: fc.Arbitrary<ActorRow> = fc.record({
      did: anyDid,
      handle: fc.option(text),
      handleVerifiedMs: storableTime,
      upstreamStatus: text,
      takedownRef: fc.option(text),
      isTrustedVerifier: fc.boolean(),
      identityMs: storableTime,
      accountMs: storableTime,
      seenMs: storableTime,
    });
    const repo = fc.record({ rev: text, resyncRev: text, deletedMs: fc.option(storableTime), isGivenUp: fc.boolean() });
    const identity = fc.record({ keysJson: text, servicesJson: text, resolvedMs: storableTime });
    holdsFor(fc.tuple(actor, repo, identity), ([actorRow, repoRow, identityRow]) => {
      putActor(state, owner, actorRow);
      putRepo(state, owner, repoRow);
      putIdentity(state, owner, identityRow);
      expect(getActor(state, owner)).toEqual(actorRow);
      expect(getRepo(state, owner)).toEqual(repoRow);
      expect(getIdentity(state, owner)).toEqual(identityRow);
    });
  });

  it('counts, which never fall below zero', () => {
    const steps = fc.array(
      fc.tuple(
        fc.constantFrom(...actorCountNames),
        fc.constantFrom(...recordCountNames),
        fc.constantFrom(1 as const, -1 as const),
      ),
      { maxLength: 40 },
    );
    holdsFor(steps, (changes) => {
      const meant = new Map<string, number>();
      const key = recordCountsKey(owner, 'app.bsky.feed.post', 'self');
      for (const [ofActor, ofRecord, change] of changes) {
        addToActorCount(state, owner, ofActor, change);
        addToRecordCount(state, key, ofRecord, change);
        for (const name of [`actor ${ofActor}`, `record ${ofRecord}`])
          meant.set(name, Math.max(0, (meant.get(name) ?? 0) + change));
      }
      state.flushOwnerRows();
      const actorCounts = actorCountsOf(state, owner);
      const recordCounts = recordCountsOf(state, key);
      for (const name of actorCountNames) expect(actorCounts[name]).toBe(meant.get(`actor ${name}`) ?? 0);
      for (const name of recordCountNames) expect(recordCounts[name]).toBe(meant.get(`record ${name}`) ?? 0);
    });
  });
});

describe('rows sort as intended', () => {
  it('feed items by time', () => {
    const item = fc.record({
      sortMs: storableTime,
      collection: indexedCollection,
      rkey: anyRkey,
      flags: fc.nat(31),
      post: fc.option(anyRef),
    });
    const items = fc.uniqueArray(item, {
      maxLength: 12,
      selector: ({ sortMs, collection, rkey }) => `${sortMs} ${collection} ${rkey}`,
    });
    holdsFor(items, (written) => {
      for (const each of written) putFeedRow(state, owner, each);
      const read = rowsUnder(feedPrefix(owner)).map(({ key, value }) => readFeedRow(key, value));
      expect(read.map(({ sortMs }) => sortMs)).toEqual(written.map(({ sortMs }) => sortMs).sort((a, b) => a - b));
      expect(new Set(read.map((each) => JSON.stringify(each)))).toEqual(
        new Set(written.map((each) => JSON.stringify(each))),
      );
    });
  });

  it('notices by time, one per post with its highest reason', () => {
    const recipient = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
    const subject = fc.option(indexedRef.map((ref) => ({ ...ref, did: recipient })));
    const collectionByReason: Readonly<Partial<Record<NoticeReason, string>>> = {
      mention: 'app.bsky.feed.post',
      quote: 'app.bsky.feed.post',
      reply: 'app.bsky.feed.post',
      like: 'app.bsky.feed.like',
      repost: 'app.bsky.feed.repost',
      follow: 'app.bsky.graph.follow',
      'like-via-repost': 'app.bsky.feed.like',
      verified: 'app.bsky.graph.verification',
      unverified: 'app.bsky.graph.verification',
    };
    const reason = fc.constantFrom(...(Object.keys(collectionByReason) as NoticeReason[]));
    const fields = fc.record({ did: anyDid, rkey: anyRkey, reason, subject, sortMs: storableTime });
    const notice: fc.Arbitrary<Notice> = fields.map(({ did, rkey, ...rest }) => ({
      ...rest,
      source: { did, collection: collectionByReason[rest.reason]!, rkey },
      isTakenDown: false,
    }));
    const rank = ['mention', 'quote', 'reply'];
    holdsFor(fc.array(notice, { maxLength: 12 }), (written) => {
      const meant = new Map<string, Notice>();
      for (const each of written) {
        putNotice(state, owner, each);
        const key = `${each.sortMs} ${recordUri(each.source)} ${rank.includes(each.reason) ? 'post' : each.reason}`;
        const known = meant.get(key);
        if (known === undefined || rank.indexOf(each.reason) <= rank.indexOf(known.reason)) meant.set(key, each);
      }
      const read = rowsUnder(noticePrefix(owner)).map(({ key, value }) => readNotice(key, value, recipient));
      expect(new Set(read.map(textOfNotice))).toEqual(new Set([...meant.values()].map(textOfNotice)));
      expect(read.map(({ sortMs }) => sortMs)).toEqual(read.map(({ sortMs }) => sortMs).sort((a, b) => a - b));
    });
  });
});

/** Renders a notice independently of the order of its fields. */
function textOfNotice({ source, reason, subject, sortMs, isTakenDown }: Notice): string {
  return JSON.stringify([recordUri(source), reason, subject === null ? null : recordUri(subject), sortMs, isTakenDown]);
}
