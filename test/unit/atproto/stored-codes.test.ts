/** Stored codes: these lists only ever grow at their end. */
import { expect, test } from 'vitest';
import { collections, nsid } from '../../../src/atproto/collection.ts';
import {
  edgeByCollection,
  edgeByKind,
  edgeOfCode,
  kindByPlainForm,
  probedEdges,
} from '../../../src/atproto/edge-kind.ts';
import { ownRowReasons, postReasons } from '../../../src/atproto/notice-reason.ts';

test('collections keep their codes', () => {
  expect(Object.values(collections).map((row) => `${row.code} ${row.nsid}`)).toEqual([
    '1 app.bsky.actor.profile',
    '2 app.bsky.actor.status',
    '3 app.bsky.feed.post',
    '4 app.bsky.feed.like',
    '5 app.bsky.feed.repost',
    '6 app.bsky.feed.generator',
    '7 app.bsky.feed.threadgate',
    '8 app.bsky.feed.postgate',
    '9 app.bsky.graph.follow',
    '10 app.bsky.graph.block',
    '11 app.bsky.graph.list',
    '12 app.bsky.graph.listitem',
    '13 app.bsky.graph.listblock',
    '14 app.bsky.graph.starterpack',
    '15 app.bsky.graph.verification',
    '16 app.bsky.labeler.service',
    '17 app.bsky.notification.declaration',
    '18 chat.bsky.actor.declaration',
    '19 com.germnetwork.declaration',
    '20 app.bsky.graph.referencelistoptout',
    '21 site.standard.document',
    '22 site.standard.publication',
  ]);
});

test('edge kinds keep their codes and the index of their plain form', () => {
  const kinds = [
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
    'bookmark',
    'join',
  ];
  expect(Object.keys(edgeByKind)).toEqual(kinds);
  expect(kinds.map((_kind, index) => edgeOfCode(index + 1))).toEqual(kinds);
  expect([edgeOfCode(0), edgeOfCode(kinds.length + 1)]).toEqual([undefined, undefined]);
  expect(kindByPlainForm).toEqual(['follow', 'like', 'repost', 'block']);
});

test('a collection has whole edges of one kind, and only actors are probed', () => {
  const whole = Object.values(edgeByKind).filter((edge) => edge.isWholeRecord);
  expect(edgeByCollection.size).toBe(whole.length);
  expect(edgeByCollection.has(nsid.post)).toBe(false);
  expect(probedEdges.map(({ kind, probeBit, subject }) => [kind, probeBit, subject])).toEqual([
    ['follow', 1, 'actor'],
    ['block', 2, 'actor'],
  ]);
});

test('reasons of notifications keep their order', () => {
  expect(postReasons).toEqual(['mention', 'quote', 'reply']);
  expect(ownRowReasons.map(({ reason }) => reason)).toEqual([
    'like',
    'repost',
    'follow',
    'like-via-repost',
    'repost-via-repost',
    'starterpack-joined',
    'verified',
    'unverified',
  ]);
});
