/** The OP thread follows the author's own replies, whatever order they arrive in. */
import { describe, expect, it } from 'vitest';
import { looseTidMs, microsOf, tidOf } from '../../../src/atproto/tid.ts';
import { type OwnReply, resolveOpThread } from '../../../src/read/answer/op-thread.ts';

const root = 'at://did:plc:op/app.bsky.feed.post/root';
const uriAt = (timeMs: number): string => `at://did:plc:op/app.bsky.feed.post/${rkeyAt(timeMs)}`;
const rkeyAt = (timeMs: number): string => tidOf(timeMs * 1000, 5);

function reply(timeMs: number, parentUri: string, deletedMs: number | null = null): OwnReply {
  return { uri: uriAt(timeMs), rkey: rkeyAt(timeMs), parentUri, deletedMs };
}

describe('the OP thread', () => {
  it('is empty without a reply', () => {
    expect(resolveOpThread(root, [])).toEqual([]);
    expect(resolveOpThread(root, [reply(2_000, 'at://did:plc:other/app.bsky.feed.post/x')])).toEqual([]);
  });

  it('follows the oldest reply at each step, in whatever order they arrive', () => {
    const replies = [reply(4_000, uriAt(2_000)), reply(3_000, root), reply(2_000, root), reply(5_000, uriAt(3_000))];
    expect(resolveOpThread(root, replies)).toEqual([root, uriAt(2_000), uriAt(4_000)]);
    expect(resolveOpThread(root, replies.reverse())).toEqual([root, uriAt(2_000), uriAt(4_000)]);
  });

  it('keeps a deleted reply while a reply below it exists', () => {
    const replies = [reply(2_000, root, 9_000), reply(3_000, uriAt(2_000)), reply(2_500, root)];
    expect(resolveOpThread(root, replies)).toEqual([root, uriAt(2_000), uriAt(3_000)]);
  });

  it('ends above a deleted last reply', () => {
    const replies = [reply(2_000, root), reply(3_000, uriAt(2_000), 9_000)];
    expect(resolveOpThread(root, replies)).toEqual([root, uriAt(2_000)]);
  });

  it('replaces a deleted reply only by one written after the deletion', () => {
    const deleted = reply(2_000, root, 5_000);
    expect(resolveOpThread(root, [deleted, reply(4_000, root)])).toEqual([]);
    expect(resolveOpThread(root, [deleted, reply(4_000, root), reply(6_000, root)])).toEqual([root, uriAt(6_000)]);
    const latestDeletion = [deleted, reply(5_500, root, 7_000), reply(6_000, root), reply(8_000, root)];
    expect(resolveOpThread(root, latestDeletion)).toEqual([root, uriAt(8_000)]);
  });

  it('replaces a deleted reply by none whose key is not a TID', () => {
    const odd = { uri: 'at://did:plc:op/app.bsky.feed.post/zzz', rkey: 'zzz', parentUri: root, deletedMs: null };
    expect(resolveOpThread(root, [odd])).toEqual([root, odd.uri]);
    expect(resolveOpThread(root, [reply(2_000, root, 3_000), odd])).toEqual([]);
  });

  it('is empty when replies form a circle', () => {
    const a = reply(2_000, root);
    const b = { ...reply(3_000, uriAt(2_000)) };
    const c = { uri: root, rkey: 'root', parentUri: b.uri, deletedMs: null };
    expect(resolveOpThread(root, [a, b, c])).toEqual([]);
  });

  it('walks a chain of thousands', () => {
    const replies = Array.from({ length: 5_000 }, (_unused, index) =>
      reply(index + 1, index === 0 ? root : uriAt(index)),
    );
    expect(resolveOpThread(root, replies)).toHaveLength(5_001);
  });
});

it('reads the time of a TID', () => {
  const rkey = rkeyAt(1_700_000_000_123);
  expect(looseTidMs(rkey)).toBe(1_700_000_000_123);
  expect(microsOf(rkey)).toBe(1_700_000_000_123_000);
  for (const wrong of ['', 'self', '0k44444444444', '3k4444444444']) expect(looseTidMs(wrong)).toBeUndefined();
});
