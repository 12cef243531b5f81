/** Requests to a data plane through the official client, one or all pages, as comparable JSON. */
import type { DataPlaneClient } from '@atproto/bsky';
import type { Message } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Answer, MethodName, Request } from './method-row.ts';

/** An answer, or the code of a refusal. */
export type Outcome =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** All pages of one request. */
export type Walk =
  | { readonly ok: true; readonly pages: readonly (readonly unknown[])[] }
  | { readonly ok: false; readonly code: string; readonly message: string };

const pagesMax = 2000;
// Fields of type bytes that hold JSON; other bytes stay base64.
const jsonFields = new Set(['record', 'keys', 'services', 'labels', 'payload', 'entry']);

type UntypedCall = (request: Request) => Promise<Message>;

/** Sends one request. Returns the answer in protobuf's JSON form. */
export async function ask(client: DataPlaneClient, method: MethodName, request: Request): Promise<Outcome> {
  const call = client[method] as unknown as UntypedCall;
  try {
    const message = await call(request);
    return { ok: true, answer: decodeJsonFields(message.toJson()) as Answer };
  } catch (error) {
    if (error instanceof ConnectError) return { ok: false, code: Code[error.code] ?? '', message: error.rawMessage };
    throw error;
  }
}

/**
 * Walks all pages of a request.
 *
 * Errors: throws when a page exceeds its limit, a token repeats, or the walk does not end.
 */
export async function walk(
  client: DataPlaneClient,
  method: MethodName,
  request: Request,
  field: string,
  limit: number,
): Promise<Walk> {
  const pages: (readonly unknown[])[] = [];
  const seen = new Set<string>();
  let cursor = '';
  do {
    const outcome = await ask(client, method, { ...request, limit, cursor });
    if (!outcome.ok) return outcome;
    const items = (outcome.answer[field] ?? []) as readonly unknown[];
    if (items.length > limit) throw new Error(`${method}: ${items.length} items on a page of ${limit}`);
    pages.push(items);
    cursor = (outcome.answer['cursor'] as string | undefined) ?? '';
    if (seen.has(cursor)) throw new Error(`${method}: the page token ${cursor} came twice`);
    seen.add(cursor);
    if (pages.length > pagesMax) throw new Error(`${method}: no end after ${pagesMax} pages`);
  } while (cursor !== '');
  return { ok: true, pages };
}

function decodeJsonFields(value: unknown, field = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => decodeJsonFields(item, field));
  if (typeof value === 'string' && jsonFields.has(field)) {
    return JSON.parse(Buffer.from(value, 'base64').toString('utf8')) as unknown;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decodeJsonFields(inner, key)]));
}
