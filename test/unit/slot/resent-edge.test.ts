/** A source that lost its folder sends each version of a record again, the old ones first. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SentEffect } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { getUnreadCount } from '../../../src/slot/table/unread-count.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { originOf } from '../../support/effect-origin.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
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

it('leaves the notice of the last version when the first comes and goes again', async () => {
  const folder = makeMemoryFolder('skyshard-resent-');
  try {
    await using slot = Slot.open({ index: 0, slots: 2, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
    let lastMark = 0;
    const apply = (...items: Buffer[]): number => {
      const origin = originOf({ index: 1, generation: 1, session: 0 }, lastMark);
      const marks = items.map(() => ++lastMark);
      slot.run([bytesOfChunk({ slot: 0, origin, items, marks })], eventMs);
      return getUnreadCount(slot.state, slot.state.ownerOf(did)!);
    };
    expect(apply(like(true, 2))).toBe(1);
    expect(apply(resendBegins, like(true, 1), like(false, 1), like(true, 2))).toBe(1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
