/**
 * The fragments that packed JSON has a byte for. Part of the stored format: a change of text or
 * code is a new version of record rows.
 *
 * Chosen for records as canonical DAG-CBOR orders their keys (shorter keys first), which ingest
 * keeps. The bytes never occur in JSON as UTF-8: it escapes controls, and UTF-8 has no 0xc0, 0xc1
 * or 0xf5 and above.
 */
/** Bytes before a value of fixed length or, for `literal`, before one byte that stays itself. */
export const packedCode = { cid: 0xf5, blobCid: 0xf6, did: 0xf7, time: 0xf8, tid: 0xf9, literal: 0xff } as const;

const post = '","$type":"app.bsky.feed.post",';

/** By code, from 0 on. */
const lowFragments = [
  '{"text":"',
  `${post}"langs":["en"],"createdAt":"`,
  `${post}"langs":["en"],"reply":{"root":{"cid":"`,
  `${post}"langs":["`,
  `${post}"reply":{"root":{"cid":"`,
  `${post}"createdAt":"`,
  `${post}"embed":{"$type":"app.bsky.embed.images","images":[{"alt":"`,
  `${post}"embed":{"$type":"app.bsky.embed.external","external":{"uri":"https://`,
  `${post}"embed":{"$type":"app.bsky.embed.record","record":{"cid":"`,
  `${post}"embed":{"$type":"app.bsky.embed.`,
  post,
  '"langs":["en"],',
  '"langs":["',
  '"],"createdAt":"',
  '"],"reply":{"root":{"cid":"',
  '"reply":{"root":{"cid":"',
  '"},"parent":{"cid":"',
  '","uri":"at://',
  '/app.bsky.feed.post/',
  '"}},"createdAt":"',
  '"},"createdAt":"',
  '"createdAt":"',
  '"}',
  '","image":{"ref":{"$link":"',
  '"},"size":',
  ',"$type":"blob","mimeType":"image/',
  '"},"aspectRatio":{"width":',
  ',"height":',
  '"thumb":{"ref":{"$link":"',
  '"title":"',
  '"description":"',
  '"facets":[{"index":{"byteEnd":',
] as const;

/** The others, each with its code. */
const highFragments = [
  [0xc0, ',"byteStart":'],
  [0xc1, '},"features":[{"'],
  [0xfa, '","$type":"app.bsky.richtext.facet#'],
  [0xfb, '{"via":{"cid":"'],
  [0xfc, '/app.bsky.feed.repost/'],
  [0xfd, '"},"$type":"app.bsky.feed.like","subject":{"cid":"'],
  [0xfe, '"$type":"app.bsky.'],
] as const;

export type JsonFragment = { readonly code: number; readonly bytes: Buffer };

export const jsonFragments: readonly JsonFragment[] = [
  ...lowFragments.map((text, code) => ({ code, bytes: Buffer.from(text, 'latin1') })),
  ...highFragments.map(([code, text]) => ({ code, bytes: Buffer.from(text, 'latin1') })),
];
