/** A page of notices says what their rows say, whatever the DIDs, record keys and subjects. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RecordRef, recordUri } from '../../../src/atproto/compact-key.ts';
import { noticeReasons, ownRowReasons } from '../../../src/atproto/notice-reason.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { decodeMessage } from '../../../src/proto/codec.ts';
import type { Notification } from '../../../src/proto/generated/bsky-service.ts';
import { MessageWriter } from '../../../src/proto/message-writer.ts';
import { writeNotifications } from '../../../src/read/answer/notifications.ts';
import { EdgeCache } from '../../../src/read/cache/edge-cache.ts';
import { SlotLookup } from '../../../src/read/lookup/slot-lookup.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { claimEdge } from '../../../src/slot/table/edge-by-subject.ts';
import { type Notice, putNotice, readNotice } from '../../../src/slot/table/notice.ts';
import { recordKey } from '../../../src/slot/table/record-row.ts';
import { noticePrefix } from '../../../src/slot/table/unread-count.ts';
import { prefixEnd } from '../../../src/storage/environment.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const startMs = Date.UTC(2026, 0, 1);
const plc = (letter: string): string => `did:plc:${letter.repeat(24)}`;
const authors = [plc('b'), plc('c'), plc('d'), 'did:web:a.b', `did:web:${'long.'.repeat(40)}example`];
const rkeys = [tidOf(1), tidOf(2), 'self', 'other', 'x'.repeat(300)];
const followed = [authors[0]!, authors[3]!];

let folder = '';
let slot: Slot;

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-notices-');
  slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
});

afterEach(async () => {
  await slot[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Random notices of every reason, and the records of the recipient that are stored. */
function putNotices(recipient: string, count: number): ReadonlySet<string> {
  const random = seededRandom(7);
  const one = <Item>(items: readonly Item[]): Item => items[random.below(items.length)]!;
  const { state } = slot;
  const stored = new Set<string>();
  slot.environment.transact(() => {
    const owner = state.ensureOwner(recipient);
    for (const did of followed)
      claimEdge(state, owner, { kind: 'follow', subject: { did, ref: null }, rkey: tidOf(9) });
    for (let index = 0; index < count; index++) {
      const reason = one(noticeReasons);
      const own = ownRowReasons.find((row) => row.reason === reason);
      const collection = own?.collection ?? 'app.bsky.feed.post';
      const source = { did: one(authors), collection, rkey: one(rkeys) };
      const subjectOf = one(['app.bsky.feed.post', 'app.bsky.feed.post', 'app.bsky.feed.repost', 'com.example.other']);
      const subject: RecordRef | null =
        random.below(3) === 0 ? null : { did: recipient, collection: subjectOf, rkey: one(rkeys) };
      if (subject !== null && random.below(4) > 0) {
        state.rows.put(recordKey(owner, subject.collection, subject.rkey), Buffer.of(0));
        stored.add(recordUri(subject));
      }
      // Some times have no fraction of a second.
      const sortMs = startMs + index * (random.below(2) === 0 ? 1_000 : 1_001);
      putNotice(state, owner, { source, reason, subject, sortMs, isTakenDown: false, isMuted: random.below(8) === 0 });
    }
    state.flushOwnerRows();
  });
  return stored;
}

/** What a page must say, from rows as others read them. */
function expected(recipient: string, stored: ReadonlySet<string>, onlyPriority: boolean): Partial<Notification>[] {
  const prefix = noticePrefix(slot.state.ownerOf(recipient)!);
  const range = { start: prefix, end: prefixEnd(prefix) };
  const rows = Array.from(slot.state.rows.scan(range), ({ key, value }) => readNotice(key, value, recipient));
  const isShown = ({ isMuted, subject }: Notice): boolean =>
    isMuted !== true && (subject === null || stored.has(recordUri(subject)));
  return rows
    .reverse()
    .filter(isShown)
    .map(({ source, reason, subject, sortMs }) => ({
      recipientDid: recipient,
      uri: recordUri(source),
      reason,
      reasonSubject: subject === null ? '' : recordUri(subject),
      timestamp: sortMs,
      priority: followed.includes(source.did),
    }))
    .filter(({ priority }) => priority || !onlyPriority);
}

function listed(recipient: string, edges: EdgeCache, limit: number, onlyPriority: boolean): Notification[] {
  const found: Notification[] = [];
  const answer = new MessageWriter();
  for (let cursor = ''; ; ) {
    writeNotifications(answer.clear(), { state: slot.state, did: recipient, edges }, { limit, cursor }, onlyPriority);
    const page = decodeMessage('GetNotificationsResponse', answer.view());
    expect(page.notifications.length).toBeLessThanOrEqual(limit);
    found.push(...page.notifications);
    cursor = page.cursor;
    if (cursor === '') return found;
  }
}

it.each([plc('a'), 'did:web:me.x'])('lists each shown notice of %s once, in whole, from cache or not', (recipient) => {
  const stored = putNotices(recipient, 600);
  const edges = new EdgeCache(new SlotLookup(1, () => slot.state), 2 ** 20);
  for (const onlyPriority of [false, true]) {
    const all = expected(recipient, stored, onlyPriority);
    expect(all.length).toBeGreaterThan(50);
    for (const limit of [7, 100, 500]) expect(listed(recipient, edges, limit, onlyPriority)).toEqual(all);
  }
});
