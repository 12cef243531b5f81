/**
 * What a source sends again brings back the notices that were lost, and none that was hidden or
 * removed. One that lost its folder sends each version of a record, the old ones first.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { OutsideEntry, SentEffect } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { decodeMessage } from '../../../src/proto/codec.ts';
import { MessageWriter } from '../../../src/proto/message-writer.ts';
import { writeNotifications } from '../../../src/read/answer/notifications.ts';
import { EdgeCache } from '../../../src/read/cache/edge-cache.ts';
import { SlotLookup } from '../../../src/read/lookup/slot-lookup.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { getUnreadCount } from '../../../src/slot/table/unread-count.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { originOf } from '../../support/effect-origin.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const eventMs = Date.UTC(2025, 0, 1);
const source = { did: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', collection: 'app.bsky.feed.like', rkey: tidOf(1) };

/** An item of a chunk of effects, which has no head of its own. */
function itemOf(effect: SentEffect): Buffer {
  return encodeEntry({ kind: 'effect', effect }).subarray(2);
}

const resendBegins = itemOf({ type: 'resend-begin' });

/** The like as an edge to one of the posts of its two versions, whose sort time is the same. */
function like(present: boolean, version: 1 | 2): Buffer {
  const subject = { did, collection: 'app.bsky.feed.post', rkey: tidOf(10 + version) };
  const edge = { type: 'edge', edge: 'like', present, source, subjectDid: did, subject, sortMs: eventMs } as const;
  return itemOf(edge);
}

let folder = '';
let slot: Slot;
let lastMark = 0;
let nowMs = eventMs;

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-resent-');
  slot = Slot.open({ index: 0, slots: 2, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
  lastMark = 0;
  nowMs = eventMs;
});

afterEach(async () => {
  await slot[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Applies effects of another slot. Returns how many notices are unread. */
function apply(...items: Buffer[]): number {
  const origin = originOf({ index: 1, generation: 1, session: 0, slots: 2 }, lastMark);
  const marks = items.map(() => ++lastMark);
  slot.run([bytesOfChunk({ slot: 0, origin, items, marks })], nowMs);
  return getUnreadCount(slot.state, slot.state.ownerOf(did)!);
}

function applyOutside(entry: OutsideEntry): number {
  slot.run([bytesOfChunk({ slot: 0, origin: null, items: [encodeEntry(entry)], marks: [] })], nowMs);
  return getUnreadCount(slot.state, slot.state.ownerOf(did)!);
}

/** Returns the reasons of the notices that a page lists. */
function listed(): string[] {
  const { state } = slot;
  const edges = new EdgeCache(new SlotLookup(2, () => state), 2 ** 20);
  const answer = new MessageWriter();
  writeNotifications(answer, { state, did, edges }, { limit: 50, cursor: '' }, false);
  return decodeMessage('GetNotificationsResponse', answer.view()).notifications.map(({ reason }) => reason);
}

it('leaves the notice of the last version when the first comes and goes again', () => {
  expect(apply(like(true, 2))).toBe(1);
  expect(apply(resendBegins, like(true, 1), like(false, 1), like(true, 2))).toBe(1);
});

it('brings back no notice that came while its thread was muted', () => {
  const post = { collection: 'app.bsky.feed.post', rkey: tidOf(12) };
  const root = { did, ...post };
  const ops = [recordOp(post, { text: '', createdAt: new Date(eventMs).toISOString() })];
  applyOutside({ kind: 'commit', did, rev: tidOf(1), since: null, eventMs, ops });
  applyOutside({ kind: 'private', did, write: { type: 'thread-mute', root } });
  expect(apply(like(true, 2))).toBe(0);
  expect(applyOutside({ kind: 'private', did, write: { type: 'thread-unmute', root } })).toBe(0);
  expect(listed()).toEqual([]);
  expect(apply(resendBegins, like(true, 2))).toBe(0);
  expect(listed()).toEqual([]);
  // A new one is judged by now.
  expect(apply(like(false, 2), like(true, 2))).toBe(1);
  expect(listed()).toEqual(['like']);
});

it('brings back no notice that a deleted account has lost', () => {
  const from = { did: source.did, collection: 'app.bsky.graph.follow', rkey: tidOf(2) };
  const follow = itemOf({
    type: 'edge',
    edge: 'follow',
    present: true,
    source: from,
    subjectDid: did,
    subject: null,
    sortMs: eventMs,
  });
  const mention = (sortMs: number) =>
    itemOf({
      type: 'notice',
      present: true,
      recipient: did,
      source: { did: source.did, collection: 'app.bsky.feed.post', rkey: tidOf(3) },
      reason: 'mention',
      reasonSubject: null,
      sortMs,
      isTakenDown: false,
    });
  expect(apply(follow, mention(eventMs))).toBe(2);
  nowMs = eventMs + 1000;
  applyOutside({ kind: 'account', did, active: false, status: 'deleted', eventMs: nowMs });
  expect(listed()).toEqual([]);
  expect(apply(resendBegins, follow, mention(eventMs))).toBe(0);
  expect(listed()).toEqual([]);
  // What is newer is of the account that has come since, and so is what others do only now.
  nowMs += 1000;
  expect(apply(mention(nowMs))).toBe(1);
  expect(listed()).toEqual(['mention']);
});
