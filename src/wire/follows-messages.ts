/** The bytes of `slot.followsOf`: pages of the DIDs that a DID follows. */
import type { ByteReader } from '../base/bytes.ts';
import { beginMessage, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/** Greater limits are lowered to this, which a node reads in a few milliseconds. Units: follows. */
export const followsPageLimit = 5_000;

/** The order is arbitrary but stable; `after` is '' or the `next` of the previous page. */
export type FollowsOfRequest = { readonly did: string; readonly after: string; readonly limit: number };

/** Writes a FollowsOfRequest. */
export function encodeFollowsOf({ did, after, limit }: FollowsOfRequest): Buffer {
  return beginMessage().text(did).text(after).varint(limit).finish();
}

/** Reads a FollowsOfRequest. */
export function decodeFollowsOf(bytes: Uint8Array): FollowsOfRequest {
  const reader = openMessage(bytes, nodeCalls.followsOf);
  const request = { did: reader.text(), after: reader.text(), limit: reader.varint() };
  reader.end();
  return request;
}

/** Followed DIDs: `count` length-delimited texts. */
export type FollowList = { readonly count: number; readonly texts: Buffer };

/** The DIDs are `count` texts at `reader.position`; `next` is '' on the last page. */
export type FollowPage = { readonly next: string; readonly count: number; readonly reader: ByteReader };

/** Opens a page, whose DIDs a router splits without making strings. */
export function openFollowsOfAnswer(bytes: Uint8Array): FollowPage {
  const reader = openMessage(bytes, nodeCalls.followsOf);
  const next = reader.text();
  return { next, count: reader.count(), reader };
}
