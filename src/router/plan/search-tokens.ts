/**
 * Page tokens of search: base64 of a JSON object, since the AppView parses those of posts.
 *
 * A token holds where the page ended, how many hits there were up to there, and a hash of what was
 * asked: one of another query is refused, since it would skip what that one never showed.
 */
import { hash } from 'node:crypto';
import * as v from 'valibot';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { parseShape, wholeNumberShape } from '../../config/json-shape.ts';
import type { SearchPosition } from '../../wire/search-messages.ts';

const keyLengthMax = 4_096;
const tokenLengthMax = 8_192;

const shape = v.strictObject({
  q: v.string(),
  r: v.pipe(v.number(), v.finite()),
  k: v.pipe(v.string(), v.maxLength(keyLengthMax)),
  /** When the first page was asked for, so that those of `top` are scored alike. Units: ms. */
  t: wholeNumberShape(0, Number.MAX_SAFE_INTEGER),
  n: wholeNumberShape(0, Number.MAX_SAFE_INTEGER),
});

export type SearchToken = { readonly after: SearchPosition; readonly askedMs: number; readonly hitsBefore: number };

/** Returns what a query is, but for its page. */
export function queryHash(query: unknown): string {
  return hash('sha256', JSON.stringify(query), 'base64url').slice(0, 8);
}

/** Writes a token. */
export function encodeSearchToken(query: string, { after, askedMs, hitsBefore }: SearchToken): string {
  const { rank: r, key: k } = after;
  return Buffer.from(JSON.stringify({ q: query, r, k, t: askedMs, n: hitsBefore })).toString('base64');
}

/** Reads a token; null for the first page. Errors: DataPlaneError `InvalidArgument`. */
export function decodeSearchToken(query: string, token: string, path: string): SearchToken | null {
  if (token === '') return null;
  const refuse = (why: string): never => {
    throw new DataPlaneError('InvalidArgument', `${path}: ${why}: ask for the first page again`);
  };
  if (token.length > tokenLengthMax) refuse('malformed');
  const read = parseShape(shape, Buffer.from(token, 'base64').toString('utf8'));
  if (read === undefined) return refuse('malformed');
  if (read.q !== query) refuse('of another query');
  return { after: { rank: read.r, key: read.k }, askedMs: read.t, hitsBefore: read.n };
}
