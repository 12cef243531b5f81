/** The bytes of `slot.followsOf`: whom a DID follows, page by page. */
import type { ByteReader } from '../base/bytes.ts';
import { beginMessage, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/**
 * One page of whom a DID follows, in an order that means nothing but holds from page to page.
 *
 * `after` is '' or the `next` of the page before.
 */
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

/**
 * A page whose DIDs are still bytes: `count` texts from `reader.position` on. `next` is '' on the
 * last page.
 */
export type RawFollows = { readonly next: string; readonly count: number; readonly reader: ByteReader };

/** Reads a page up to its list, which a router splits without making strings. */
export function openFollowsOfAnswer(bytes: Uint8Array): RawFollows {
  const reader = openMessage(bytes, nodeCalls.followsOf);
  const next = reader.text();
  return { next, count: reader.count(), reader };
}
