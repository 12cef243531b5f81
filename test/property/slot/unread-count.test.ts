/** The kept number of unread notices is what counting them one by one gives, whatever happened. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  markNoticeRecordGone,
  type Notice,
  putNotice,
  removeNotice,
  removeNoticesUpTo,
  setNoticeTakedown,
} from '../../../src/slot/table/notice.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { getUnreadCount, putNotificationSeen, recountUnread } from '../../../src/slot/table/unread-count.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { unreadByCounting } from '../../support/stored-rows.ts';

const recipient = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const startMs = Date.UTC(2025, 0, 1);
const noticesMax = 7_000;

let folder = '';
let environment: Environment;
let state: SlotState;
let owners = 0;

beforeAll(() => {
  folder = makeMemoryFolder('skyshard-unread-');
  environment = Environment.open({ path: join(folder, 'slot'), mapBytes: 2 ** 28, tables: slotTableNames });
  state = new SlotState(0, environment);
});

afterAll(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Two of three notices share one millisecond, as the likes of a hostile client do. */
function timeOf(index: number): number {
  return startMs + (index % 3 === 0 ? index : 1_000);
}

function noticeOf(index: number): Notice {
  const source = { did: `did:web:fan${index}.example`, rkey: 'self' };
  const shared = { subject: null, sortMs: timeOf(index), isTakenDown: false };
  switch (index % 5) {
    case 0:
      return { ...shared, reason: 'mention', source: { ...source, collection: 'app.bsky.feed.post' } };
    case 1:
      return { ...shared, reason: 'verified', source: { ...source, collection: 'app.bsky.graph.verification' } };
    case 2:
      return { ...shared, reason: 'unverified', source: { ...source, collection: 'app.bsky.graph.verification' } };
    default:
      return { ...shared, reason: 'like', source: { ...source, collection: 'app.bsky.feed.like' } };
  }
}

type Step =
  | {
      readonly type: 'put' | 'remove' | 'gone' | 'take down' | 'restore';
      readonly from: number;
      readonly count: number;
    }
  | { readonly type: 'see'; readonly afterMs: number }
  | { readonly type: 'recount' }
  | { readonly type: 'delete account'; readonly afterMs: number };

const range = { from: fc.nat(noticesMax), count: fc.integer({ min: 1, max: noticesMax }) };
const afterMs = fc.integer({ min: -1, max: noticesMax });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('put' as const), ...range }) },
  fc.record({ type: fc.constantFrom('remove' as const, 'gone', 'take down', 'restore'), ...range }),
  { weight: 2, arbitrary: fc.record({ type: fc.constant('see' as const), afterMs }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('recount' as const) }) },
  fc.record({ type: fc.constant('delete account' as const), afterMs }),
);

function run(owner: number, step: Step): void {
  if (step.type === 'see') return void putNotificationSeen(state, owner, startMs + step.afterMs);
  if (step.type === 'recount') return void recountUnread(state, owner);
  if (step.type === 'delete account') return void removeNoticesUpTo(state, owner, startMs + step.afterMs, 200);
  for (let index = step.from; index < Math.min(noticesMax, step.from + step.count); index++) {
    const notice = noticeOf(index);
    if (step.type === 'put') putNotice(state, owner, notice);
    else if (step.type === 'remove') removeNotice(state, owner, notice);
    else if (step.type === 'gone') {
      if (notice.reason === 'verified') markNoticeRecordGone(state, owner, notice);
    } else {
      const isTakenDown = step.type === 'take down';
      setNoticeTakedown(state, owner, { type: 'notice-takedown', recipient, ...notice, isTakenDown });
    }
  }
}

it('is exact once its recount has ended, and never too low before', () => {
  let longest = 0;
  const check = (steps: readonly Step[]): void => {
    environment.transact(() => {
      const owner = ++owners;
      // No edge says that a verification lasts here: none counts, like those that have ended.
      run(owner, { type: 'put', from: 0, count: noticesMax });
      run(owner, { type: 'gone', from: 0, count: noticesMax });
      for (const step of steps) {
        run(owner, step);
        if (step.type === 'put') run(owner, { ...step, type: 'gone' });
        expect(getUnreadCount(state, owner)).toBeGreaterThanOrEqual(unreadByCounting(state, owner, recipient));
      }
      let chunks = 0;
      while (recountUnread(state, owner)) chunks++;
      longest = Math.max(longest, chunks);
      expect(getUnreadCount(state, owner)).toBe(unreadByCounting(state, owner, recipient));
    });
  };
  fc.assert(fc.property(fc.array(anyStep, { maxLength: 12 }), check), { numRuns: 40 });
  expect(longest).toBeGreaterThan(0);
}, 120_000);
